#include "broadcast/test_connection.h"

#include <gtest/gtest.h>

#include "broadcast/testing/conformance.h"
#include "broadcast/testing/destinations.h"
#include "broadcast/testing/fake_transport.h"
#include "codec/compression.h"
#include "codec/otlp_traces.h"
#include "codec/remote_write.h"

namespace gantry::broadcast {
namespace {

using namespace testing;
using nlohmann::json;

const ManualClock kClock(TimestampMs{1'790'000'000'123});

Destination destination_of(const json& row) {
  Destination destination{.type = *parse_destination_type(row["type"].get<std::string>())};
  const json& config = row["config"];
  const ConfigFieldNames fields = config_field_names(destination.type);
  const auto text = [&](std::string_view key) {
    return key.empty() ? "" : config.value(std::string(key), "");
  };
  destination.config.url = text(fields.url);
  destination.config.instance_id = text(fields.instance_id);
  destination.config.secret = text(fields.secret);
  destination.config.method = config.value("method", "POST");
  if (config.contains("headers")) {
    for (const auto& [name, value] : config["headers"].items())
      destination.config.headers[name] = value.get<std::string>();
  }
  return destination;
}

TransportResult answer_of(const json& answer, DurationMs timeout) {
  if (answer.contains("dns_error")) return std::unexpected(TransportFailure::Dns);
  if (answer.contains("connect_refused")) return std::unexpected(TransportFailure::Connect);
  if (answer.contains("tls_error")) return std::unexpected(TransportFailure::Tls);
  if (answer.value("silent_ms", 0) > timeout.count)
    return std::unexpected(TransportFailure::Timeout);
  ExportAnswer given{.status = answer["status"]};
  if (answer.contains("body"))
    given.body =
        answer["body"].is_string() ? answer["body"].get<std::string>() : answer["body"].dump();
  if (answer.contains("headers")) {
    for (const auto& [name, value] : answer["headers"].items()) given.headers.add(name, value);
  }
  return given;
}

void expect_request(const json& expected, const ExportRequest& request) {
  EXPECT_EQ(request.method, expected["method"].get<std::string>());
  EXPECT_EQ(request.url, expected["url"].get<std::string>());
  if (expected.contains("headers")) {
    for (const auto& [name, value] : expected["headers"].items()) {
      EXPECT_EQ(request.headers.find(name), value.get<std::string>()) << name;
      EXPECT_EQ(request.headers.count(name), 1U) << name;
    }
  }
  if (expected.contains("body")) EXPECT_EQ(json::parse(request.body), expected["body"]);
}

TEST(TestConnection, FollowsThePublishedTable) {
  GANTRY_BROADCAST_JSON(table, "table-test-connection.json");
  int rows = 0;
  for (const json& row : table["rows"]) {
    SCOPED_TRACE(row.dump());
    FakeTransport transport([&](const ExportRequest&, DurationMs timeout, const CancelToken&) {
      return answer_of(row["answer"], timeout);
    });
    const ConnectionTestResult result =
        test_connection(destination_of(row), "openrouter", transport, kClock, CancelToken());
    EXPECT_EQ(result.is_ok, row["passes"].get<bool>());
    EXPECT_EQ(failure_kind_name(result.kind), row.value("error_code", ""));
    EXPECT_EQ(result.message.empty(), result.is_ok);
    EXPECT_FALSE(result.message.contains("glc_x"));
    EXPECT_EQ(transport.requests().size(), row["answer"].is_null() ? 0U : 1U);
    if (row.contains("request")) expect_request(row["request"], transport.requests().front());
    ++rows;
  }
  EXPECT_GT(rows, 30);
}

ExportRequest sent_to(const Destination& destination) {
  FakeTransport transport(
      [](const ExportRequest&, DurationMs, const CancelToken&) { return answer_with(204); });
  const auto result = test_connection(destination, "openrouter", transport, kClock, CancelToken());
  EXPECT_TRUE(result.is_ok) << result.message;
  EXPECT_EQ(result.status, 204);
  EXPECT_EQ(transport.timeouts().at(0).count, 10'000);
  return transport.requests().at(0);
}

TEST(TestConnection, SendsTheSpanThatReceiversKnow) {
  GANTRY_BROADCAST_JSON(table, "table-test-connection.json");
  json expected = table["otlp_body_shape"];
  json& span = expected["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
  span["startTimeUnixNano"] = "1790000000122000000";
  span["endTimeUnixNano"] = "1790000000123000000";
  span.erase("attributes");  // An empty list is left out.
  EXPECT_EQ(json::parse(sent_to(grafana_destination()).body), expected);
}

TEST(TestConnection, AsksForEachSignal) {
  Destination destination = collector_destination();
  destination.config.signals = {.traces = true, .metrics = true};
  int status_of_metrics = 200;
  FakeTransport transport([&](const ExportRequest& request, DurationMs, const CancelToken&) {
    return answer_with(request.url.ends_with("/v1/metrics") ? status_of_metrics : 200);
  });
  EXPECT_TRUE(test_connection(destination, "openrouter", transport, kClock, CancelToken()).is_ok);
  ASSERT_EQ(transport.requests().size(), 2U);
  const json body = json::parse(transport.requests()[1].body);
  const json& metric = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
  EXPECT_EQ(metric["name"], "gantry_connection_test");
  EXPECT_EQ(metric["gauge"]["dataPoints"][0]["asDouble"], 1);
  status_of_metrics = 404;
  const auto refused = test_connection(destination, "openrouter", transport, kClock, CancelToken());
  EXPECT_FALSE(refused.is_ok);
  EXPECT_EQ(refused.kind, FailureKind::WrongEndpoint);
  EXPECT_TRUE(refused.message.contains("/v1/metrics")) << refused.message;
}

TEST(TestConnection, SendsProtobufWhereThatIsSpoken) {
  const ExportRequest request = sent_to(gantry_destination());
  codec::OtlpTracesDecoder decoder;
  ASSERT_TRUE(decoder.decode_protobuf(request.body, codec::kNoOtlpTracesLimits));
  ASSERT_EQ(decoder.batch().spans.size(), 1U);
  EXPECT_EQ(decoder.batch().spans[0].name, "openrouter-connection-test");
}

TEST(TestConnection, MetricReceiversGetOneSample) {
  EXPECT_EQ(sent_to(influx_destination()).body,
            "gantry_connection_test value=1 1790000000123000000\n");
  const ExportRequest request = sent_to(remote_write_destination());
  std::string body;
  ASSERT_TRUE(codec::decompress(codec::Encoding::SnappyBlock, request.body, {}, body));
  codec::RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(codec::RemoteWriteVersion::V1, body));
  ASSERT_EQ(decoder.batch().samples.size(), 1U);
  EXPECT_EQ(decoder.batch().samples[0].timestamp_ms, 1'790'000'000'123);
}

TEST(TestConnection, SaysWhoDoesNotSpeakRemoteWrite2) {
  Destination destination = remote_write_destination();
  destination.config.remote_write_version = 2;
  FakeTransport transport(
      [](const ExportRequest&, DurationMs, const CancelToken&) { return answer_with(204); });
  const auto result = test_connection(destination, "openrouter", transport, kClock, CancelToken());
  EXPECT_FALSE(result.is_ok);
  EXPECT_TRUE(result.message.ends_with("set version to 1")) << result.message;
}

TEST(TestConnection, CallsOverGrpc) {
  FakeTransport transport([](const ExportRequest&, DurationMs, const CancelToken&) {
    return ExportAnswer{.status = 0, .headers = {}, .body = {}, .rpc = RpcEnd{}};
  });
  const auto result =
      test_connection(grpc_destination(), "openrouter", transport, kClock, CancelToken());
  EXPECT_TRUE(result.is_ok) << result.message;
  EXPECT_EQ(result.status, 0);
  const ExportRequest request = transport.requests().at(0);
  EXPECT_EQ(request.headers.find("X-Test-Connection"), "true");
  codec::OtlpTracesDecoder decoder;
  ASSERT_TRUE(decoder.decode_protobuf(request.body, codec::kNoOtlpTracesLimits));
  EXPECT_EQ(decoder.batch().spans.at(0).name, "openrouter-connection-test");
}

TEST(TestConnection, SaysWhatWasBlocked) {
  FakeTransport transport([](const ExportRequest&, DurationMs, const CancelToken&) {
    return TransportResult(std::unexpected(TransportFailure::Blocked));
  });
  const auto result =
      test_connection(webhook_destination(), "openrouter", transport, kClock, CancelToken());
  EXPECT_FALSE(result.is_ok);
  EXPECT_EQ(result.status, std::nullopt);
  EXPECT_EQ(failure_kind_name(result.kind), "invalid_config");
  EXPECT_TRUE(result.message.starts_with("url: "));
}

}  // namespace
}  // namespace gantry::broadcast
