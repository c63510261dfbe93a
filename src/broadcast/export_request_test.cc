#include "broadcast/export_request.h"

#include <gtest/gtest.h>

#include "broadcast/testing/destinations.h"
#include "codec/compression.h"

namespace gantry::broadcast {
namespace {

using namespace testing;

/// The URL, or "error: …".
std::string url_of(const Destination& destination) {
  const auto url = export_url(destination);
  return url ? *url : "error: " + url.error().message;
}

ExportRequest request_for(const Destination& destination, std::string body = "{}") {
  auto request = make_export_request(destination, std::move(body));
  EXPECT_TRUE(request) << (request ? "" : request.error().message);
  return request ? *std::move(request) : ExportRequest{};
}

std::string error_of(const Destination& destination) {
  const auto request = make_export_request(destination, "{}");
  if (request) return "none";
  EXPECT_EQ(request.error().code, Code::InvalidArgument);
  return request.error().message;
}

TEST(ExportRequest, AsksNotToBeTraced) {
  const std::string first =
      std::string(request_for(grafana_destination(), "a").headers.find("traceparent"));
  EXPECT_EQ(first.size(), 55U);
  EXPECT_TRUE(first.starts_with("00-")) << first;
  EXPECT_TRUE(first.ends_with("-00")) << first;
  EXPECT_NE(request_for(grafana_destination(), "b").headers.find("traceparent"), first);
}

TEST(ExportRequest, MetricsHaveAPathOfTheirOwn) {
  for (Destination destination : {grafana_destination(), gantry_destination()}) {
    for (const std::string_view path : {"", "/otlp", "/otlp/v1/traces", "/otlp/v1/metrics/"}) {
      destination.config.url = "https://h.example.com" + std::string(path);
      EXPECT_EQ(url_of(narrowed_to(destination, Signal::Metrics)),
                "https://h.example.com/otlp/v1/metrics");
      EXPECT_EQ(url_of(narrowed_to(destination, Signal::Spans)),
                "https://h.example.com/otlp/v1/traces");
    }
  }
}

struct UrlCase {
  std::string_view name, entered, expected;
};

class BaseUrlTest : public ::testing::TestWithParam<UrlCase> {};

TEST_P(BaseUrlTest, IsTakenKindly) {
  for (Destination destination : {grafana_destination(), gantry_destination()}) {
    destination.config.url = GetParam().entered;
    EXPECT_EQ(url_of(destination), GetParam().expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BaseUrlTest,
    ::testing::Values(
        UrlCase{"plain", "https://a.example", "https://a.example/otlp/v1/traces"},
        UrlCase{"slash", "https://a.example/", "https://a.example/otlp/v1/traces"},
        UrlCase{"slashes", "https://a.example//", "https://a.example/otlp/v1/traces"},
        UrlCase{"otlp", "https://a.example/otlp", "https://a.example/otlp/v1/traces"},
        UrlCase{"otlp_slash", "https://a.example/otlp/", "https://a.example/otlp/v1/traces"},
        UrlCase{"whole", "https://a.example/otlp/v1/traces", "https://a.example/otlp/v1/traces"},
        UrlCase{"whole_slash", "https://a.example/otlp/v1/traces/",
                "https://a.example/otlp/v1/traces"},
        UrlCase{"prefix", "https://a.example/x/", "https://a.example/x/otlp/v1/traces"},
        UrlCase{"prefix_otlp", "https://a.example/x/otlp", "https://a.example/x/otlp/v1/traces"},
        UrlCase{"not_a_segment", "https://a.example/xotlp",
                "https://a.example/xotlp/otlp/v1/traces"},
        UrlCase{"port", "http://a.example:9490", "http://a.example:9490/otlp/v1/traces"},
        UrlCase{"query", "https://a.example/?x=1", "error: baseUrl: may not have a query"},
        UrlCase{"grpc", "grpc://a.example", "error: baseUrl: must start with https:// or http://"},
        UrlCase{"empty", "", "error: baseUrl: is empty"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(ExportUrl, OthersAreUsedAsTheyAre) {
  EXPECT_EQ(url_of(collector_destination()), "https://collector.example.com:4318/v1/traces");
  EXPECT_EQ(url_of(webhook_destination()), "https://api.example.com/traces?k=1");
  EXPECT_EQ(url_of(remote_write_destination()), "https://prometheus.example.com/api/prom/push");
  EXPECT_EQ(url_of(influx_destination()), "https://influx.example.com/api/v2/write?bucket=b");
  Destination wrong = collector_destination();
  wrong.config.url = "https://user:pw@collector.example.com/";
  EXPECT_TRUE(url_of(wrong).starts_with("error: endpoint: "));
  EXPECT_FALSE(url_of(wrong).contains("pw"));
}

TEST(ExportRequest, HasTheTypesCredentials) {
  const ExportRequest grafana = request_for(grafana_destination());
  EXPECT_EQ(grafana.method, "POST");
  EXPECT_EQ(grafana.headers.find("authorization"), "Basic MTIzNDU2OmdsY19zZWNyZXQ=");
  EXPECT_EQ(grafana.headers.find("content-type"), "application/json");
  EXPECT_TRUE(grafana.headers.find("user-agent").starts_with("gantry/"));
  EXPECT_FALSE(grafana.headers.contains("content-encoding"));
  EXPECT_EQ(grafana.body, "{}");
  EXPECT_EQ(request_for(gantry_destination()).headers.find("content-type"),
            "application/x-protobuf");
  EXPECT_EQ(request_for(collector_destination()).headers.find("authorization"),
            "Bearer header-secret");
  EXPECT_FALSE(request_for(webhook_destination()).headers.contains("authorization"));
  EXPECT_EQ(request_for(influx_destination()).headers.find("authorization"), "Token tok_1");
  Destination bearer = remote_write_destination();
  bearer.config.instance_id.clear();
  EXPECT_EQ(request_for(bearer).headers.find("authorization"), "Bearer glc_secret");
}

TEST(ExportRequest, SpeaksRemoteWrite) {
  Destination destination = remote_write_destination();
  const ExportRequest first = request_for(destination, "abc");
  EXPECT_EQ(first.headers.find("content-encoding"), "snappy");
  EXPECT_EQ(first.headers.find("x-prometheus-remote-write-version"), "0.1.0");
  std::string body;
  ASSERT_TRUE(codec::decompress(codec::Encoding::SnappyBlock, first.body, {}, body));
  EXPECT_EQ(body, "abc");
  destination.config.remote_write_version = 2;
  const ExportRequest second = request_for(destination, "abc");
  EXPECT_EQ(second.headers.find("x-prometheus-remote-write-version"), "2.0.0");
  EXPECT_EQ(second.headers.find("content-type"),
            "application/x-protobuf;proto=io.prometheus.write.v2.Request");
}

TEST(ExportRequest, CompressesFromOneKibibyteOn) {
  EXPECT_FALSE(request_for(grafana_destination(), std::string(1023, 'x'))
                   .headers.contains("content-encoding"));
  const std::string large(1024, 'x');
  const ExportRequest request = request_for(grafana_destination(), large);
  EXPECT_EQ(request.headers.find("content-encoding"), "gzip");
  std::string body;
  ASSERT_TRUE(codec::decompress(codec::Encoding::Gzip, request.body, {}, body));
  EXPECT_EQ(body, large);
  Destination plain = grafana_destination();
  plain.config.compression = Compression::None;
  EXPECT_EQ(request_for(plain, large).body, large);
  plain.config.compression = Compression::Snappy;
  EXPECT_EQ(error_of(plain), "compression: must be gzip or none");
}

TEST(ExportRequest, ConfiguredHeadersDoNotReplaceOurs) {
  Destination destination = webhook_destination();
  destination.config.headers = {{"X-Team", "a"}, {"User-Agent", "mine"}};
  const ExportRequest request = request_for(destination);
  EXPECT_EQ(request.headers.find("x-team"), "a");
  EXPECT_EQ(request.headers.find("user-agent"), "mine");
  EXPECT_EQ(request.headers.count("user-agent"), 1U);
  for (const std::string name :
       {"Host", "content-type", "Content-Encoding", "Content-Length", "Connection", "TE",
        "Transfer-Encoding", "Upgrade", "Proxy-Authorization", "X-Test-Connection"}) {
    destination.config.headers = {{name, "x"}};
    EXPECT_EQ(error_of(destination), "headers: " + name + " is set by the sender");
  }
  destination = grafana_destination();
  destination.config.headers = {{"AUTHORIZATION", "x"}};
  EXPECT_EQ(error_of(destination), "headers: Authorization is made from apiKey");
}

TEST(ExportRequest, RefusesWhatWouldBreakTheRequest) {
  Destination destination = webhook_destination();
  destination.config.headers = {{"X-A", "a\r\nHost: b"}};
  EXPECT_EQ(error_of(destination), "headers: X-A has a control character");
  destination.config.headers = {{"X A", "a"}};
  EXPECT_EQ(error_of(destination), "headers: a name is not that of an HTTP header");
  destination.config.headers = {{"X-A", std::string(9000, 'a')}};
  EXPECT_EQ(error_of(destination), "headers: X-A is longer than 8192 bytes");
  destination.config.headers.clear();
  for (int i = 0; i < 33; ++i) destination.config.headers["x" + std::to_string(i)] = "";
  EXPECT_EQ(error_of(destination), "headers: 33 of them, the limit is 32");
  destination = webhook_destination();
  destination.config.method = "GET";
  EXPECT_EQ(error_of(destination), "method: must be POST or PUT");
  destination.config.method = "PUT";
  EXPECT_EQ(request_for(destination).method, "PUT");
}

TEST(ExportRequest, NamesTheFieldThatIsMissing) {
  Destination grafana = grafana_destination();
  grafana.config.instance_id = "my-stack";
  EXPECT_EQ(error_of(grafana), "instanceId: must be the number of the instance");
  grafana = grafana_destination();
  grafana.config.secret = "";
  EXPECT_EQ(error_of(grafana), "apiKey: is empty");
  Destination gantry = gantry_destination();
  gantry.config.secret = "a\n";
  EXPECT_EQ(error_of(gantry), "token: has a control character (a line break that was pasted?)");
}

TEST(ExportRequest, OverGrpcTheCallSaysWhatHeadersSay) {
  const Destination destination = grpc_destination();
  const ExportRequest small = request_for(destination, "x");
  EXPECT_EQ(small.url, "https://collector.example.com:4317");
  EXPECT_EQ(small.rpc_method, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
  EXPECT_EQ(small.body, "x");
  EXPECT_EQ(small.rpc_compression, net::GrpcCompression::None);
  EXPECT_EQ(small.headers.find("Authorization"), "Bearer header-secret");
  EXPECT_EQ(small.headers.fields().size(), 2U) << "beside traceparent: gRPC writes its own";
  const std::string large(kCompressedBytesMin, 'x');
  EXPECT_EQ(request_for(destination, large).body, large) << "the call compresses";
  EXPECT_EQ(request_for(destination, large).rpc_compression, net::GrpcCompression::Gzip);
  Destination plain = destination;
  plain.config.compression = Compression::None;
  EXPECT_EQ(request_for(plain, large).rpc_compression, net::GrpcCompression::None);
  EXPECT_EQ(request_for(collector_destination()).rpc_method, "");
  EXPECT_EQ(otlp_rpc_method(Signal::Metrics),
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
}

TEST(ExportRequest, NamesWhatGrpcCannotSend) {
  const auto error_with = [](auto change) {
    Destination destination = grpc_destination();
    change(destination.config);
    return error_of(destination);
  };
  using Config = DestinationConfig;
  EXPECT_EQ(error_with([](Config& config) { config.url += "/v1/traces"; }),
            "endpoint: may not have a path with protocol grpc");
  EXPECT_EQ(error_with([](Config& config) { config.encoding = Encoding::Json; }),
            "encoding: must be protobuf with protocol grpc");
  EXPECT_EQ(error_with([](Config& config) { config.compression = Compression::Snappy; }),
            "compression: must be gzip or none");
  EXPECT_EQ(error_with([](Config& config) { config.headers["X-Bin"] = "a"; }),
            "headers: X-Bin is binary metadata, which cannot be set")
      << "the value is a secret";
}

}  // namespace
}  // namespace gantry::broadcast
