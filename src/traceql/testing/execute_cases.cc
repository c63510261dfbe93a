#include "traceql/testing/execute_cases.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "traceql/eval/field_table_internal.h"
#include "traceql/metrics/series_table.h"
#include "traceql/parser.h"
#include "traceql/testing/otlp_dataset.h"

namespace gantry::traceql::testing {

namespace {

using nlohmann::json;

constexpr std::int64_t kSecond = 1'000'000'000;

// ---- searches

/// As answers write a value.
json to_json(const Static& value) {
  switch (value.type) {
    case StaticType::Int:
      return {{"intValue", std::to_string(value.integer)}};
    case StaticType::Float:
      return {{"doubleValue", value.number}};
    case StaticType::Bool:
      return {{"boolValue", value.boolean}};
    case StaticType::String:
      return {{"stringValue", value.text}};
    case StaticType::Duration:
      return {{"stringValue", format_go_duration(value.integer)}};
    case StaticType::Status:
      return {{"stringValue", status_text(static_cast<std::uint8_t>(value.integer))}};
    case StaticType::Kind:
      return {{"stringValue", kind_text(static_cast<std::uint8_t>(value.integer))}};
    default:
      return {{"stringValue", format_static(value)}};
  }
}

json to_json(const FoundSpanset& set, bool has_all_spans) {
  json out{{"matched", set.matched}};
  if (has_all_spans) {
    std::set<std::string> ids;
    for (const FoundSpan& span : set.spans) ids.insert(format_span_id(span.span_id));
    out["spans"] = ids;
  } else {
    out["spans"] = set.spans.size();
  }
  for (const NamedValue& named : set.attributes) {
    out["attributes"][named.key] = to_json(named.value);
  }
  return out;
}

/// What the cases say of a trace. Span sets in no particular order.
json to_json(const FoundTrace& trace, bool has_all_spans) {
  json out{{"rootServiceName", trace.root_service},
           {"rootTraceName", trace.root_name},
           {"startTimeUnixNano", std::to_string(trace.start_ns)},
           {"durationMs", trace.duration_ns / 1'000'000}};
  for (const auto& [name, service] : trace.services) {
    out["serviceStats"][name]["spanCount"] = service.spans;
    if (service.errors != 0) out["serviceStats"][name]["errorCount"] = service.errors;
  }
  std::multiset<json> sets;
  for (const FoundSpanset& set : trace.spansets) sets.insert(to_json(set, has_all_spans));
  out["spanSets"] = sets;
  return out;
}

json expected_trace(json trace, bool has_all_spans) {
  if (!trace.contains("durationMs")) trace["durationMs"] = 0;
  std::multiset<json> sets;
  for (json& set : trace["spanSets"]) {
    if (!has_all_spans) set["spans"] = set["spans"].size();
    sets.insert(set);
  }
  trace["spanSets"] = sets;
  return trace;
}

// ---- metrics

/// Labels as one text with types ("k=(int)200"), and samples by time.
using PrintedSeries = std::map<std::string, std::map<std::int64_t, double>>;

std::string print_label(const std::string& key, const Static& value) {
  return key + "=" + std::string(static_type_text(value.type)) + ":" + metrics::label_text(value);
}

std::string join(std::vector<std::string> labels) {
  std::ranges::sort(labels);
  std::string text;
  for (const std::string& label : labels) text += label + ";";
  return text;
}

Static parse_any_value(const json& value) {
  if (value.contains("stringValue")) return Static::of_string(value["stringValue"]);
  if (value.contains("intValue")) {
    return Static::of_int(std::stoll(value["intValue"].get<std::string>()));
  }
  if (value.contains("boolValue")) return Static::of_bool(value["boolValue"]);
  return Static::of_float(value.at("doubleValue"));
}

PrintedSeries print_expected(const json& expected, std::int64_t instant_ms) {
  PrintedSeries printed;
  for (const json& series : expected.at("series")) {
    std::vector<std::string> labels;
    for (const auto& [key, value] : series.at("labels").items()) {
      labels.push_back(print_label(key, parse_any_value(value)));
    }
    auto& samples = printed[join(std::move(labels))];
    if (series.contains("value")) {
      samples[instant_ms] = series["value"];
      continue;
    }
    for (const json& sample : series.at("samples")) samples[sample[0]] = sample[1];
  }
  return printed;
}

PrintedSeries print_answer(const MetricsAnswer& answer) {
  PrintedSeries printed;
  for (const MetricsSeries& series : answer.series) {
    if (series.samples.empty()) continue;  // Left out on the wire.
    std::vector<std::string> labels;
    for (const NamedValue& label : series.labels) {
      labels.push_back(print_label(label.key, label.value));
    }
    auto& samples = printed[join(std::move(labels))];
    for (const auto& [time_ms, value] : series.samples) samples[time_ms] = value;
  }
  return printed;
}

/// The first difference, or "".
std::string compare_samples(const std::map<std::int64_t, double>& actual,
                            const std::map<std::int64_t, double>& expected) {
  if (actual.size() != expected.size()) {
    return fmt::format("{} samples instead of {}", actual.size(), expected.size());
  }
  for (const auto& [time_ms, value] : expected) {
    const auto found = actual.find(time_ms);
    if (found == actual.end()) return fmt::format("no sample at {}", time_ms);
    if (!(std::abs(found->second - value) <= std::abs(value) * 1e-9)) {
      return fmt::format("{} at {} instead of {}", found->second, time_ms, value);
    }
  }
  return "";
}

/// compare() cuts among values of equal frequency, and Tempo does so at random: what must agree is
/// how many values of which frequency each attribute shows.
std::map<std::string, std::multiset<double>> frequencies(const PrintedSeries& printed) {
  std::map<std::string, std::multiset<double>> by_attribute;
  for (const auto& [labels, samples] : printed) {
    double total = 0;
    for (const auto& [time_ms, value] : samples) total += value;
    const std::size_t second = labels.find(';') + 1;
    const std::string attribute = labels.substr(second, labels.find('=', second) - second);
    by_attribute[labels.substr(0, second) + attribute].insert(total);
  }
  return by_attribute;
}

/// The differences, or "".
std::string compare_series(const PrintedSeries& actual, const PrintedSeries& expected,
                           bool is_compare) {
  std::string problem;
  if (is_compare && frequencies(actual) != frequencies(expected)) {
    problem += "other frequencies\n";
  }
  if (!is_compare && actual.size() != expected.size()) {
    problem += fmt::format("{} series instead of {}\n", actual.size(), expected.size());
  }
  std::size_t found_count = 0;
  for (const auto& [labels, samples] : expected) {
    const auto found = actual.find(labels);
    if (found == actual.end()) {
      if (!is_compare) problem += fmt::format("no series {}\n", labels);
      continue;
    }
    ++found_count;
    const std::string samples_problem = compare_samples(found->second, samples);
    if (!samples_problem.empty()) problem += fmt::format("{}: {}\n", labels, samples_problem);
  }
  if (is_compare && found_count <= expected.size() / 2) {
    problem += fmt::format("only {} of {} series\n", found_count, expected.size());
  }
  return problem;
}

std::string fingerprint(const MetricsAnswer& answer) {
  const auto bits = [](double value) {
    return std::to_string(std::bit_cast<std::uint64_t>(value));
  };
  std::string text;
  for (const MetricsSeries& series : answer.series) {
    for (const NamedValue& label : series.labels) text += print_label(label.key, label.value) + ";";
    for (const auto& [time_ms, value] : series.samples) {
      text += std::to_string(time_ms) + "=" + bits(value) + " ";
    }
    for (const MetricsExemplar& exemplar : series.exemplars) {
      text += "exemplar " + std::to_string(exemplar.timestamp_ms) + "=" + bits(exemplar.value);
      for (const NamedValue& label : exemplar.labels) {
        text += " " + print_label(label.key, label.value);
      }
    }
    text += "\n";
  }
  return text;
}

MetricsRequest request_of(const json& test, const Query& query) {
  return {.query = &query,
          .start_ns = std::stoll(test.at("startNs").get<std::string>()),
          .end_ns = std::stoll(test.at("endNs").get<std::string>()),
          .step_ns =
              test.value("instant", false) ? 0 : std::stoll(test.at("stepNs").get<std::string>())};
}

std::string compare_alignment(const json& test, const MetricsRequest& request) {
  if (!test.contains("aligned")) return "";
  const AlignedRange range = align_range(request.start_ns, request.end_ns, request.step_ns);
  const json actual{{"startNs", std::to_string(range.start_ns)},
                    {"endNs", std::to_string(range.end_ns)}};
  return actual == test["aligned"] ? "" : "aligned to " + actual.dump() + "\n";
}

}  // namespace

std::optional<json> read_execute_cases() {
  const auto text = read_conformance_file("traceql/execute_cases.json");
  if (!text) return std::nullopt;
  return json::parse(*text).at("cases");
}

std::string check_search_case(const json& test, const Engine& engine, const SpanSource& source) {
  const auto parsed = parse(test["query"].get<std::string>());
  const json& expect = test["expect"];
  if (expect.contains("error")) return parsed ? "was not refused" : "";
  if (!parsed) return "refused: " + parsed.error().message;
  const auto spss = test.value("spss", std::uint32_t{1000});
  SearchRequest request{.query = &*parsed, .limit = test.value("limit", std::uint32_t{1000})};
  request.spans_per_spanset = spss;
  if (test.contains("start")) request.start_ns = test["start"].get<std::int64_t>() * kSecond;
  if (test.contains("end")) request.end_ns = test["end"].get<std::int64_t>() * kSecond;
  const auto answer = engine.search(request, source, CancelToken());
  if (!answer) return "failed: " + answer.error().message;
  json actual = json::object();
  for (const FoundTrace& trace : answer->traces) {
    actual[format_trace_id(trace.trace_id)] = to_json(trace, spss == 1000);
  }
  json expected = json::object();
  for (const auto& [id, trace] : expect["traces"].items()) {
    expected[id] = expected_trace(trace, spss == 1000);
  }
  if (actual == expected) return "";
  return "expected " + expected.dump() + "\n  found " + actual.dump();
}

MetricsCaseOutcome check_metrics_case(const json& test, const Engine& engine,
                                      const SpanSource& source) {
  const std::string text = test.at("query");
  const json& expect = test.at("expect");
  const bool is_error = expect.contains("error");
  const auto query = parse(text);
  if (!query) return {.problem = is_error ? "" : "refused: " + query.error().message};
  const MetricsRequest request = request_of(test, *query);
  const auto answer = engine.metrics(request, source, CancelToken());
  if (!answer) {
    const bool is_expected = is_error && answer.error().code == Code::InvalidArgument;
    return {.problem = is_expected ? "" : "failed: " + answer.error().message};
  }
  if (is_error) return {.problem = "was not refused"};
  const PrintedSeries expected = print_expected(expect, request.end_ns / 1'000'000);
  return {.problem = compare_alignment(test, request) +
                     compare_series(print_answer(*answer), expected, text.contains("compare(")),
          .fingerprint = fingerprint(*answer)};
}

}  // namespace gantry::traceql::testing
