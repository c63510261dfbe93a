#include "api/influx.h"

#include <algorithm>
#include <string>
#include <utility>

#include "api/ingest_support.h"
#include "api/prometheus_support.h"
#include "codec/influx.h"
#include "core/json_writer.h"

namespace gantry::api {
namespace {

constexpr std::string_view kInfluxVersion = "1.8.0";

std::string_view error_code(int status) {
  switch (status) {
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 413:
      return "request too large";
    case 415:
      return "unsupported media type";
    case 429:
      return "too many requests";
    case 503:
      return "unavailable";
    default:
      return status >= 500 ? "internal error" : "invalid";
  }
}

/// Both generations of clients find what they look for: `message` (v2) and `error` (v1).
net::Response influx_error(int status, std::string_view message) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object();
  json.key("code").string(error_code(status));
  json.key("message").string(message);
  json.key("error").string(message);
  json.end_object();
  net::Response response = net::json_response(status, std::move(body));
  response.headers.set("X-Influxdb-Version", std::string(kInfluxVersion));
  return response;
}

net::Response influx_refusal(const access::AccessError& error) {
  net::Response response = influx_error(error.status, error.message);
  error.add_headers(response.headers);
  return response;
}

class InfluxApi {
 public:
  explicit InfluxApi(const Services& services)
      : services_(services), metrics_(services.registry, "influx") {}

  net::Response write(net::Request& request, codec::PrecisionWords words) const {
    const auto view = admit_writer(services_, request, true);
    if (!view) return influx_refusal(view.error());
    net::Response response = take(request, words, *view);
    if (services_.count_use) services_.count_use(view->principal(), request, response);
    return response;
  }

  /// Telegraf creates its database before it writes; there is nothing to create here.
  net::Response query(net::Request& request) const {
    const auto view = admit_writer(services_, request, true);
    if (!view) return influx_refusal(view.error());
    const auto parameters = read_parameters(request);
    if (!parameters) return influx_error(400, parameters.error().message);
    std::string statement(parameters->find("q").value_or(""));
    std::transform(statement.begin(), statement.end(), statement.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    if (statement.starts_with("SHOW DATABASES")) {
      return net::json_response(
          200, R"({"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],)"
               R"("values":[["_internal"]]}]}]})");
    }
    if (statement.starts_with("CREATE DATABASE")) {
      return net::json_response(200, R"({"results":[{"statement_id":0}]})");
    }
    return influx_error(400, "only CREATE DATABASE and SHOW DATABASES are answered here");
  }

 private:
  net::Response take(net::Request& request, codec::PrecisionWords words,
                     const access::StackView& view) const {
    thread_local codec::InfluxDecoder decoder;
    thread_local std::string buffer;
    auto result = store(request, words, view, decoder, buffer);
    if (!result) {
      const int status = ingest_status(result.error());
      net::Response response = influx_error(status, result.error().message);
      if (status == 503) add_retry_after(response, retry_after_seconds(request));
      return response;
    }
    metrics_.record(*result);
    net::Response response{.status = 204};
    if (const Verdict verdict = verdict_of(*result); verdict != Verdict::Accepted) {
      response = influx_error(verdict == Verdict::Limited ? 429 : 400,
                              "partial write: " + describe_rejections(*result));
      if (verdict == Verdict::Limited) {
        add_retry_after(response, retry_after_seconds(request, result->retry_after));
      }
    }
    response.headers.set("X-Influxdb-Version", std::string(kInfluxVersion));
    return response;
  }

  /// The result's views are into the arguments.
  [[nodiscard]] Result<codec::InfluxOptions> read_options(const net::Parameters& parameters,
                                                          codec::PrecisionWords words,
                                                          const InfluxSettings& settings) const {
    codec::InfluxOptions options{
        .now_ns = services_.clock.now().since_epoch * 1'000'000,
        .database_label = settings.database_label,
        .database = parameters.find("db").value_or(parameters.find("bucket").value_or("")),
        .source_label = settings.source_label,
        .keeps_good_lines = settings.partial_writes};
    const std::string_view precision = parameters.find("precision").value_or("");
    GANTRY_TRY(options.precision, codec::parse_influx_precision(precision, words));
    // The path of Grafana Cloud has Grafana Cloud's mapping.
    if (words == codec::PrecisionWords::GrafanaCloud) return options;
    options.mapping = settings.mapping;
    if (settings.mapping == codec::InfluxMapping::VictoriaMetrics) {
      if (options.database_label.empty()) options.database_label = "db";
      if (precision.empty()) options.precision = codec::InfluxPrecision::ByMagnitude;
    }
    return options;
  }

  Result<telemetry::AppendResult> store(const net::Request& request, codec::PrecisionWords words,
                                        const access::StackView& view,
                                        codec::InfluxDecoder& decoder, std::string& buffer) const {
    const Settings settings = services_.settings();
    GANTRY_TRY(const net::Parameters parameters, net::Parameters::parse(request.raw_query));
    GANTRY_TRY(const codec::InfluxOptions options,
               read_options(parameters, words, settings.influx));
    GANTRY_TRY(const std::string_view body,
               inflate_body(request, codec::SnappyForm::Block, settings.body_decompressed_bytes_max,
                            buffer));
    GANTRY_CHECK(decoder.decode(body, options));
    GANTRY_TRY(telemetry::AppendResult result, view.append(decoder.batch()));
    decoder.rejections().add_to(result);
    return result;
  }

  static void add_retry_after(net::Response& response, std::uint32_t seconds) {
    response.headers.set("Retry-After", std::to_string(seconds));
  }

  const Services& services_;
  IngestMetrics metrics_;
};

net::Response ping(net::Request&) {
  net::Response response{.status = 204};
  response.headers.set("X-Influxdb-Version", std::string(kInfluxVersion));
  return response;
}

net::Response health(net::Request&) {
  return net::json_response(
      200,
      R"({"name":"influxdb","message":"ready for queries and writes","status":"pass","checks":[]})");
}

}  // namespace

void add_influx_routes(net::Router& router, const Services& services) {
  const InfluxApi api(services);
  const std::string write_scope(access::scope_name(access::Scope::MetricsWrite));
  const auto add_write = [&](std::string_view path, codec::PrecisionWords words) {
    router.add(net::Method::Post, path,
               {.name = "influx_write",
                .runs_on = net::RunsOn::IngestPool,
                .body_bytes_max = services.body_bytes_max,
                .access = write_scope},
               [api, words](net::Request& request) { return api.write(request, words); });
  };
  // Telegraf's InfluxDB output appends /write to the URL it is given, so the path may come doubled.
  for (const std::string_view path :
       {"/api/v1/push/influx/write", "/api/v1/push/influx/write/write"}) {
    add_write(path, codec::PrecisionWords::GrafanaCloud);
  }
  for (const std::string_view path :
       {"/write", "/write/write", "/api/v2/write", "/influx/write", "/influx/api/v2/write"}) {
    add_write(path, codec::PrecisionWords::All);
  }
  for (const std::string_view path : {"/query", "/influx/query"}) {
    for (const net::Method method : {net::Method::Get, net::Method::Post}) {
      router.add(method, path, {.name = "influx_query", .access = write_scope},
                 [api](net::Request& request) { return api.query(request); });
    }
  }
  router.add(net::Method::Get, "/ping",
             {.name = "ping", .runs_on = net::RunsOn::IoThread, .access = "public"}, ping);
  for (const std::string_view path : {"/health", "/influx/health"}) {
    router.add(net::Method::Get, path,
               {.name = "health", .runs_on = net::RunsOn::IoThread, .access = "public"}, health);
  }
}

}  // namespace gantry::api
