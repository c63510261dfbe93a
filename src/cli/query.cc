#include "cli/query.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "cli/api_request_internal.h"
#include "cli/config_flags.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/duration.h"
#include "core/number_format.h"
#include "core/rfc3339.h"
#include "telemetry/labels.h"

namespace gantry::cli {
namespace {

using Json = nlohmann::json;

std::string format_seconds(std::int64_t timestamp_ms) {
  std::string text;
  core::append_seconds(text, timestamp_ms);
  return text;
}

struct Range {
  TimestampMs start;
  TimestampMs end;
  std::string step;
};

/// Absent for an instant query.
Result<std::optional<Range>> make_range(const QueryOptions& options, TimestampMs now) {
  if (options.start.empty() && options.end.empty() && options.since.empty()) return std::nullopt;
  if (!options.time.empty())
    return fail(Code::InvalidArgument,
                "--time is for instant queries, not beside --start, --end "
                "or --since");
  if (options.start.empty() == options.since.empty())
    return fail(Code::InvalidArgument, "a range query needs --start or --since, not both");
  Range range{.start = now, .end = now, .step = options.step};
  if (!options.end.empty()) {
    GANTRY_TRY(range.end, parse_time("--end", options.end));
  }
  if (!options.start.empty()) {
    GANTRY_TRY(range.start, parse_time("--start", options.start));
  } else {
    const auto since = core::parse_duration(options.since);
    if (!since)
      return fail(Code::InvalidArgument, fmt::format("--since: {}", since.error().message));
    range.start = range.end - *since;
  }
  constexpr std::int64_t kSteps = 100;
  if (range.step.empty())
    range.step = format_seconds(
        std::max<std::int64_t>(1, (range.end - range.start).count / 1000 / kSteps) * 1000);
  return range;
}

std::string member(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string series_text(const Json& element) {
  telemetry::Labels labels;
  if (const auto metric = element.find("metric"); metric != element.end() && metric->is_object())
    for (const auto& [name, value] : metric->items())
      if (value.is_string()) labels.push_back({.name = name, .value = value.get<std::string>()});
  return telemetry::format_series(labels);
}

/// [1435781451.781, "1"] as time and value; a histogram as its count and sum.
std::optional<std::pair<std::string, std::string>> point_text(const Json& point) {
  if (!point.is_array() || point.size() != 2 || !point[0].is_number()) return std::nullopt;
  const auto ms = static_cast<std::int64_t>(point[0].get<double>() * 1000 +
                                            (point[0].get<double>() < 0 ? -0.5 : 0.5));
  std::string time = core::format_rfc3339({ms});
  if (point[1].is_string()) return std::pair(std::move(time), point[1].get<std::string>());
  if (!point[1].is_object()) return std::nullopt;
  return std::pair(std::move(time), fmt::format("{{count:{}, sum:{}}}", member(point[1], "count"),
                                                member(point[1], "sum")));
}

Error not_an_answer() {
  return {.code = Code::InvalidArgument,
          .message = "the server's answer is not that of a Prometheus API"};
}

Result<std::string> format_vector(const Json& result) {
  std::vector<std::vector<std::string>> rows = {{"SERIES", "VALUE", "TIME"}};
  for (const Json& element : result) {
    const auto point = element.contains("value")       ? point_text(element["value"])
                       : element.contains("histogram") ? point_text(element["histogram"])
                                                       : std::nullopt;
    if (!point) return std::unexpected(not_an_answer());
    rows.push_back({series_text(element), point->second, point->first});
  }
  return align(rows);
}

Result<std::string> format_matrix(const Json& result) {
  std::string text;
  for (const Json& element : result) {
    text += series_text(element) + "\n";
    std::vector<std::vector<std::string>> rows;
    for (const char* const key : {"values", "histograms"}) {
      if (!element.contains(key)) continue;
      for (const Json& each : element[key]) {
        auto point = point_text(each);
        if (!point) return std::unexpected(not_an_answer());
        rows.push_back({"", std::move(point->first), std::move(point->second)});
      }
    }
    text += align(rows);
  }
  return text;
}

/// "bad_data: invalid parameter …" of an error answer, or the status and the body's start.
std::string describe_failure(const net::ClientResponse& response) {
  const Json answer = Json::parse(response.body, nullptr, false);
  const std::string error = member(answer, "error");
  if (error.empty())
    return fmt::format("HTTP {}: {}", response.status,
                       std::string_view(response.body).substr(0, 300));
  const std::string type = member(answer, "errorType");
  return type.empty() ? error : fmt::format("{}: {}", type, error);
}

void print_annotations(const Json& answer) {
  for (const char* const key : {"warnings", "infos"}) {
    if (!answer.contains(key) || !answer[key].is_array()) continue;
    for (const Json& text : answer[key])
      if (text.is_string()) print_error(text.get<std::string>());
  }
}

}  // namespace

Result<net::ClientRequest> make_query_request(const QueryOptions& options, TimestampMs now) {
  GANTRY_TRY(const std::optional<Range> range, make_range(options, now));
  std::vector<std::pair<std::string_view, std::string>> fields = {{"query", options.expression}};
  if (range) {
    fields.emplace_back("start", format_seconds(range->start.since_epoch));
    fields.emplace_back("end", format_seconds(range->end.since_epoch));
    fields.emplace_back("step", range->step);
  } else if (!options.time.empty()) {
    fields.emplace_back("time", options.time);
  }
  net::ClientRequest request;
  request.method = "POST";
  request.url =
      without_end_slashes(options.url) + (range ? "/api/v1/query_range" : "/api/v1/query");
  request.body = encode_form(fields);
  request.timeout = options.timeout;
  request.ca_file = options.ca_file;
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  request.headers.set("Accept-Encoding", "gzip");
  set_credentials(request, options.user, options.token);
  return request;
}

Result<std::string> format_query_table(std::string_view answer) {
  const Json parsed = Json::parse(answer, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("data") || !parsed["data"].contains("result"))
    return std::unexpected(not_an_answer());
  const Json& result = parsed["data"]["result"];
  const std::string type = member(parsed["data"], "resultType");
  if (!result.is_array()) return std::unexpected(not_an_answer());
  if (type == "vector") return format_vector(result);
  if (type == "matrix") return format_matrix(result);
  if (type != "scalar" && type != "string") return std::unexpected(not_an_answer());
  const auto point = point_text(result);
  if (!point) return std::unexpected(not_an_answer());
  return point->second + "\n";
}

int query(const QueryOptions& options) {
  const SystemClock clock;
  const auto request = make_query_request(options, clock.now());
  if (!request) {
    print_error(request.error().message);
    return 2;
  }
  const auto response = net::send(*request);
  if (!response) {
    print_error(response.error().message);
    return 1;
  }
  if (response->status != 200) {
    print_error(describe_failure(*response));
    return 1;
  }
  if (options.output == QueryOutput::Json) {
    fmt::print("{}\n", response->body);
    return 0;
  }
  const auto table = format_query_table(response->body);
  if (!table) {
    print_error(table.error().message);
    return 1;
  }
  print_annotations(Json::parse(response->body, nullptr, false));
  fmt::print("{}", *table);
  return 0;
}

}  // namespace gantry::cli
