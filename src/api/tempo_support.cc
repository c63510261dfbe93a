#include "api/tempo_support.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "api/prometheus_support.h"
#include "traceql/parser.h"

namespace gantry::api {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

/// Tempo's query_frontend.max_query_expression_size_bytes.
constexpr std::size_t kQueryBytesMax = 128 << 10;

net::Response text_error(const TempoError& error) {
  return net::text_response(error.status, error.message);
}

net::Response render_error(const net::Request&, int status, std::string_view message) {
  return net::text_response(status, std::string(message));
}

net::Response refusal(const access::AccessError& error, TempoRefusals refusals) {
  if (refusals == TempoRefusals::Json) return refusal_response(error);
  net::Response response = net::text_response(error.status, error.message);
  error.add_headers(response.headers);
  return response;
}

/// As strconv.ParseInt says it.
std::string not_a_number(std::string_view text) {
  return fmt::format("strconv.ParseInt: parsing \"{}\": invalid syntax", text);
}

}  // namespace

std::unexpected<TempoError> tempo_bad_request(std::string message) {
  return std::unexpected(TempoError{.status = 400, .message = std::move(message)});
}

TempoError tempo_error(const Error& error) {
  switch (error.code) {
    case Code::InvalidArgument:
    case Code::FailedPrecondition:
    case Code::OutOfRange:
    case Code::Unimplemented:
      return {400, error.message};
    case Code::PermissionDenied:
      return {403, error.message};
    case Code::NotFound:
      return {404, error.message};
    case Code::ResourceExhausted:
    case Code::TooLarge:
      return {422, error.message};
    case Code::Cancelled:
      return {499, error.message};
    case Code::Unavailable:
      return {503, error.message};
    case Code::DeadlineExceeded:
      return {504, error.message};
    case Code::AlreadyExists:
    case Code::Internal:
    case Code::DataLoss:
    case Code::Unauthenticated:
    case Code::Unsupported:
      break;
  }
  return {500, error.message};
}

void add_tempo_route(net::Router& router, net::Method method, std::string_view path,
                     std::string_view name, const Services& services, access::Scope scope,
                     TempoRefusals refusals, TempoHandler handler) {
  router.add(method, path,
             {.name = std::string(name),
              .access = std::string(access::scope_name(scope)),
              .render_error = render_error},
             [&services, scope, refusals, handler = std::move(handler)](net::Request& request) {
               const auto view = services.gate.admit(request, {.scope = scope});
               if (!view) return refusal(view.error(), refusals);
               auto answer = handler(request, *view);
               net::Response response = answer ? *std::move(answer) : text_error(answer.error());
               const std::uint64_t bytes_max = response_bytes_max(services, *view);
               if (bytes_max != 0 && response.body.size() > bytes_max)
                 response = text_error(
                     {422, fmt::format("the answer has {} bytes, the limit for this token is {}",
                                       response.body.size(), bytes_max)});
               if (services.count_use) services.count_use(view->principal(), request, response);
               return response;
             });
}

TempoResult<TempoParameters> TempoParameters::read(const net::Request& request) {
  TempoParameters parameters;
  auto parsed = net::Parameters::parse(request.raw_query);
  if (!parsed) return tempo_bad_request(parsed.error().message);
  parameters.parameters_ = *std::move(parsed);
  return parameters;
}

TempoResult<std::optional<std::int64_t>> TempoParameters::integer(std::string_view name) const {
  const std::string_view value = text(name);
  if (value.empty()) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size())
    return tempo_bad_request(fmt::format("invalid {}: {}", name, not_a_number(value)));
  return number;
}

TempoResult<std::string_view> read_query_text(const TempoParameters& parameters,
                                              std::string_view name) {
  const std::string_view text = parameters.text(name);
  if (text.size() > kQueryBytesMax)
    return tempo_bad_request(fmt::format(
        "TraceQL expression exceeds the configured maximum size of {} bytes, reduce the query "
        "expression size or contact your system administrator",
        kQueryBytesMax));
  return text;
}

std::int64_t TempoSeconds::start_ns() const {
  return start_s * kNsPerSecond;
}

std::int64_t TempoSeconds::end_ns() const {
  if (end_s == 0) return std::numeric_limits<std::int64_t>::max();
  return end_s * kNsPerSecond + (kNsPerSecond - 1);
}

TempoResult<TempoSeconds> read_seconds(const TempoParameters& parameters) {
  TempoSeconds range;
  const auto read = [&](std::string_view name, std::int64_t& out) -> TempoResult<void> {
    const auto number = parameters.integer(name);
    if (!number) return std::unexpected(number.error());
    const std::int64_t seconds = number->value_or(0);
    if (seconds < 0 || seconds > std::numeric_limits<std::uint32_t>::max())
      return tempo_bad_request(
          fmt::format("invalid {}: {} is not a time in Unix seconds", name, parameters.text(name)));
    out = seconds;
    return {};
  };
  if (auto done = read("start", range.start_s); !done) return std::unexpected(done.error());
  if (auto done = read("end", range.end_s); !done) return std::unexpected(done.error());
  if (range.start_s != 0 && range.end_s != 0 && range.end_s <= range.start_s)
    return tempo_bad_request(
        fmt::format("http parameter start must be before end. received start={} end={}",
                    range.start_s, range.end_s));
  return range;
}

TempoResult<telemetry::TraceId> parse_trace_id(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  for (std::size_t i = 0; i < text.size(); ++i)
    if (digit(text[i]) < 0)
      return tempo_bad_request(fmt::format(
          "trace IDs can only contain hex characters: invalid character '{}' at position {}",
          text[i], i + 1));
  telemetry::TraceId id;
  if (text.size() > 2 * id.bytes.size())
    return tempo_bad_request("trace IDs can't be larger than 128 bits");
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t from_end = text.size() - 1 - i;
    const auto value = static_cast<std::uint8_t>(digit(text[i]));
    std::uint8_t& byte = id.bytes[id.bytes.size() - 1 - from_end / 2];
    byte = static_cast<std::uint8_t>(byte | (from_end % 2 == 0 ? value : value << 4U));
  }
  return id;
}

std::optional<std::int64_t> parse_go_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ns = 0;
  };

  static constexpr std::array kUnits = {Unit{"ns", 1},   Unit{"us", 1e3},  Unit{"µs", 1e3},
                                        Unit{"μs", 1e3}, Unit{"ms", 1e6},  Unit{"s", 1e9},
                                        Unit{"m", 60e9}, Unit{"h", 3600e9}};
  double sign = 1;
  if (text.starts_with('-') || text.starts_with('+')) {
    if (text.front() == '-') sign = -1;
    text.remove_prefix(1);
  }
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  long double sum = 0;
  while (!text.empty()) {
    const std::size_t number_end = text.find_first_not_of("0123456789.");
    if (number_end == 0 || number_end == std::string_view::npos) return std::nullopt;
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + number_end, number);
    if (error != std::errc() || end != text.data() + number_end) return std::nullopt;
    text.remove_prefix(number_end);
    const std::size_t unit_end = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = std::ranges::find(kUnits, text.substr(0, unit_end), &Unit::name);
    if (unit == kUnits.end()) return std::nullopt;
    sum += static_cast<long double>(number) * static_cast<long double>(unit->ns);
    text.remove_prefix(unit_end);
  }
  if (sum >= static_cast<long double>(std::numeric_limits<std::int64_t>::max()))
    return std::nullopt;
  return static_cast<std::int64_t>(sign * sum);
}

traceql::SearchStatistics shown_statistics(const traceql::SearchStatistics& statistics,
                                           const access::StackView& view) {
  return view.is_restricted() ? traceql::SearchStatistics() : statistics;
}

TempoFormat accepted_format(const net::Request& request) {
  const bool takes_protobuf = request.headers.find("Accept").contains("application/protobuf");
  return takes_protobuf ? TempoFormat::Protobuf : TempoFormat::Json;
}

net::Response tempo_response(TempoFormat format, std::string body) {
  net::Response response{.status = 200, .body = std::move(body)};
  response.headers.set("Content-Type", format == TempoFormat::Protobuf ? "application/protobuf"
                                                                       : "application/json");
  return response;
}

void add_tempo_routes(net::Router& router, const Services& services, TempoRefusals refusals) {
  add_tempo_trace_routes(router, services, refusals);
  add_tempo_search_route(router, services, refusals);
  add_tempo_tag_routes(router, services, refusals);
  add_tempo_metrics_routes(router, services, refusals);
}

void describe_query(const Services& services, const access::StackView& view,
                    const traceql::Query& query) {
  if (!core::is_own_span_recorded()) return;
  core::annotate_own_span("gantry.stack", std::int64_t{view.stack().value()});
  if (services.may_trace_content && services.may_trace_content(view.stack()))
    core::annotate_own_span("gantry.query.text", traceql::format(query));
}

net::Response tempo_response(const net::Request& request,
                             const std::function<std::string(TempoFormat)>& encode) {
  const TempoFormat format = accepted_format(request);
  return tempo_response(format, encode(format));
}

}  // namespace gantry::api
