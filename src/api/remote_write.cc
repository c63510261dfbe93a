#include "api/remote_write.h"

#include <string>
#include <utility>

#include "api/ingest_support.h"
#include "api/prometheus_support.h"
#include "codec/remote_write.h"

namespace gantry::api {
namespace {

void add_written_headers(net::Response& response, const telemetry::AppendResult& result) {
  // 2.0 asks for them; Prometheus reads them from a 1.0 receiver too.
  response.headers.set("X-Prometheus-Remote-Write-Samples-Written",
                       std::to_string(result.samples_written));
  response.headers.set("X-Prometheus-Remote-Write-Histograms-Written",
                       std::to_string(result.histograms_written));
  response.headers.set("X-Prometheus-Remote-Write-Exemplars-Written",
                       std::to_string(result.exemplars_written));
}

class RemoteWriteApi {
 public:
  explicit RemoteWriteApi(const Services& services)
      : services_(services), metrics_(services.registry, "remote_write") {}

  net::Response write(net::Request& request) const {
    const auto view = admit_writer(services_, request, false);
    if (!view) {
      net::Response response = error_response(
          {.status = view.error().status, .type = "unauthorized", .message = view.error().message});
      view.error().add_headers(response.headers);
      return response;
    }
    net::Response response = take(request, *view);
    if (services_.count_use) services_.count_use(view->principal(), request, response);
    return response;
  }

 private:
  net::Response take(net::Request& request, const access::StackView& view) const {
    // Columns and buffers keep their memory from one request to the next.
    thread_local codec::RemoteWriteDecoder decoder;
    thread_local std::string buffer;
    auto result = store(request, view, decoder, buffer);
    if (!result) {
      const int status = ingest_status(result.error());
      net::Response response = net::text_response(status, result.error().message + "\n");
      if (status == 503) add_retry_after(response, retry_after_seconds(request));
      add_written_headers(response, {});
      return response;
    }
    metrics_.record(*result);
    return answer(request, *result);
  }

  Result<telemetry::AppendResult> store(const net::Request& request, const access::StackView& view,
                                        codec::RemoteWriteDecoder& decoder,
                                        std::string& buffer) const {
    GANTRY_TRY(const codec::RemoteWriteVersion version,
               codec::parse_remote_write_content_type(request.headers.find("Content-Type")));
    GANTRY_CHECK(codec::check_remote_write_encoding(request.headers.find("Content-Encoding")));
    const Settings settings = services_.settings();
    GANTRY_CHECK(codec::decompress(codec::Encoding::SnappyBlock, request.body,
                                   {.bytes = settings.body_decompressed_bytes_max,
                                    .setting = "http.body_decompressed_bytes_max"},
                                   buffer));
    GANTRY_CHECK(decoder.decode(version, buffer, settings.remote_write));
    GANTRY_TRY(telemetry::AppendResult result, view.append(decoder.batch()));
    decoder.rejections().add_to(result);
    return result;
  }

  static net::Response answer(const net::Request& request, const telemetry::AppendResult& result) {
    net::Response response;
    switch (verdict_of(result)) {
      case Verdict::Accepted:
        response.status = 204;
        break;
      case Verdict::BadData:
        response = net::text_response(400, describe_rejections(result) + "\n");
        break;
      case Verdict::Limited:
        response = net::text_response(429, describe_rejections(result) + "\n");
        add_retry_after(response, retry_after_seconds(request, result.retry_after));
        break;
    }
    add_written_headers(response, result);
    return response;
  }

  static void add_retry_after(net::Response& response, std::uint32_t seconds) {
    response.headers.set("Retry-After", std::to_string(seconds));
  }

  const Services& services_;
  IngestMetrics metrics_;
};

}  // namespace

void add_remote_write_routes(net::Router& router, const Services& services) {
  const RemoteWriteApi api(services);
  for (const std::string_view path : {"/api/v1/write", "/api/v1/push", "/api/prom/push",
                                      "/prometheus/api/v1/write", "/prometheus/api/v1/push"}) {
    router.add(net::Method::Post, path,
               {.name = "remote_write",
                .runs_on = net::RunsOn::IngestPool,
                .body_bytes_max = services.body_bytes_max,
                .access = std::string(access::scope_name(access::Scope::MetricsWrite))},
               [api](net::Request& request) { return api.write(request); });
  }
}

}  // namespace gantry::api
