#include "traceql/testing/plain_agreement.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "traceql/parser.h"
#include "traceql/testing/random_queries.h"
#include "traceql/testing/random_traces.h"

namespace gantry::traceql::testing {

namespace {

constexpr std::int64_t kMinute = 60'000'000'000;

// Zeros are equal, whatever their sign.
std::string typed(const Static& value) {
  if (value.type == StaticType::Float && value.number == 0) return "TypeFloat:0";
  return fmt::format("{}:{}", static_type_text(value.type), format_static(value));
}

std::string show(std::vector<NamedValue> values) {
  std::ranges::sort(values, {}, [](const NamedValue& value) { return value.key; });
  std::string text;
  for (const NamedValue& value : values) text += value.key + '=' + typed(value.value) + ' ';
  return text;
}

std::string show(const FoundSpanset& set) {
  std::string text = fmt::format("    {} {}", set.matched, show(set.attributes));
  for (const FoundSpan& span : set.spans) {
    text += fmt::format("| {} {} {} {}", span.span_id, span.name, span.start_ns, span.duration_ns);
  }
  return text + '\n';
}

// Span sets of one trace have no order.
std::string show(const SearchAnswer& answer) {
  std::string text;
  for (const FoundTrace& trace : answer.traces) {
    text += fmt::format("{} {}+{} {} `{}` `{}`\n", plain_trace_id(trace.trace_id), trace.start_ns,
                        trace.duration_ns, trace.has_root, trace.root_service, trace.root_name);
    for (const auto& [name, service] : trace.services) {
      text += fmt::format("  {} {} {}\n", name, service.spans, service.errors);
    }
    std::vector<std::string> sets;
    for (const FoundSpanset& set : trace.spansets) sets.push_back(show(set));
    std::ranges::sort(sets);
    for (const std::string& set : sets) text += set;
  }
  return text;
}

using Lines = std::map<std::string, std::vector<std::pair<std::int64_t, double>>>;

Lines lines_of(const MetricsAnswer& answer) {
  Lines lines;
  for (const MetricsSeries& series : answer.series) lines[show(series.labels)] = series.samples;
  return lines;
}

std::string show(const Lines& lines) {
  std::string text;
  for (const auto& [labels, samples] : lines) {
    text += labels;
    for (const auto& [time_ms, value] : samples) text += fmt::format(" {}@{}", value, time_ms);
    text += '\n';
  }
  return text;
}

bool are_close(const Lines& a, const Lines& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && std::ranges::equal(x.second, y.second, [](auto p, auto q) {
             return p.first == q.first && (p.second == q.second || std::abs(p.second - q.second) <=
                                                                       1e-9 * std::abs(q.second));
           });
  });
}

std::string disagreement(std::uint64_t seed, const std::string& query, const std::string& got,
                         const std::string& expected) {
  return fmt::format("seed {}: {}\n got\n{} expected\n{}", seed, query, got, expected);
}

/// The message of whichever failed; random queries have an answer.
template <class Answer>
std::string failure(const Result<Answer>& got, const Result<Answer>& expected) {
  if (!got) return got.error().message;
  return expected ? "" : "plain evaluator: " + expected.error().message;
}

}  // namespace

std::string search_disagreement(std::uint64_t seed, const Engine& engine, const SpanSource& source,
                                const PlainEvaluator& plain) {
  const std::string text = random_query(seed, QueryKind::Search);
  const auto query = parse(text);
  if (!query) return text + ": " + query.error().message;
  const bool is_cut = seed % 4 == 0;
  const SearchRequest request{
      .query = &*query, .limit = is_cut ? 2U : 1000U, .spans_per_spanset = is_cut ? 2U : 1000U};
  const auto expected = plain.search(request);
  const auto got = engine.search(request, source, CancelToken());
  if (!got || !expected) return text + ": " + failure(got, expected);
  if (show(*got) == show(*expected)) return "";
  return disagreement(seed, text, show(*got), show(*expected));
}

std::string metrics_disagreement(std::uint64_t seed, const Engine& engine, const SpanSource& source,
                                 const PlainEvaluator& plain) {
  const RandomTracesOptions traces;
  const std::string text = random_query(seed, QueryKind::Metrics);
  const auto query = parse(text);
  if (!query) return text + ": " + query.error().message;
  const MetricsRequest request{.query = &*query,
                               .start_ns = traces.start_ns + kMinute,
                               .end_ns = traces.start_ns + traces.range_ns,
                               .step_ns = seed % 5 == 0 ? 0 : kMinute,
                               .exemplars_max = 0};
  const auto expected = plain.metrics(request);
  const auto got = engine.metrics(request, source, CancelToken());
  if (!got || !expected) return text + ": " + failure(got, expected);
  const Lines got_lines = lines_of(*got);
  const Lines expected_lines = lines_of(*expected);
  if (are_close(got_lines, expected_lines)) return "";
  return disagreement(seed, text, show(got_lines), show(expected_lines));
}

}  // namespace gantry::traceql::testing
