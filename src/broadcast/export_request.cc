#include "broadcast/export_request.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "codec/compression.h"
#include "codec/otlp_attributes.h"
#include "core/hash.h"
#include "core/version.h"
#include "net/egress_url.h"

namespace gantry::broadcast {
namespace {

constexpr std::string_view kTracesPath = "/otlp/v1/traces";
constexpr std::string_view kMetricsPath = "/otlp/v1/metrics";
constexpr std::size_t kHeadersMax = 32;
constexpr std::size_t kHeaderBytesMax = 8 << 10;

/// They describe the body or the connection, and only we know them (RFC 9110, 7.6.1).
constexpr std::array<std::string_view, 13> kOurHeaders = {"connection",
                                                          "expect",
                                                          "host",
                                                          "keep-alive",
                                                          "proxy-authenticate",
                                                          "te",
                                                          "trailer",
                                                          "transfer-encoding",
                                                          "upgrade",
                                                          "proxy-authorization",
                                                          "http2-settings",
                                                          "proxy-connection",
                                                          "x-test-connection"};

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// Whether the type's own fields say who is asking, so that no header has to.
bool has_credentials(DestinationType type) {
  return !config_field_names(type).secret.empty();
}

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

bool is_field_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

std::unexpected<Error> wrong_field(std::string_view field, std::string_view why) {
  return fail(Code::InvalidArgument, fmt::format("{}: {}", field, why));
}

Result<net::EgressUrl> parse_url(const Destination& destination) {
  const std::string_view field = config_field_names(destination.type).url;
  if (destination.config.url.empty()) return wrong_field(field, "is empty");
  auto url = net::parse_egress_url(destination.config.url);
  if (!url) return wrong_field(field, url.error().message);
  if (url->scheme != "https" && url->scheme != "http")
    return wrong_field(field, "must start with https:// or http://");
  return *std::move(url);
}

Result<std::string> otlp_url(const Destination& destination) {
  GANTRY_TRY(net::EgressUrl url, parse_url(destination));
  if (url.target.contains('?'))
    return wrong_field(config_field_names(destination.type).url, "may not have a query");
  std::string_view path = url.target;
  const auto strip_slashes = [&] {
    while (path.ends_with('/')) path.remove_suffix(1);
  };
  strip_slashes();
  for (const std::string_view known : {kTracesPath, kMetricsPath, std::string_view("/otlp")}) {
    if (!path.ends_with(known)) continue;
    path.remove_suffix(known.size());
    break;
  }
  strip_slashes();
  url.target = std::string(path).append(signal_of(destination) == Signal::Spans ? kTracesPath
                                                                                : kMetricsPath);
  return url.text();
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string basic(std::string_view user, std::string_view password) {
  std::string value = "Basic ";
  codec::append_base64(value, fmt::format("{}:{}", user, password));
  return value;
}

/// The Authorization header that the type's own fields make; "" for none.
Result<std::string> credentials(const Destination& destination) {
  const DestinationConfig& config = destination.config;
  const ConfigFieldNames fields = config_field_names(destination.type);
  switch (destination.type) {
    case DestinationType::Grafana:
    case DestinationType::Gantry:
      if (!is_number(config.instance_id))
        return wrong_field(fields.instance_id, "must be the number of the instance");
      if (config.secret.empty()) return wrong_field(fields.secret, "is empty");
      break;
    case DestinationType::PrometheusRemoteWrite:
    case DestinationType::Influx:
      if (config.secret.empty()) return "";
      break;
    case DestinationType::OtelCollector:
    case DestinationType::Webhook:
      return "";
  }
  if (!is_field_value(config.secret))
    return wrong_field(fields.secret, "has a control character (a line break that was pasted?)");
  if (!config.instance_id.empty()) return basic(config.instance_id, config.secret);
  const std::string_view scheme =
      destination.type == DestinationType::Influx ? "Token " : "Bearer ";
  return std::string(scheme).append(config.secret);
}

void set_content_type(const Destination& destination, net::Headers& headers) {
  switch (destination.type) {
    case DestinationType::Grafana:
    case DestinationType::OtelCollector:
    case DestinationType::Webhook:
    case DestinationType::Gantry:
      headers.set("Content-Type", destination.config.encoding == Encoding::Json
                                      ? "application/json"
                                      : "application/x-protobuf");
      return;
    case DestinationType::PrometheusRemoteWrite: {
      const bool is_v2 = destination.config.remote_write_version == 2;
      headers.set("Content-Type",
                  is_v2 ? "application/x-protobuf;proto=io.prometheus.write.v2.Request"
                        : "application/x-protobuf");
      headers.set("X-Prometheus-Remote-Write-Version", is_v2 ? "2.0.0" : "0.1.0");
      return;
    }
    case DestinationType::Influx:
      headers.set("Content-Type", "text/plain; charset=utf-8");
      return;
  }
}

/// A trace of its own that is not sampled: a receiver that traces its requests, and sends its
/// traces here, would else answer each delivery with another one, for ever.
std::string untraced_parent(std::string_view body) {
  const core::Hash128 trace = core::hash128(body, core::process_hash_seed());
  return fmt::format("00-{:016x}{:016x}-{:016x}-00", trace.high, trace.low | 1U, trace.high | 1U);
}

/// Over gRPC the call compresses, and only one encoding is spoken.
Result<void> make_rpc(const Destination& destination, ExportRequest& request) {
  const DestinationConfig& config = destination.config;
  if (config.encoding != Encoding::Protobuf)
    return wrong_field("encoding", "must be protobuf with protocol grpc");
  if (config.compression == Compression::Snappy)
    return wrong_field("compression", "must be gzip or none");
  request.headers.set("traceparent", untraced_parent(request.body));
  for (const auto& [name, value] : config.headers) {
    const std::string_view problem = net::grpc_metadata_problem(name, value);
    if (!problem.empty()) return wrong_field("headers", fmt::format("{} {}", name, problem));
    request.headers.set(name, value);
  }
  request.rpc_method = otlp_rpc_method(signal_of(destination));
  if (config.compression == Compression::Gzip && request.body.size() >= kCompressedBytesMin)
    request.rpc_compression = net::GrpcCompression::Gzip;
  return {};
}

Result<void> compress(const Destination& destination, ExportRequest& request) {
  codec::Encoding encoding = codec::Encoding::Identity;
  if (destination.type == DestinationType::PrometheusRemoteWrite) {
    encoding = codec::Encoding::SnappyBlock;  // Of any size: the protocol knows nothing else.
  } else if (destination.config.compression == Compression::Snappy) {
    return wrong_field("compression", "must be gzip or none");
  } else if (destination.config.compression == Compression::Gzip &&
             request.body.size() >= kCompressedBytesMin) {
    encoding = codec::Encoding::Gzip;
  }
  if (encoding == codec::Encoding::Identity) return {};
  std::string compressed;
  GANTRY_CHECK(codec::compress(encoding, request.body, compressed));
  request.body = std::move(compressed);
  request.headers.set("Content-Encoding", std::string(codec::encoding_name(encoding)));
  return {};
}

}  // namespace

std::string_view otlp_rpc_method(Signal signal) {
  return signal == Signal::Spans
             ? "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
             : "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
}

Result<std::string> export_url(const Destination& destination) {
  if (destination.config.protocol == Protocol::Grpc) {
    GANTRY_TRY(const net::EgressUrl url, parse_url(destination));
    if (url.target == "/") return url.origin();
    return wrong_field(config_field_names(destination.type).url,
                       "may not have a path with protocol grpc");
  }
  switch (destination.type) {
    case DestinationType::Grafana:
    case DestinationType::Gantry:
      return otlp_url(destination);
    case DestinationType::OtelCollector:
    case DestinationType::Webhook:
    case DestinationType::PrometheusRemoteWrite:
    case DestinationType::Influx:
      GANTRY_CHECK(parse_url(destination));
      return destination.config.url;
  }
  return fail(Code::InvalidArgument, "type: is not known");
}

Result<void> check_headers(DestinationType type,
                           const std::map<std::string, std::string, std::less<>>& headers) {
  if (headers.size() > kHeadersMax)
    return wrong_field("headers",
                       fmt::format("{} of them, the limit is {}", headers.size(), kHeadersMax));
  for (const auto& [name, value] : headers) {
    if (name.empty() || !std::ranges::all_of(name, is_token_character))
      return wrong_field("headers", "a name is not that of an HTTP header");
    const std::string known = lower_case(name);
    if (known.starts_with("content-") || std::ranges::find(kOurHeaders, known) != kOurHeaders.end())
      return wrong_field("headers", fmt::format("{} is set by the sender", name));
    if (known == "authorization" && has_credentials(type))
      return wrong_field(
          "headers", fmt::format("Authorization is made from {}", config_field_names(type).secret));
    if (name.size() + value.size() > kHeaderBytesMax)
      return wrong_field("headers", fmt::format("{} is longer than {} bytes", name.substr(0, 64),
                                                kHeaderBytesMax));
    if (!is_field_value(value))
      return wrong_field("headers", fmt::format("{} has a control character", name));
  }
  return {};
}

Result<ExportRequest> make_export_request(const Destination& destination, std::string body) {
  ExportRequest request{.method = "POST", .body = std::move(body)};
  GANTRY_TRY(request.url, export_url(destination));
  if (destination.type == DestinationType::Webhook) {
    request.method = destination.config.method;
    if (request.method != "POST" && request.method != "PUT")
      return wrong_field("method", "must be POST or PUT");
  }
  GANTRY_CHECK(check_headers(destination.type, destination.config.headers));
  if (destination.config.protocol == Protocol::Grpc) {
    GANTRY_CHECK(make_rpc(destination, request));
    return request;
  }
  GANTRY_TRY(const std::string authorization, credentials(destination));
  request.headers.set("User-Agent", fmt::format("gantry/{}", core::version()));
  request.headers.set("traceparent", untraced_parent(request.body));
  set_content_type(destination, request.headers);
  for (const auto& [name, value] : destination.config.headers) request.headers.set(name, value);
  if (!authorization.empty()) request.headers.set("Authorization", authorization);
  GANTRY_CHECK(compress(destination, request));
  return request;
}

}  // namespace gantry::broadcast
