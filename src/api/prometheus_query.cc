// query, query_range, query_exemplars, format_query, parse_query.

#include <utility>

#include <fmt/format.h>

#include "api/answer_json.h"
#include "api/ast_json.h"
#include "api/prometheus.h"
#include "api/prometheus_support.h"
#include "api/retention_watch.h"
#include "core/number_format.h"
#include "core/own_span.h"
#include "core/rfc3339.h"
#include "promql/parser.h"
#include "promql/printer.h"

namespace gantry::api {
namespace {

/// What instant and range queries have in common.
struct CommonParameters {
  std::string query;
  std::size_t limit = 0;
  DurationMs timeout;
  std::optional<std::int64_t> lookback_ms;
  std::string stats;
};

ApiResult<void> read_timeout(const net::Parameters& parameters, DurationMs server_timeout,
                             CommonParameters& out) {
  out.timeout = server_timeout;
  const auto text = parameters.find("timeout");
  if (!text || text->empty()) return {};
  const auto timeout = parse_duration_ms(*text);
  if (!timeout) return bad_parameter("timeout", timeout.error().message);
  // A client may only shorten it.
  out.timeout = std::min(out.timeout, *timeout);
  return {};
}

ApiResult<void> read_lookback(const net::Parameters& parameters, CommonParameters& out) {
  const auto text = parameters.find("lookback_delta");
  if (!text || text->empty()) return {};
  const auto lookback = parse_duration_ms(*text);
  if (!lookback) {
    return bad_data("error parsing lookback delta duration: " + lookback.error().message);
  }
  if (lookback->count <= 0) {
    return bad_data("error parsing lookback delta duration: it must be positive");
  }
  out.lookback_ms = lookback->count;
  return {};
}

ApiResult<std::int64_t> read_time(const net::Parameters& parameters, std::string_view name,
                                  std::optional<std::int64_t> fallback) {
  const auto text = parameters.find(name);
  if ((!text || text->empty()) && fallback) return *fallback;
  const auto time = parse_time_ms(text.value_or(""));
  if (time) return *time;
  // query_range has the bare text, everything else names the parameter twice, as Prometheus does.
  const std::string bare =
      fmt::format("cannot parse \"{}\" to a valid timestamp", text.value_or(""));
  if (!fallback) return bad_parameter(name, bare);
  return bad_parameter(name, fmt::format("invalid time value for '{}': {}", name, bare));
}

/// The engine's InvalidArgument is about the query's text.
ApiError query_error(const Error& error) {
  if (error.code != Code::InvalidArgument) return api_error(error);
  return bad_parameter("query", error.message).error();
}

net::Response finish(promql::Answer answer, const CommonParameters& common,
                     std::int64_t started_ns) {
  truncate_answer(answer, common.limit);
  std::string stats;
  if (!common.stats.empty()) {
    stats =
        statistics_json(answer.statistics, static_cast<double>(monotonic_ns() - started_ns) / 1e9);
    if (common.stats != "true" && common.stats != "all") {
      answer.annotations.warnings.push_back(
          fmt::format("value \"{}\" for parameter \"stats\" is deprecated and will be rejected in "
                      "the next major release, use \"true\" or \"all\"",
                      common.stats));
    }
  }
  return answer_response(std::move(answer), std::move(stats));
}

class QueryApi {
 public:
  explicit QueryApi(const Services& services) : services_(services) {}

  ApiResult<net::Response> instant(net::Request& request, const access::StackView& view) const {
    const std::int64_t started_ns = monotonic_ns();
    const Settings settings = settings_for(services_, view);
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    CommonParameters common{.query = std::string(parameters.find("query").value_or("")),
                            .stats = std::string(parameters.find("stats").value_or(""))};
    GANTRY_TRY(common.limit, read_limit(parameters));
    GANTRY_TRY(const std::int64_t time_ms,
               read_time(parameters, "time", services_.clock.now().since_epoch));
    GANTRY_CHECK(read_timeout(parameters, settings.query_timeout, common));
    GANTRY_CHECK(read_lookback(parameters, common));
    const promql::InstantRequest query{.query = common.query,
                                       .time_ms = time_ms,
                                       .lookback_ms = common.lookback_ms,
                                       .samples_max = settings.samples_max};
    const std::optional<TimestampMs> kept_since = find_kept_since(view);
    const RetentionWatch watch(view.metrics_source(), start_of(kept_since));
    auto answer = [&] {
      const core::OwnSpanScope span("promql.instant");
      auto found =
          services_.engine.instant(query, watch, with_timeout(request.cancel, common.timeout));
      describe(view, common.query, found);
      return found;
    }();
    if (!answer) return std::unexpected(query_error(answer.error()));
    if (watch.is_all_too_old() && is_empty(answer->value))
      answer->annotations.warnings.push_back(too_old_text(*kept_since));
    return finish(*std::move(answer), common, started_ns);
  }

  ApiResult<net::Response> range(net::Request& request, const access::StackView& view) const {
    const std::int64_t started_ns = monotonic_ns();
    const Settings settings = settings_for(services_, view);
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    CommonParameters common{.query = std::string(parameters.find("query").value_or("")),
                            .stats = std::string(parameters.find("stats").value_or(""))};
    GANTRY_TRY(common.limit, read_limit(parameters));
    GANTRY_TRY(const std::int64_t start_ms, read_time(parameters, "start", std::nullopt));
    GANTRY_TRY(const std::int64_t end_ms, read_time(parameters, "end", std::nullopt));
    if (end_ms < start_ms) {
      return bad_parameter("end", "end timestamp must not be before start time");
    }
    GANTRY_TRY(const std::int64_t step_ms, read_step(parameters));
    if ((end_ms - start_ms) / step_ms > settings.steps_max) {
      return bad_data(resolution_text(settings.steps_max));
    }
    GANTRY_CHECK(read_timeout(parameters, settings.query_timeout, common));
    GANTRY_CHECK(read_lookback(parameters, common));
    const promql::RangeRequest query{.query = common.query,
                                     .start_ms = start_ms,
                                     .end_ms = end_ms,
                                     .step_ms = step_ms,
                                     .lookback_ms = common.lookback_ms,
                                     .samples_max = settings.samples_max};
    const std::optional<TimestampMs> kept_since = find_kept_since(view);
    const RetentionWatch watch(view.metrics_source(), start_of(kept_since));
    auto answer = [&] {
      const core::OwnSpanScope span("promql.range");
      core::annotate_own_span("gantry.query.range_ms", end_ms - start_ms);
      core::annotate_own_span("gantry.query.step_ms", step_ms);
      auto found =
          services_.engine.range(query, watch, with_timeout(request.cancel, common.timeout));
      describe(view, common.query, found);
      return found;
    }();
    if (!answer) return std::unexpected(query_error(answer.error()));
    if (watch.is_all_too_old() && is_empty(answer->value))
      answer->annotations.warnings.push_back(too_old_text(*kept_since));
    return finish(*std::move(answer), common, started_ns);
  }

  ApiResult<net::Response> exemplars(net::Request& request, const access::StackView& view) const {
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    GANTRY_TRY(const TimeRange range, read_time_range(parameters));
    if (range.end_ms < range.start_ms) {
      return bad_data("end timestamp must not be before start timestamp");
    }
    const std::string query(parameters.find("query").value_or(""));
    auto expr = promql::parse(query, services_.engine.options().parser);
    if (!expr) return bad_data(expr.error().message);
    Selectors selectors;
    collect_selectors(**expr, selectors);
    if (selectors.empty()) return net::Response{.status = 204};
    const auto found = view.metrics_source().exemplars(
        selectors, range.start_ms, range.end_ms,
        with_timeout(request.cancel, services_.settings().query_timeout));
    if (!found) return std::unexpected(api_error(found.error()));
    return success_response(exemplars_json(*found));
  }

  ApiResult<net::Response> format(net::Request& request, const access::StackView&) const {
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    GANTRY_TRY(const promql::ExprPtr expr, parse(parameters));
    std::string data;
    core::append_json_string(data, promql::print_pretty(*expr), core::HtmlEscape::Yes);
    return success_response(data);
  }

  ApiResult<net::Response> tree(net::Request& request, const access::StackView&) const {
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    GANTRY_TRY(const promql::ExprPtr expr, parse(parameters));
    return success_response(ast_json(*expr));
  }

 private:
  [[nodiscard]] std::optional<TimestampMs> find_kept_since(const access::StackView& view) const {
    return services_.kept_since ? services_.kept_since(view.stack()) : std::nullopt;
  }

  static std::int64_t start_of(std::optional<TimestampMs> kept_since) {
    return kept_since ? kept_since->since_epoch : kEarliestMs;
  }

  static bool is_empty(const promql::Value& value) {
    const auto* const vector = std::get_if<std::vector<promql::VectorElement>>(&value);
    const auto* const matrix = std::get_if<std::vector<promql::ResultSeries>>(&value);
    return (vector != nullptr && vector->empty()) || (matrix != nullptr && matrix->empty());
  }

  static std::string too_old_text(TimestampMs kept_since) {
    return fmt::format("the time range is outside the retention: nothing from before {} is kept",
                       core::format_rfc3339(kept_since));
  }

  /// For Gantry's own traces: the query as it was understood, and its figures.
  void describe(const access::StackView& view, std::string_view query,
                const Result<promql::Answer>& answer) const {
    if (!core::is_own_span_recorded()) return;
    core::annotate_own_span("gantry.stack", std::int64_t{view.stack().value()});
    const bool shows = services_.may_trace_content && services_.may_trace_content(view.stack());
    if (shows) {
      const auto expr = promql::parse(query, services_.engine.options().parser);
      core::annotate_own_span("gantry.query.text",
                              expr ? promql::print(**expr) : std::string(query));
    }
    if (!answer) {
      core::fail_own_span(shows ? std::string_view(answer.error().message) : "the query failed");
      return;
    }
    const promql::QueryStatistics& figures = answer->statistics;
    core::annotate_own_span("gantry.query.samples_read",
                            static_cast<std::int64_t>(figures.samples_read));
    core::annotate_own_span("gantry.query.samples_peak",
                            static_cast<std::int64_t>(figures.samples_peak));
    core::annotate_own_span("gantry.query.preparation_seconds", figures.preparation_seconds);
    core::annotate_own_span("gantry.query.evaluation_seconds", figures.evaluation_seconds);
  }

  static std::string resolution_text(std::uint32_t steps_max) {
    std::string steps = std::to_string(steps_max);
    for (std::size_t at = steps.size(); at > 3; at -= 3) steps.insert(at - 3, ",");
    return fmt::format(
        "exceeded maximum resolution of {} points per timeseries. Try decreasing "
        "the query resolution (?step=XX)",
        steps);
  }

  static ApiResult<std::int64_t> read_step(const net::Parameters& parameters) {
    const auto step = parse_duration_ms(parameters.find("step").value_or(""));
    if (!step) return bad_parameter("step", step.error().message);
    if (step->count <= 0) {
      return bad_parameter("step",
                           "zero or negative query resolution step widths are not accepted. Try "
                           "a positive integer");
    }
    return step->count;
  }

  [[nodiscard]] ApiResult<promql::ExprPtr> parse(const net::Parameters& parameters) const {
    auto expr =
        promql::parse(parameters.find("query").value_or(""), services_.engine.options().parser);
    if (!expr) return bad_parameter("query", expr.error().message);
    return *std::move(expr);
  }

  static void collect_selectors(const promql::Expr& expr, Selectors& out) {
    if (const auto* selector = std::get_if<promql::VectorSelector>(&expr.node)) {
      out.push_back(selector->matchers);
    } else if (const auto* matrix = std::get_if<promql::MatrixSelector>(&expr.node)) {
      out.push_back(matrix->selector.matchers);
    }
    for (const promql::Expr* child : promql::children(expr)) collect_selectors(*child, out);
  }

  static std::string exemplars_json(const std::vector<promql::ExemplarSeries>& found) {
    std::string out = "[";
    for (const promql::ExemplarSeries& series : found) {
      if (out.size() > 1) out.push_back(',');
      out += R"({"seriesLabels":)";
      append_label_object(out, series.labels);
      out += R"(,"exemplars":[)";
      for (std::size_t i = 0; i < series.points.size(); ++i) {
        if (i > 0) out.push_back(',');
        out += R"({"labels":)";
        append_label_object(out, series.points[i].labels);
        out += R"(,"value":")";
        core::append_float_api(out, series.points[i].value);
        out += R"(","timestamp":)";
        core::append_seconds(out, series.points[i].timestamp_ms);
        out.push_back('}');
      }
      out += "]}";
    }
    out.push_back(']');
    return out;
  }

  const Services& services_;
};

}  // namespace

void add_prometheus_query_routes(net::Router& router, const Services& services) {
  using Member =
      ApiResult<net::Response> (QueryApi::*)(net::Request&, const access::StackView&) const;
  const auto add = [&](std::string_view path, std::string_view name, Member member) {
    for (const net::Method method : {net::Method::Get, net::Method::Post}) {
      add_prometheus_route(
          router, method, path, {.name = std::string(name), .cors = net::Cors::Yes}, services,
          access::Scope::MetricsRead,
          [api = QueryApi(services), member](net::Request& request, const access::StackView& view) {
            return (api.*member)(request, view);
          });
    }
  };
  add("/api/v1/query", "query", &QueryApi::instant);
  add("/api/v1/query_range", "query_range", &QueryApi::range);
  add("/api/v1/query_exemplars", "query_exemplars", &QueryApi::exemplars);
  add("/api/v1/format_query", "format_query", &QueryApi::format);
  add("/api/v1/parse_query", "parse_query", &QueryApi::tree);
}

}  // namespace gantry::api
