// GET /api/metrics/query_range and /api/metrics/query.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/prometheus_support.h"
#include "api/tempo_json.h"
#include "api/tempo_protobuf.h"
#include "api/tempo_support.h"
#include "core/duration.h"
#include "core/number_format.h"
#include "core/own_span.h"
#include "core/rfc3339.h"
#include "traceql/parser.h"

namespace gantry::api {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kIntervalsMax = 10'000;
constexpr std::uint32_t kExemplarsMax = 100;

enum class Shape : std::uint8_t { Range, Instant };

/// Whole seconds of up to ten digits, else nanoseconds; a decimal fraction makes it seconds; else
/// RFC 3339. Null for anything else.
std::optional<std::int64_t> parse_metrics_time(std::string_view text) {
  constexpr std::size_t kSecondsDigitsMax = 10;
  constexpr double kSecondsMax = 9e9;
  std::int64_t integer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
  if (error == std::errc() && end == text.data() + text.size())
    return text.size() <= kSecondsDigitsMax ? integer * kNsPerSecond : integer;
  if (text.contains('.') && text.find_first_not_of("0123456789.-+eE") == std::string_view::npos) {
    const auto seconds = core::parse_float(text);
    if (!seconds || std::abs(*seconds) > kSecondsMax) return std::nullopt;
    return std::llround(*seconds * 1000) * kNsPerMs;
  }
  if (const auto time = core::parse_rfc3339(text)) {
    if (std::abs(time->since_epoch) > static_cast<std::int64_t>(kSecondsMax) * 1000)
      return std::nullopt;
    return time->since_epoch * kNsPerMs;
  }
  return std::nullopt;
}

/// Decimal seconds or a Go duration.
TempoResult<std::int64_t> read_step(const TempoParameters& parameters) {
  const std::string_view text = parameters.text("step");
  if (text.empty()) return 0;
  constexpr double kSecondsMax = 9e9;
  std::optional<std::int64_t> step;
  if (const auto seconds = core::parse_float(text)) {
    if (std::isfinite(*seconds) && std::abs(*seconds) <= kSecondsMax)
      step = std::llround(*seconds * static_cast<double>(kNsPerSecond));
  } else {
    step = parse_go_duration(text);
  }
  if (!step) return tempo_bad_request(fmt::format("cannot parse \"{}\" to a valid duration", text));
  if (*step < 0)
    return tempo_bad_request(fmt::format("cannot parse \"{}\": step must be positive", text));
  return *step;
}

class MetricsApi {
 public:
  explicit MetricsApi(const Services& services) : services_(services) {}

  TempoResult<net::Response> query(net::Request& request, const access::StackView& view,
                                   Shape shape) const {
    const auto parameters = TempoParameters::read(request);
    if (!parameters) return std::unexpected(parameters.error());
    const auto query = read_query(*parameters, shape);
    if (!query) return std::unexpected(query.error());
    const Settings settings = settings_for(services_, view);
    auto metrics = read_request(*parameters, *query, shape, settings.tempo);
    if (!metrics) return std::unexpected(metrics.error());
    metrics->query = &*query;

    const core::OwnSpanScope span("traceql.metrics");
    describe_query(services_, view, *query);
    const auto answer = services_.traceql.metrics(
        *metrics, view.traces_source(), with_timeout(request.cancel, settings.query_timeout));
    describe_answer(answer);
    if (!answer) return std::unexpected(tempo_error(answer.error()));
    std::string partial;
    if (answer->is_truncated)
      partial = fmt::format(
          "Response exceeds maximum series limit of {}, a partial response is returned. Warning: "
          "the accuracy of each individual value is not guaranteed.",
          metrics->series_max);
    const traceql::SearchStatistics statistics = shown_statistics(answer->statistics, view);
    return tempo_response(request, [&](TempoFormat format) {
      const bool is_protobuf = format == TempoFormat::Protobuf;
      if (shape == Shape::Instant)
        return is_protobuf ? instant_protobuf(*answer, statistics, partial)
                           : instant_json(*answer, statistics, partial);
      return is_protobuf ? range_protobuf(*answer, statistics, partial)
                         : range_json(*answer, statistics, partial);
    });
  }

 private:
  static TempoResult<traceql::Query> read_query(const TempoParameters& parameters, Shape shape) {
    const auto text = read_query_text(parameters, parameters.has("q") ? "q" : "query");
    if (!text) return std::unexpected(text.error());
    auto query = traceql::parse(*text);
    if (!query) {
      const bool names_stage =
          shape == Shape::Instant || query.error().kind != traceql::RefusalKind::Parse;
      return tempo_bad_request((names_stage ? "compiling query: " : "") + query.error().message);
    }
    if (!query->is_metrics()) return tempo_bad_request("not a metrics query");
    return *std::move(query);
  }

  static TempoResult<std::optional<std::int64_t>> read_time(const TempoParameters& parameters,
                                                            std::string_view name) {
    const std::string_view text = parameters.text(name);
    if (text.empty()) return std::nullopt;
    const auto time = parse_metrics_time(text);
    if (!time)
      return tempo_bad_request(fmt::format(
          "could not parse '{}' parameter: cannot parse \"{}\" to a valid timestamp", name, text));
    return time;
  }

  TempoResult<void> read_range(const TempoParameters& parameters,
                               traceql::MetricsRequest& request) const {
    const auto start = read_time(parameters, "start");
    if (!start) return std::unexpected(start.error());
    const auto end = read_time(parameters, "end");
    if (!end) return std::unexpected(end.error());
    std::int64_t since_ns = 3600 * kNsPerSecond;
    if (const std::string_view text = parameters.text("since"); !text.empty()) {
      const auto since = core::parse_duration(text);
      if (!since)
        return tempo_bad_request("could not parse 'since' parameter: " + since.error().message);
      since_ns = since->count * kNsPerMs;
    }
    const std::int64_t now_ns = services_.clock.now().since_epoch * kNsPerMs;
    request.end_ns = end->value_or(now_ns);
    request.start_ns = start->value_or(std::min(request.end_ns, now_ns) - since_ns);
    return {};
  }

  TempoResult<traceql::MetricsRequest> read_request(const TempoParameters& parameters,
                                                    const traceql::Query& query, Shape shape,
                                                    const TempoSettings& settings) const {
    traceql::MetricsRequest request;
    if (auto done = read_range(parameters, request); !done) return std::unexpected(done.error());
    if (request.end_ns <= request.start_ns)
      return tempo_bad_request("end must be greater than start");
    const std::int64_t range_max_ns = settings.metrics_range_max.count * kNsPerMs;
    if (range_max_ns != 0 && request.end_ns - request.start_ns > range_max_ns)
      return tempo_bad_request(
          fmt::format("metrics query time range exceeds the maximum allowed duration of {}",
                      traceql::format_go_duration(range_max_ns)));
    if (shape == Shape::Range) {
      const auto step = read_checked_step(parameters, request);
      if (!step) return std::unexpected(step.error());
      request.step_ns = *step;
    }
    if (auto done = read_bounds(parameters, query, shape, request); !done)
      return std::unexpected(done.error());
    return request;
  }

  static TempoResult<std::int64_t> read_checked_step(const TempoParameters& parameters,
                                                     const traceql::MetricsRequest& request) {
    const auto given = read_step(parameters);
    if (!given) return given;
    const std::int64_t step =
        *given != 0 ? *given : traceql::default_step_ns(request.start_ns, request.end_ns);
    const std::int64_t range = request.end_ns - request.start_ns;
    if (range / step > kIntervalsMax)
      return tempo_bad_request(fmt::format(
          "step of {} is too small, minimum step for given range is {}",
          traceql::format_go_duration(step), traceql::format_go_duration(range / kIntervalsMax)));
    return step;
  }

  /// Series and exemplars; the query's own hint on exemplars wins.
  static TempoResult<void> read_bounds(const TempoParameters& parameters,
                                       const traceql::Query& query, Shape shape,
                                       traceql::MetricsRequest& request) {
    const auto clamped = [](std::int64_t count) {
      return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, kExemplarsMax));
    };
    const auto exemplars = parameters.integer("exemplars");
    if (!exemplars) return std::unexpected(exemplars.error());
    const std::int64_t wanted = exemplars->value_or(0);
    request.exemplars_max = wanted == 0 ? kExemplarsMax : clamped(wanted);
    if (const traceql::Static* const hint = query.hint("exemplars")) {
      if (hint->type == traceql::StaticType::Bool && !hint->boolean) request.exemplars_max = 0;
      if (hint->type == traceql::StaticType::Int) request.exemplars_max = clamped(hint->integer);
    }
    if (shape == Shape::Instant) request.exemplars_max = 0;

    const auto series = parameters.integer("maxSeries");
    if (!series) return std::unexpected(series.error());
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    request.series_max =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(series->value_or(0), 0, kMost));
    return {};
  }

  const Services& services_;
};

}  // namespace

void add_tempo_metrics_routes(net::Router& router, const Services& services,
                              TempoRefusals refusals) {
  const MetricsApi api(services);
  const auto add = [&](std::string_view path, std::string_view name, Shape shape) {
    add_tempo_route(router, net::Method::Get, path, name, services, access::Scope::TracesRead,
                    refusals, [api, shape](net::Request& request, const access::StackView& view) {
                      return api.query(request, view, shape);
                    });
  };
  add("/api/metrics/query_range", "tempo_query_range", Shape::Range);
  add("/api/metrics/query", "tempo_query", Shape::Instant);
}

}  // namespace gantry::api
