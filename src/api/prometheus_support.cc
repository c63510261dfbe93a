#include "api/prometheus_support.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "core/duration.h"
#include "core/number_format.h"
#include "core/rfc3339.h"
#include "core/time.h"
#include "promql/parser.h"

namespace gantry::api {
namespace {

constexpr std::size_t kAnnotationsMax = 10;

/// What the endpoints read once. Lists (match[], rule_name[]) and what nobody reads may repeat.
constexpr auto kSingleValued = std::to_array<std::string_view>(
    {"query", "time", "start", "end", "step", "timeout", "limit", "lookback_delta", "stats",
     "metric", "limit_per_metric", "type", "state"});

void append_texts(std::string& out, std::string_view key, std::string_view kind,
                  const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  core::JsonWriter json(out);
  out += ",\"";
  out += key;
  out += "\":";
  json.begin_array();
  const std::size_t shown = std::min(texts.size(), kAnnotationsMax);
  for (std::size_t i = 0; i < shown; ++i) json.string(texts[i], core::HtmlEscape::Yes);
  if (texts.size() > shown) {
    json.string(fmt::format("{} more {} annotations omitted", texts.size() - shown, kind));
  }
  json.end_array();
}

bool is_form(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  constexpr std::string_view kForm = "application/x-www-form-urlencoded";
  return std::equal(content_type.begin(), content_type.end(), kForm.begin(), kForm.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

/// A refusal that the endpoint itself made, not the gate.
void note_denial(const Services& services, const access::StackView& view,
                 const net::Request& request) {
  if (services.audit == nullptr) return;
  auto event =
      stack_event(view.is_restricted() ? "lbac.denied" : "authz.denied", view.principal(), request);
  event.outcome = access::Outcome::Denied;
  event.target = {.type = "endpoint", .id = request.path, .name = {}};
  event.reason = "endpoint";
  services.audit->note_sampled(fmt::format("denied {} {}", view.principal().token_id, request.path),
                               std::move(event));
}

}  // namespace

access::AuditEvent stack_event(std::string name, const access::Principal& principal,
                               const net::Request& request) {
  const bool is_token = principal.kind == access::PrincipalKind::Token;
  return {.event = std::move(name),
          .actor = {.type = is_token ? access::Actor::Type::Token : access::Actor::Type::System,
                    .id = principal.token_id,
                    .name = principal.policy_name},
          .org = principal.org,
          .stack = principal.stack,
          .client = access::client_context(request)};
}

std::uint64_t response_bytes_max(const Services& services, const access::StackView& view) {
  const auto& policy = view.principal().query_policy;
  return policy ? policy->response_bytes_max.value_or(services.response_bytes_max)
                : services.response_bytes_max;
}

net::Response refusal_response(const access::AccessError& error) {
  std::string_view type = "unauthorized";
  if (error.status == 400) type = "bad_data";
  if (error.status == 429) type = "too_many_requests";
  if (error.status == 503) type = "unavailable";
  net::Response response =
      error_response({.status = error.status, .type = type, .message = error.message});
  error.add_headers(response.headers);
  return response;
}

net::Handler admit_prometheus(const Services& services, access::Scope scope, StackHandler handler) {
  return [&services, scope, handler = std::move(handler)](net::Request& request) {
    const auto view = services.gate.admit(request, {.scope = scope});
    if (!view) return refusal_response(view.error());
    auto answer = handler(request, *view);
    if (!answer && answer.error().status == 403) note_denial(services, *view, request);
    net::Response response = answer ? *std::move(answer) : error_response(answer.error());
    const std::uint64_t bytes_max = response_bytes_max(services, *view);
    if (bytes_max != 0 && response.body.size() > bytes_max)
      response = error_response(
          {.status = 422,
           .type = "execution",
           .message = fmt::format("the answer has {} bytes, the limit for this token is {}",
                                  response.body.size(), bytes_max)});
    if (services.count_use) services.count_use(view->principal(), request, response);
    return response;
  };
}

void add_prometheus_route(net::Router& router, net::Method method, std::string_view path,
                          net::RouteOptions options, const Services& services, access::Scope scope,
                          StackHandler handler) {
  options.access = access::scope_name(scope);
  router.add(method, path, std::move(options),
             admit_prometheus(services, scope, std::move(handler)));
}

Settings settings_for(const Services& services, const access::StackView& view) {
  Settings settings = services.settings();
  const auto& policy = view.principal().query_policy;
  if (!policy) return settings;
  if (policy->timeout_ms) settings.query_timeout = DurationMs{*policy->timeout_ms};
  if (policy->points_max) settings.steps_max = *policy->points_max;
  if (policy->samples_max) settings.samples_max = *policy->samples_max;
  return settings;
}

std::unexpected<ApiError> not_for_restricted() {
  return std::unexpected(ApiError{.status = 403,
                                  .type = "unauthorized",
                                  .message = "endpoint not available on the read-only API"});
}

std::unexpected<ApiError> bad_data(std::string message) {
  return std::unexpected(ApiError{.message = std::move(message)});
}

std::unexpected<ApiError> bad_parameter(std::string_view name, std::string_view reason) {
  return bad_data(fmt::format("invalid parameter \"{}\": {}", name, reason));
}

ApiError api_error(const Error& error) {
  switch (error.code) {
    case Code::InvalidArgument:
      return {400, "bad_data", error.message};
    case Code::NotFound:
      return {404, "not_found", error.message};
    case Code::FailedPrecondition:
    case Code::OutOfRange:
    case Code::ResourceExhausted:
      return {422, "execution", error.message};
    case Code::DeadlineExceeded:
      return {503, "timeout", error.message};
    case Code::Cancelled:
      return {499, "canceled", error.message};
    case Code::Unavailable:
      return {503, "unavailable", error.message};
    case Code::TooLarge:
      return {413, "bad_data", error.message};
    case Code::PermissionDenied:
      return {403, "unauthorized", error.message};
    case Code::Unauthenticated:
    case Code::AlreadyExists:
    case Code::Unimplemented:
    case Code::Internal:
    case Code::DataLoss:
    case Code::Unsupported:
      break;
  }
  return {500, "internal", error.message};
}

net::Response error_response(const ApiError& error) {
  std::string body = R"({"status":"error","errorType":)";
  core::append_json_string(body, error.type);
  body += R"(,"error":)";
  core::append_json_string(body, error.message, core::HtmlEscape::Yes);
  body += "}";
  return net::json_response(error.status, std::move(body));
}

void append_annotations(std::string& out, const promql::Annotations& annotations) {
  append_texts(out, "warnings", "warning", annotations.warnings);
  append_texts(out, "infos", "info", annotations.infos);
  out.push_back('}');
}

net::Response success_response(std::string_view data, const promql::Annotations& annotations) {
  std::string body = R"({"status":"success","data":)";
  body += data;
  append_annotations(body, annotations);
  return net::json_response(200, std::move(body));
}

ApiResult<net::Parameters> read_parameters(const net::Request& request) {
  net::Parameters merged;
  const bool takes_body = request.method == net::Method::Post || request.method == net::Method::Put;
  if (takes_body && is_form(request.headers.find("Content-Type"))) {
    auto form = net::Parameters::parse(request.body);
    if (!form) return bad_data("error parsing form values: " + form.error().message);
    merged = *std::move(form);
  }
  auto url = net::Parameters::parse(request.raw_query);
  if (!url) return bad_data("error parsing form values: " + url.error().message);
  for (const auto& [name, value] : url->items()) merged.add(name, value);
  for (const std::string_view name : kSingleValued) {
    const std::vector<std::string_view> values = merged.find_all(name);
    if (std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) != values.end())
      return bad_parameter(name, "given several times with different values");
  }
  return merged;
}

std::optional<std::int64_t> parse_time_ms(std::string_view text) {
  if (const auto seconds = core::parse_float(text)) {
    // Milliseconds in a seconds field are far in the future, not an error (Grafana sends them).
    const double ms = std::round(*seconds * 1000);
    if (std::isnan(ms)) return std::nullopt;
    if (ms >= static_cast<double>(kLatestMs)) return kLatestMs;
    if (ms <= static_cast<double>(kEarliestMs)) return kEarliestMs;
    return static_cast<std::int64_t>(ms);
  }
  if (text == "-292273086-05-16T16:47:06Z") return kEarliestMs;
  if (text == "292277025-08-18T07:12:54.999999999Z") return kLatestMs;
  if (const auto time = core::parse_rfc3339(text)) return time->since_epoch;
  return std::nullopt;
}

ApiResult<DurationMs> parse_duration_ms(std::string_view text) {
  if (const auto seconds = core::parse_float(text)) {
    const double ms = *seconds * 1000;
    if (std::isnan(ms) || std::abs(ms) > static_cast<double>(kLatestMs)) {
      return bad_data(
          fmt::format("cannot parse \"{}\" to a valid duration. It overflows int64", text));
    }
    return DurationMs{static_cast<std::int64_t>(ms)};
  }
  if (const auto duration = core::parse_duration(text)) return *duration;
  return bad_data(fmt::format("cannot parse \"{}\" to a valid duration", text));
}

ApiResult<TimeRange> read_time_range(const net::Parameters& parameters) {
  TimeRange range;
  const auto read = [&](std::string_view name, std::int64_t& out) -> ApiResult<void> {
    const auto text = parameters.find(name);
    if (!text || text->empty()) return {};
    const auto time = parse_time_ms(*text);
    if (!time) {
      return bad_parameter(name, fmt::format("invalid time value for '{}': cannot parse \"{}\" to "
                                             "a valid timestamp",
                                             name, *text));
    }
    out = *time;
    return {};
  };
  GANTRY_CHECK(read("start", range.start_ms));
  GANTRY_CHECK(read("end", range.end_ms));
  return range;
}

ApiResult<std::size_t> read_limit(const net::Parameters& parameters) {
  const auto text = parameters.find("limit");
  if (!text || text->empty()) return 0;
  std::int64_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{} || end != text->data() + text->size()) {
    return bad_parameter("limit",
                         fmt::format("strconv.Atoi: parsing \"{}\": invalid syntax", *text));
  }
  if (limit < 0) return bad_parameter("limit", "limit must be non-negative");
  return static_cast<std::size_t>(limit);
}

ApiResult<Selectors> read_selectors(const net::Parameters& parameters, bool prefix_errors) {
  Selectors selectors;
  for (const std::string_view text : parameters.find_all("match[]")) {
    auto matchers = promql::parse_metric_selector(text);
    if (!matchers) return bad_parameter("match[]", matchers.error().message);
    const bool is_empty = std::all_of(matchers->begin(), matchers->end(),
                                      [](const auto& m) { return m.matches_empty(); });
    if (is_empty) {
      constexpr std::string_view kText = "match[] must contain at least one non-empty matcher";
      if (prefix_errors) return bad_parameter("match[]", kText);
      return bad_data(std::string(kText));
    }
    selectors.push_back(*std::move(matchers));
  }
  return selectors;
}

CancelToken with_timeout(const CancelToken& request, DurationMs timeout) {
  constexpr std::int64_t kLongestMs = std::numeric_limits<std::int64_t>::max() / 4'000'000;
  return request.narrowed_to(monotonic_ns() + std::min(timeout.count, kLongestMs) * 1'000'000);
}

void append_label_object(std::string& out, const promql::LabelPairs& labels) {
  out.push_back('{');
  bool needs_comma = false;
  for (const auto& [name, value] : labels) {
    if (needs_comma) out.push_back(',');
    needs_comma = true;
    core::append_json_string(out, name);
    out.push_back(':');
    core::append_json_string(out, value);
  }
  out.push_back('}');
}

}  // namespace gantry::api
