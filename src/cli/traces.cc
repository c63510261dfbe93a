#include "cli/traces.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "cli/api_request_internal.h"
#include "cli/config_flags.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/duration.h"
#include "core/rfc3339.h"

namespace gantry::cli {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kNsPerMs = 1'000'000;

net::ClientRequest make_get(const TraceConnection& connection, std::string_view path) {
  net::ClientRequest request;
  request.method = "GET";
  request.url = without_end_slashes(connection.url) + std::string(path);
  request.timeout = connection.timeout;
  request.ca_file = connection.ca_file;
  request.headers.set("Accept", "application/json");
  request.headers.set("Accept-Encoding", "gzip");
  set_credentials(request, connection.user, connection.token);
  return request;
}

std::string text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// 64-bit numbers are texts; absent is 0.
std::int64_t number(const Json& object, const char* key) {
  const std::string digits = text(object, key);
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::string duration_text(std::int64_t ns) {
  constexpr double kNsPerUs = 1e3;
  const auto value = static_cast<double>(ns);
  if (ns >= 1000 * kNsPerMs) return fmt::format("{:.2f}s", value / 1e9);
  if (ns >= kNsPerMs) return fmt::format("{:.2f}ms", value / 1e6);
  return fmt::format("{:.1f}us", value / kNsPerUs);
}

std::string time_text(std::int64_t ns) {
  return core::format_rfc3339({ns / kNsPerMs});
}

Error not_an_answer() {
  return {.code = Code::InvalidArgument,
          .message = "the server's answer is not that of Tempo's API"};
}

/// One span, as the table needs it.
struct Row {
  std::string id;
  std::string parent;
  std::string service;
  std::string name;
  std::string kind;
  std::string status;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
};

std::string service_of(const Json& resource_spans) {
  const Json* const resource =
      resource_spans.contains("resource") ? &resource_spans["resource"] : nullptr;
  if (resource == nullptr || !resource->contains("attributes")) return {};
  for (const Json& attribute : (*resource)["attributes"])
    if (text(attribute, "key") == "service.name" && attribute.contains("value"))
      return text(attribute["value"], "stringValue");
  return {};
}

/// "SPAN_KIND_SERVER" as "server".
std::string enum_text(std::string name, std::string_view prefix) {
  if (name.starts_with(prefix)) name.erase(0, prefix.size());
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name;
}

void add_rows(const Json& resource_spans, std::vector<Row>& rows) {
  if (!resource_spans.is_object() || !resource_spans.contains("scopeSpans")) return;
  const std::string service = service_of(resource_spans);
  for (const Json& scope : resource_spans["scopeSpans"]) {
    if (!scope.is_object() || !scope.contains("spans")) continue;
    for (const Json& span : scope["spans"]) {
      if (!span.is_object()) continue;
      Row row{.id = text(span, "spanId"),
              .parent = text(span, "parentSpanId"),
              .service = service,
              .name = text(span, "name"),
              .kind = enum_text(text(span, "kind"), "SPAN_KIND_"),
              .status = {},
              .start_ns = number(span, "startTimeUnixNano"),
              .end_ns = number(span, "endTimeUnixNano")};
      if (span.contains("status") && span["status"].is_object())
        row.status = enum_text(text(span["status"], "code"), "STATUS_CODE_");
      rows.push_back(std::move(row));
    }
  }
}

/// Spans below their parents, siblings by start; orphans are roots. Every span is shown once,
/// whatever circle its parents make.
class SpanTree {
 public:
  explicit SpanTree(std::vector<Row> rows) : rows_(std::move(rows)) {
    std::ranges::stable_sort(rows_, {}, &Row::start_ns);
    std::set<std::string> ids;
    for (const Row& row : rows_) ids.insert(row.id);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const bool has_parent = !rows_[i].parent.empty() && ids.contains(rows_[i].parent);
      if (has_parent)
        children_[rows_[i].parent].push_back(i);
      else
        roots_.push_back(i);
    }
    is_shown_.resize(rows_.size());
  }

  std::vector<std::vector<std::string>> table() {
    std::vector<std::vector<std::string>> lines = {
        {"SPAN", "SERVICE", "KIND", "STATUS", "OFFSET", "DURATION"}};
    for (const std::size_t root : roots_) add(root, lines);
    for (std::size_t i = 0; i < rows_.size(); ++i) add(i, lines);
    return lines;
  }

 private:
  /// With an own stack: a trace may be as deep as it has spans.
  void add(std::size_t root, std::vector<std::vector<std::string>>& lines) {
    std::vector<std::pair<std::size_t, std::size_t>> waiting = {{root, 0}};
    while (!waiting.empty()) {
      const auto [index, depth] = waiting.back();
      waiting.pop_back();
      if (is_shown_[index]) continue;
      is_shown_[index] = true;
      const Row& row = rows_[index];
      constexpr std::size_t kDepthShownMax = 40;
      lines.push_back({std::string(2 * std::min(depth, kDepthShownMax), ' ') + row.name,
                       row.service, row.kind, row.status,
                       duration_text(row.start_ns - rows_.front().start_ns),
                       duration_text(std::max<std::int64_t>(row.end_ns - row.start_ns, 0))});
      const auto found = children_.find(row.id);
      if (found == children_.end()) continue;
      for (auto child = found->second.rbegin(); child != found->second.rend(); ++child)
        waiting.emplace_back(*child, depth + 1);
    }
  }

  std::vector<Row> rows_;
  std::vector<std::size_t> roots_;
  std::map<std::string, std::vector<std::size_t>> children_;
  std::vector<bool> is_shown_;
};

/// Sends, and gives the body of a good answer to `format`.
template <class Format>
int send_and_print(const TraceConnection& connection, const Result<net::ClientRequest>& request,
                   Format format) {
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
    print_error(fmt::format("HTTP {}: {}", response->status,
                            std::string_view(response->body).substr(0, 300)));
    return 1;
  }
  if (connection.json) {
    fmt::print("{}\n", response->body);
    return 0;
  }
  const Result<std::string> table = format(response->body);
  if (!table) {
    print_error(table.error().message);
    return 1;
  }
  fmt::print("{}", *table);
  return 0;
}

}  // namespace

Result<net::ClientRequest> make_search_request(const SearchOptions& options, TimestampMs now) {
  if (!options.start.empty() && !options.since.empty())
    return fail(Code::InvalidArgument, "--start and --since exclude each other");
  std::vector<std::pair<std::string_view, std::string>> fields = {
      {"q", options.query}, {"limit", std::to_string(options.limit)}};
  const auto seconds = [](TimestampMs time) { return std::to_string(time.since_epoch / 1000); };
  TimestampMs end = now;
  if (!options.end.empty()) {
    GANTRY_TRY(end, parse_time("--end", options.end));
  }
  if (!options.start.empty()) {
    GANTRY_TRY(const TimestampMs start, parse_time("--start", options.start));
    fields.emplace_back("start", seconds(start));
  } else if (!options.since.empty()) {
    const auto since = core::parse_duration(options.since);
    if (!since)
      return fail(Code::InvalidArgument, fmt::format("--since: {}", since.error().message));
    fields.emplace_back("start", seconds(end - *since));
  }
  // A server may look at recent traces only unless it is given both.
  const bool has_start = fields.size() > 2;
  if (has_start || !options.end.empty()) fields.emplace_back("end", seconds(end));
  return make_get(options.connection, "/api/search?" + encode_form(fields));
}

Result<net::ClientRequest> make_trace_request(const TraceOptions& options) {
  const bool is_hex = options.id.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (options.id.empty() || options.id.size() > 32 || !is_hex)
    return fail(Code::InvalidArgument,
                fmt::format("\"{}\" is no trace id: 1 to 32 hexadecimal digits", options.id));
  return make_get(options.connection, "/api/v2/traces/" + options.id);
}

Result<std::string> format_search_table(std::string_view answer) {
  const Json parsed = Json::parse(answer, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("metrics")) return std::unexpected(not_an_answer());
  std::vector<std::vector<std::string>> rows = {
      {"TRACE", "START", "DURATION", "MATCHED", "SERVICE", "NAME"}};
  if (parsed.contains("traces")) {
    if (!parsed["traces"].is_array()) return std::unexpected(not_an_answer());
    for (const Json& trace : parsed["traces"]) {
      if (!trace.is_object()) return std::unexpected(not_an_answer());
      std::int64_t matched = 0;
      if (trace.contains("spanSets") && trace["spanSets"].is_array())
        for (const Json& set : trace["spanSets"]) matched += set.value("matched", 0);
      rows.push_back({text(trace, "traceID"), time_text(number(trace, "startTimeUnixNano")),
                      fmt::format("{}ms", trace.value("durationMs", 0)), std::to_string(matched),
                      text(trace, "rootServiceName"), text(trace, "rootTraceName")});
    }
  }
  return align(rows);
}

Result<std::string> format_trace_table(std::string_view answer) {
  const Json parsed = Json::parse(answer, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("trace") || !parsed["trace"].is_object())
    return std::unexpected(not_an_answer());
  std::vector<Row> rows;
  if (parsed["trace"].contains("resourceSpans"))
    for (const Json& each : parsed["trace"]["resourceSpans"]) add_rows(each, rows);
  if (rows.empty()) return fail(Code::NotFound, "there is no such trace");
  std::string out = align(SpanTree(std::move(rows)).table());
  if (const std::string message = text(parsed, "message"); !message.empty()) out += message + "\n";
  return out;
}

int search(const SearchOptions& options) {
  const SystemClock clock;
  return send_and_print(options.connection, make_search_request(options, clock.now()),
                        format_search_table);
}

int trace(const TraceOptions& options) {
  return send_and_print(options.connection, make_trace_request(options), format_trace_table);
}

}  // namespace gantry::cli
