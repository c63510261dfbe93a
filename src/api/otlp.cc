#include "api/otlp.h"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "access/stored_text.h"
#include "api/ingest_support.h"
#include "codec/otlp_metrics.h"
#include "codec/otlp_response.h"
#include "codec/otlp_traces.h"

namespace gantry::api {
namespace {

using codec::OtlpEncoding;
using codec::OtlpSignal;

/// What one export did, whatever carried it.
struct Export {
  std::uint64_t rejected_count = 0;  ///< Data points or spans.
  std::string message;               ///< For partial_success; "" when there is nothing to say.
  /// Nothing was stored and a limit is why: the sender should try again.
  bool is_all_limited = false;
  DurationMs retry_after;  ///< When to try again, if that is known.
};

constexpr std::int64_t kGrpcRetryMs = 10'000;

/// One signal's receiver.
class OtlpApi {
 public:
  OtlpApi(const Services& services, OtlpSignal signal)
      : services_(services),
        signal_(signal),
        metrics_(services.registry, "otlp"),
        span_metrics_(services.registry, "otlp") {}

  net::Response http(net::Request& request) const {
    const auto encoding = codec::parse_otlp_content_type(request.headers.find("Content-Type"));
    const auto view = signal_ == OtlpSignal::Traces
                          ? services_.gate.admit(request, {.scope = access::Scope::TracesWrite})
                          : admit_writer(services_, request, false);
    // A refusal comes first, but in an encoding that the sender can read.
    if (!view) return refusal(encoding.value_or(OtlpEncoding::Protobuf), view.error());
    net::Response response = encoding ? take(request, *view, *encoding)
                                      : net::text_response(415, encoding.error().message);
    if (services_.count_use) services_.count_use(view->principal(), request, response);
    return response;
  }

  net::GrpcResponse grpc(net::GrpcRequest& request) const {
    access::RawCredentials credentials{
        .client = {.ip = request.peer_address, .request_id = request.request_id},
        .route = request.method};
    for (const auto& [name, value] : request.metadata.fields()) {
      if (name == "user-agent") credentials.client.user_agent = access::stored_text(value, 200);
      if (name == "authorization") credentials.authorization.push_back(value);
      if (name == "x-gantry-token") credentials.gantry_token.push_back(value);
      if (name == "x-scope-orgid") credentials.scope_org_id.push_back(value);
    }
    const auto view = signal_ == OtlpSignal::Traces
                          ? services_.gate.admit(credentials, {.scope = access::Scope::TracesWrite})
                          : admit_writer(services_, credentials);
    if (!view) {
      return {.code = net::rpc_code(view.error().code), .message = view.error().message};
    }
    net::GrpcResponse response = take_message(*view, request);
    services_.gate.count_use(view->principal(),
                             fmt::format("grpc_{}", static_cast<int>(response.code)));
    return response;
  }

 private:
  net::Response take(const net::Request& request, const access::StackView& view,
                     OtlpEncoding encoding) const {
    thread_local std::string buffer;
    const auto body = inflate_body(request, codec::SnappyForm::Framed,
                                   services_.settings().body_decompressed_bytes_max, buffer);
    if (!body) return failure(request, encoding, body.error());
    const auto done = store(view, encoding, *body);
    if (!done) return failure(request, encoding, done.error());
    if (done->is_all_limited) {
      return limited(request, encoding, *done);
    }
    return answer(
        200, encoding,
        codec::encode_otlp_response(encoding, signal_, done->rejected_count, done->message));
  }

  net::GrpcResponse take_message(const access::StackView& view,
                                 const net::GrpcRequest& request) const {
    const auto done = store(view, OtlpEncoding::Protobuf, request.body);
    if (!done) return grpc_failure(done.error());
    if (done->is_all_limited) {
      return grpc_failure({Code::Unavailable, done->message},
                          done->retry_after.count > 0 ? done->retry_after.count : kGrpcRetryMs);
    }
    return {.body = codec::encode_otlp_response(OtlpEncoding::Protobuf, signal_,
                                                done->rejected_count, done->message)};
  }

  Result<Export> store(const access::StackView& view, OtlpEncoding encoding,
                       std::string_view body) const {
    return signal_ == OtlpSignal::Traces ? store_spans(view, encoding, body)
                                         : store_points(view, encoding, body);
  }

  Result<Export> store_spans(const access::StackView& view, OtlpEncoding encoding,
                             std::string_view body) const {
    thread_local codec::OtlpTracesDecoder decoder;
    const codec::OtlpTracesOptions options = services_.settings().otlp_traces;
    GANTRY_CHECK(encoding == OtlpEncoding::Json ? decoder.decode_json(body, options)
                                                : decoder.decode_protobuf(body, options));
    GANTRY_TRY(const telemetry::SpanAppendResult result, view.append(decoder.batch()));
    const codec::OtlpTracesOutcome& outcome = decoder.outcome();
    span_metrics_.record(outcome, result);
    Export done{.rejected_count = outcome.rejected_spans + result.spans_rejected(),
                .message = outcome.message()};
    if (result.spans_rejected() > 0) {
      if (!done.message.empty()) done.message += "; ";
      done.message += describe_rejections(result);
    }
    done.is_all_limited = result.spans_written == 0 && is_limited(result);
    done.retry_after = result.retry_after;
    return done;
  }

  Result<Export> store_points(const access::StackView& view, OtlpEncoding encoding,
                              std::string_view body) const {
    thread_local codec::OtlpMetricsDecoder decoder;
    codec::OtlpOptions options = services_.otlp_options(view.stack());
    options.now_ms = services_.clock.now().since_epoch;
    GANTRY_CHECK(encoding == OtlpEncoding::Json ? decoder.decode_json(body, options)
                                                : decoder.decode_protobuf(body, options));
    GANTRY_TRY(const telemetry::AppendResult result, view.append(decoder.batch()));
    metrics_.record(result);
    const codec::OtlpOutcome& outcome = decoder.outcome();
    Export done{.rejected_count = outcome.rejected_data_points, .message = outcome.message()};
    if (result.samples_rejected > 0) {
      const std::uint64_t refused = decoder.count_refused_points(result);
      done.rejected_count += refused;
      if (!done.message.empty()) done.message += "; ";
      done.message += describe_rejections(result, refused, "data points");
    }
    const bool has_stored = result.samples_written + result.histograms_written > 0;
    done.is_all_limited = !has_stored && verdict_of(result) == Verdict::Limited;
    done.retry_after = result.retry_after;
    return done;
  }

  static net::Response answer(int status, OtlpEncoding encoding, std::string body) {
    net::Response response{.status = status, .body = std::move(body)};
    response.headers.set("Content-Type", std::string(codec::otlp_content_type(encoding)));
    return response;
  }

  static net::Response refusal(OtlpEncoding encoding, const access::AccessError& error) {
    net::Response response = answer(
        error.status, encoding, codec::encode_rpc_status(encoding, {error.code, error.message}));
    error.add_headers(response.headers);
    return response;
  }

  static net::Response failure(const net::Request& request, OtlpEncoding encoding,
                               const Error& error) {
    const int status = ingest_status(error);
    if (status != 429 && status != 503) {
      return answer(status, encoding, codec::encode_rpc_status(encoding, error));
    }
    return try_again(status, encoding, error, retry_after_seconds(request));
  }

  static net::Response limited(const net::Request& request, OtlpEncoding encoding,
                               const Export& done) {
    return try_again(429, encoding, {Code::ResourceExhausted, done.message},
                     retry_after_seconds(request, done.retry_after));
  }

  static net::Response try_again(int status, OtlpEncoding encoding, const Error& error,
                                 std::uint32_t seconds) {
    net::Response response = answer(
        status, encoding, codec::encode_rpc_status(encoding, error, std::int64_t{seconds} * 1000));
    response.headers.set("Retry-After", std::to_string(seconds));
    return response;
  }

  static net::GrpcResponse grpc_failure(Error error, std::int64_t retry_ms = kGrpcRetryMs) {
    // Senders drop on INTERNAL and resend on UNAVAILABLE.
    if (error.code == Code::Internal || error.code == Code::DataLoss)
      error.code = Code::Unavailable;
    net::GrpcResponse response{.code = net::rpc_code(error.code), .message = error.message};
    if (error.code == Code::Unavailable) {
      response.details = codec::encode_status_details(error, retry_ms);
    }
    return response;
  }

  const Services& services_;
  OtlpSignal signal_;
  IngestMetrics metrics_;
  SpanIngestMetrics span_metrics_;
};

net::Response otlp_error(const net::Request& request, int status, std::string_view message) {
  if (status == 405) return net::text_response(405, "405 method not allowed, supported: [POST]");
  const auto encoding = codec::parse_otlp_content_type(request.headers.find("Content-Type"));
  const OtlpEncoding shown = encoding.value_or(OtlpEncoding::Json);
  const Code code = status == 503 ? Code::Unavailable : Code::InvalidArgument;
  net::Response response{.status = status,
                         .body = codec::encode_rpc_status(shown, {code, std::string(message)})};
  response.headers.set("Content-Type", std::string(codec::otlp_content_type(shown)));
  return response;
}

}  // namespace

void add_otlp_routes(net::Router& router, const Services& services) {
  struct Signal {
    OtlpSignal signal;
    std::string_view name;
    access::Scope scope;
  };

  for (const Signal& each : {Signal{OtlpSignal::Metrics, "metrics", access::Scope::MetricsWrite},
                             Signal{OtlpSignal::Traces, "traces", access::Scope::TracesWrite}}) {
    const OtlpApi api(services, each.signal);
    for (const std::string_view prefix : {"", "/otlp", "/api/v1/otlp"}) {
      router.add(net::Method::Post, fmt::format("{}/v1/{}", prefix, each.name),
                 {.name = fmt::format("otlp_{}", each.name),
                  .runs_on = net::RunsOn::IngestPool,
                  .body_bytes_max = services.body_bytes_max,
                  .cors = net::Cors::Yes,
                  .access = std::string(access::scope_name(each.scope)),
                  .render_error = otlp_error},
                 [api](net::Request& request) { return api.http(request); });
    }
  }
}

std::vector<net::GrpcMethod> otlp_grpc_methods(const Services& services) {
  std::vector<net::GrpcMethod> methods;
  const auto add = [&](std::string name, OtlpSignal signal) {
    methods.push_back({.name = std::move(name),
                       .handler = [api = OtlpApi(services, signal)](net::GrpcRequest& request) {
                         return api.grpc(request);
                       }});
  };
  add("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", OtlpSignal::Metrics);
  add("/opentelemetry.proto.collector.trace.v1.TraceService/Export", OtlpSignal::Traces);
  return methods;
}

}  // namespace gantry::api
