#include "broadcast/destination_json.h"

#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "broadcast/testing/conformance.h"
#include "broadcast/testing/shown_destination.h"

namespace gantry::broadcast {
namespace {

using testing::show;
using testing::show_config;

constexpr std::string_view kGrafana =
    R"({"type":"grafana","name":"Cloud","config":{"instanceId":"123456","apiKey":"glc_0123456789AbCd"}})";

Destination created(std::string_view json) {
  const auto body = DestinationBody::parse(json);
  EXPECT_TRUE(body) << (body ? "" : body.error().message);
  auto destination = body->create();
  EXPECT_TRUE(destination) << (destination ? "" : destination.error().message);
  return destination ? *std::move(destination) : Destination();
}

/// What is wrong with a body; "ok".
template <class Act>
std::string refusal(std::string_view json, Act act) {
  const auto body = DestinationBody::parse(json);
  if (!body) return body.error().message;
  const auto read = act(*body);
  return read ? "ok" : read.error().message;
}

std::string create_refusal(std::string_view json) {
  return refusal(json, [](const DestinationBody& body) { return body.create(); });
}

/// The config of `before` after the PATCH, or what is wrong.
std::string changed_config(const Destination& before, std::string_view config) {
  const auto body = DestinationBody::parse(fmt::format(R"({{"config":{}}})", config));
  if (!body) return "error: " + body.error().message;
  const auto after = body->change(before);
  return after ? show_config(*after) : "error: " + after.error().message;
}

TEST(DestinationJson, WhatIsNotGivenHasItsDefault) {
  const Destination destination = created(kGrafana);
  EXPECT_EQ(destination.config.url, "https://otlp-gateway-prod-us-west-0.grafana.net");
  EXPECT_EQ(destination.config.secret, "glc_0123456789AbCd");
  EXPECT_EQ(
      show(destination),
      R"({"id":"","type":"grafana","name":"Cloud","enabled":true,"privacy_mode":false,)"
      R"("sampling_rate":1,"api_key_hashes":null,"excluded_api_key_hashes":[],"filter_rules":null,)"
      R"("attribute_rules":null,"metric_relabel_configs":null,"stream_aggregation":null,)"
      R"("broadcast_generation_cost":false,"broadcast_generation_identity":false,)"
      R"("broadcast_generation_request_context":false,"workspace_id":"0",)"
      R"("config":{"baseUrl":"https://otlp-gateway-prod-us-west-0.grafana.net",)"
      R"("instanceId":"123456","apiKey":"glc_...AbCd","signals":["traces"],"encoding":"json","compression":"gzip"},)"
      R"("created_at":"1970-01-01T00:00:00Z","updated_at":"1970-01-01T00:00:00Z"})");
}

TEST(DestinationJson, EverythingCanBeGiven) {
  Destination destination = created(
      R"({"type":"webhook","name":"w","enabled":false,"privacy_mode":true,"sampling_rate":0.25,)"
      R"("api_key_hashes":["a","b"],"excluded_api_key_hashes":["b"],)"
      R"("filter_rules":{"groups":[{"logic":"and","rules":[{"field":"model","operator":"exists"}]}]},)"
      R"("attribute_rules":[{"action":"hash","key":"user.id"}],)"
      R"("metric_relabel_configs":[{"regex":"pod","action":"labeldrop"}],)"
      R"("stream_aggregation":[{"match":"up","interval":"1m","outputs":["last"]}],)"
      R"("broadcast_generation_cost":true,"broadcast_generation_identity":true,)"
      R"("broadcast_generation_request_context":true,"workspace_id":"main",)"
      R"("config":{"url":"http://h:8080/in?x=1","method":"PUT","encoding":"protobuf",)"
      R"("compression":"none","headers":{"X-Key":"0123456789ab","X-Team":"web"}}})");
  destination.id = "d";
  destination.stack = 1000000;
  EXPECT_EQ(
      show(destination),
      R"({"id":"d","type":"webhook","name":"w","enabled":false,"privacy_mode":true,)"
      R"("sampling_rate":0.25,"api_key_hashes":["a","b"],"excluded_api_key_hashes":["b"],)"
      R"("filter_rules":{"groups":[{"logic":"and","rules":[{"field":"model","operator":"exists"}]}]},)"
      R"("attribute_rules":[{"action":"hash","key":"user.id"}],)"
      R"("metric_relabel_configs":[{"regex":"pod","action":"labeldrop"}],)"
      R"("stream_aggregation":[{"match":"up","interval":"1m","outputs":["last"]}],)"
      R"("broadcast_generation_cost":true,"broadcast_generation_identity":true,)"
      R"("broadcast_generation_request_context":true,"workspace_id":"1000000",)"
      R"("config":{"url":"http://h:8080/in?x=1","method":"PUT","encoding":"protobuf",)"
      R"("compression":"none","headers":{"X-Key":"0123...89ab","X-Team":"****"}},)"
      R"("created_at":"1970-01-01T00:00:00Z","updated_at":"1970-01-01T00:00:00Z"})");
  pipeline::EventFields without_model;
  EXPECT_FALSE(destination.filter_rules.matches(without_model));
}

struct ConfigCase {
  std::string_view name;
  std::string_view type;
  std::string_view config;
  std::string_view expected;  ///< As shown, or the refusal.
};

class DestinationConfigTest : public ::testing::TestWithParam<ConfigCase> {};

TEST_P(DestinationConfigTest, IsReadOrRefused) {
  const std::string json =
      fmt::format(R"({{"type":"{}","name":"n","config":{}}})", GetParam().type, GetParam().config);
  const auto body = DestinationBody::parse(json);
  ASSERT_TRUE(body) << body.error().message;
  const auto read = body->create();
  EXPECT_EQ(read ? show_config(*read) : read.error().message, GetParam().expected);
  const auto connection = body->connection();
  EXPECT_EQ(connection ? show_config(*connection) : connection.error().message,
            GetParam().expected);
}

constexpr ConfigCase kConfigCases[] = {
    {"otel", "otel-collector", R"({"endpoint":"https://c.example.com:4318/v1/traces"})",
     R"({"endpoint":"https://c.example.com:4318/v1/traces","signals":["traces"],"protocol":"http","encoding":"json","compression":"gzip"})"},
    {"otel_grpc", "otel-collector",
     R"({"endpoint":"https://C.example.com:4317/","protocol":"grpc","headers":{"X-Scope":"0123456789ab"}})",
     R"({"endpoint":"https://c.example.com:4317","signals":["traces"],"protocol":"grpc","encoding":"protobuf","compression":"gzip","headers":{"X-Scope":"0123...89ab"}})"},
    {"otel_grpc_encoding", "otel-collector",
     R"({"endpoint":"https://c:4317","protocol":"grpc","encoding":"json"})",
     "config.encoding: must be \"protobuf\" with protocol grpc"},
    {"otel_grpc_metrics", "otel-collector",
     R"({"endpoint":"https://c:4317","protocol":"grpc","signals":["metrics"]})",
     R"({"endpoint":"https://c:4317","signals":["metrics"],"protocol":"grpc","encoding":"protobuf","compression":"gzip"})"},
    {"otel_grpc_metrics_endpoint", "otel-collector",
     R"({"endpoint":"https://c:4317","protocol":"grpc","metricsEndpoint":"https://d:4317"})",
     "config.metricsEndpoint: cannot be set with protocol grpc, where both signals go to the "
     "endpoint"},
    {"otel_grpc_path", "otel-collector",
     R"({"endpoint":"https://c:4317/v1/traces","protocol":"grpc"})",
     "config.endpoint: has a path: with protocol grpc it is host and port alone, such as "
     "https://collector.example:4317"},
    {"otel_grpc_query", "otel-collector", R"({"endpoint":"https://c?a=b","protocol":"grpc"})",
     "config.endpoint: has a path: with protocol grpc it is host and port alone, such as "
     "https://collector.example:4317"},
    {"otel_grpc_binary", "otel-collector",
     R"({"endpoint":"https://c:4317","protocol":"grpc","headers":{"Trace-Bin":"x"}})",
     "config.headers: \"Trace-Bin\" is binary metadata, which cannot be set"},
    {"otel_grpc_own", "otel-collector",
     R"({"endpoint":"https://c:4317","protocol":"grpc","headers":{"grpc-timeout":"1S"}})",
     "config.headers: \"grpc-timeout\" is set by the sender"},
    {"otel_protocol", "otel-collector", R"({"endpoint":"https://c","protocol":"GRPC"})",
     "config.protocol: must be \"http\" or \"grpc\""},
    {"protocol_of_others", "webhook", R"({"url":"https://h","protocol":"grpc"})",
     "config.protocol: is not known here; the fields are url, method, encoding, compression, "
     "headers"},
    {"gantry", "gantry",
     R"({"baseUrl":"https://hub","instanceId":"1000001","token":"glc_eyJrIjoiAbCd"})",
     R"({"baseUrl":"https://hub","instanceId":"1000001","token":"glc_...AbCd","signals":["traces"],"encoding":"protobuf","compression":"gzip"})"},
    {"remote_write", "prometheus-remote-write",
     R"({"url":"https://p/api/prom/push","username":"7","token":"short","version":2})",
     R"({"url":"https://p/api/prom/push","username":"7","token":"****","version":2})"},
    {"influx", "influx",
     R"({"url":"https://i/write","headers":{"Authorization":"Token abcdefgh"}})",
     R"({"url":"https://i/write","compression":"gzip","headers":{"Authorization":"Toke...efgh"}})"},
    {"null_is_the_default", "grafana",
     R"({"baseUrl":null,"instanceId":"1","apiKey":"k","compression":null,"headers":null})",
     R"({"baseUrl":"https://otlp-gateway-prod-us-west-0.grafana.net","instanceId":"1","apiKey":"****","signals":["traces"],"encoding":"json","compression":"gzip"})"},
    {"both_signals", "otel-collector",
     R"({"endpoint":"https://c/v1/traces","signals":["metrics","traces"]})",
     R"({"endpoint":"https://c/v1/traces","signals":["traces","metrics"],"protocol":"http","encoding":"json","compression":"gzip"})"},
    {"metrics_elsewhere", "otel-collector",
     R"({"endpoint":"https://c/in","metricsEndpoint":"https://d/in","signals":["metrics"]})",
     R"({"endpoint":"https://c/in","metricsEndpoint":"https://d/in","signals":["metrics"],"protocol":"http","encoding":"json","compression":"gzip"})"},
    {"metrics_nowhere", "otel-collector", R"({"endpoint":"https://c/in","signals":["metrics"]})",
     "config.metricsEndpoint: is required for metrics: endpoint does not end in /v1/traces"},
    {"no_signal", "gantry", R"({"baseUrl":"https://h","instanceId":"1","token":"t","signals":[]})",
     "config.signals: must be a list of \"traces\", \"metrics\" or both"},
    {"signal_twice", "gantry",
     R"({"baseUrl":"https://h","instanceId":"1","token":"t","signals":["metrics","metrics"]})",
     "config.signals: must be a list of \"traces\", \"metrics\" or both"},
    {"logs", "grafana", R"({"instanceId":"1","apiKey":"k","signals":["logs"]})",
     "config.signals: must be a list of \"traces\", \"metrics\" or both"},
    {"signals_of_a_webhook", "webhook", R"({"url":"https://h","signals":["metrics"]})",
     "config.signals: is not known here; the fields are url, method, encoding, compression, "
     "headers"},
    {"nothing", "grafana", "{}", "config.instanceId: is required; config.apiKey: is required"},
    {"no_object", "grafana", "[]", "config: must be an object"},
    {"unknown", "otel-collector", R"({"url":"https://h"})",
     "config.url: is not known here; the fields are endpoint, metricsEndpoint, signals, protocol, "
     "encoding, compression, headers"},
    {"twice", "webhook", R"({"url":"https://h","url":"https://h"})", "config.url: is given twice"},
    {"id_is_text", "grafana", R"({"instanceId":1,"apiKey":"k"})",
     "config.instanceId: must be a string"},
    {"id_is_a_number", "grafana", R"({"instanceId":"my-stack","apiKey":"k"})",
     "config.instanceId: must be the numeric instance id, such as \"123456\""},
    {"empty_key", "grafana", R"({"instanceId":"1","apiKey":""})", "config.apiKey: is empty"},
    {"key_with_space", "grafana", R"({"instanceId":"1","apiKey":"glc_abc "})",
     "config.apiKey: has white space or characters that are not ASCII; enter the secret alone"},
    {"key_is_a_mask", "grafana", R"({"instanceId":"1","apiKey":"glc_...AbCd"})",
     "config.apiKey: is the mask of a secret, not a secret; leave it as it was shown, or enter it "
     "anew"},
    {"short_mask", "gantry", R"({"baseUrl":"https://h","instanceId":"1","token":"****"})",
     "config.token: is the mask of a secret, not a secret; leave it as it was shown, or enter it "
     "anew"},
    {"url_is_normalised", "webhook", R"({"url":"HTTPS://H.Example.com.:443?a=B"})",
     R"({"url":"https://h.example.com/?a=B","method":"POST","encoding":"json","compression":"gzip"})"},
    {"url_without_path", "otel-collector", R"({"endpoint":"http://H:80"})",
     R"({"endpoint":"http://h","signals":["traces"],"protocol":"http","encoding":"json","compression":"gzip"})"},
    {"user_in_url", "webhook", R"({"url":"https://u:p@h"})",
     "config.url: not a usable URL: it has a user name or a password"},
    {"scheme", "webhook", R"({"url":"grpc://h:4317"})",
     "config.url: must begin with https:// or http://"},
    {"method", "webhook", R"({"url":"https://h","method":"GET"})",
     "config.method: must be \"POST\" or \"PUT\""},
    {"encoding", "webhook", R"({"url":"https://h","encoding":"xml"})",
     "config.encoding: must be \"json\" or \"protobuf\""},
    {"compression", "webhook", R"({"url":"https://h","compression":"snappy"})",
     "config.compression: must be \"gzip\" or \"none\""},
    {"version", "prometheus-remote-write", R"({"url":"https://h","version":3})",
     "config.version: must be 1 or 2"},
    {"user_alone", "influx", R"({"url":"https://h","username":"u"})",
     "config.token: is required beside a user name"},
    {"token_alone", "influx", R"({"url":"https://h","token":"0123456789ab"})",
     R"({"url":"https://h","token":"0123...89ab","compression":"gzip"})"},
    {"colon_in_user", "influx", R"({"url":"https://h","username":"u:v","token":"p"})",
     "config.username: must be at most 255 ASCII characters without white space and ':'"},
    {"two_credentials", "influx",
     R"({"url":"https://h","token":"p","headers":{"authorization":"Token x"}})",
     "config.headers: cannot set Authorization: token is sent in it"},
    {"headers_type", "webhook", R"({"url":"https://h","headers":[]})",
     "config.headers: must be an object of strings"},
    {"header_value_type", "webhook", R"({"url":"https://h","headers":{"A":1}})",
     "config.headers.A: must be a string"},
    {"header_name", "webhook", R"({"url":"https://h","headers":{"A B":"x"}})",
     "config.headers: \"A B\" is not the name of a header (at most 128 letters, digits and -)"},
    {"header_twice", "webhook", R"({"url":"https://h","headers":{"A":"x","a":"y"}})",
     "config.headers.a: is given twice"},
    {"header_injection", "webhook", R"({"url":"https://h","headers":{"A":"x\r\nB: y"}})",
     "config.headers.A: has a control character or one that is not ASCII"},
    {"header_blank", "webhook", R"({"url":"https://h","headers":{"A":" x"}})",
     "config.headers.A: is empty, or begins or ends with white space"},
    {"refused_header", "webhook", R"({"url":"https://h","headers":{"hOst":"x"}})",
     "config.headers: \"hOst\" cannot be set"},
    {"refused_prefix", "webhook", R"({"url":"https://h","headers":{"X-Forwarded-For":"x"}})",
     "config.headers: \"X-Forwarded-For\" cannot be set"},
    {"own_authorization", "grafana",
     R"({"instanceId":"1","apiKey":"k","headers":{"Authorization":"x"}})",
     "config.headers: cannot set Authorization: apiKey is sent in it"},
    {"all_at_once", "webhook", R"({"url":"ftp://h","method":"GET","headers":{"Host":"x"}})",
     "config.url: not a usable URL: the scheme is not https, http or grpc; config.method: must be "
     "\"POST\" or \"PUT\"; config.headers: \"Host\" cannot be set"},
};

INSTANTIATE_TEST_SUITE_P(Types, DestinationConfigTest, ::testing::ValuesIn(kConfigCases),
                         [](const auto& c) { return std::string(c.param.name); });

struct BodyCase {
  std::string_view name;
  std::string_view members;  ///< Beside type, name and config.
  std::string_view expected;
};

class DestinationBodyTest : public ::testing::TestWithParam<BodyCase> {};

TEST_P(DestinationBodyTest, IsRefused) {
  EXPECT_EQ(create_refusal(
                fmt::format(R"({{"type":"webhook","name":"n","config":{{"url":"https://h"}},{}}})",
                            GetParam().members)),
            GetParam().expected);
}

constexpr BodyCase kBodyCases[] = {
    {"fine", R"("enabled":true)", "ok"},
    {"smallest_rate", R"("sampling_rate":0.0001)", "ok"},
    {"read_only_fields", R"("id":"x","created_at":1,"updated_at":null)", "ok"},
    {"enabled", R"("enabled":"yes")", "enabled: must be true or false"},
    {"null_switch", R"("privacy_mode":null)", "privacy_mode: must be true or false"},
    {"rate_text", R"("sampling_rate":"1")", "sampling_rate: must be a number"},
    {"rate_zero", R"("sampling_rate":0)", "sampling_rate: must be from 0.0001 to 1"},
    {"rate_low", R"("sampling_rate":0.00009)", "sampling_rate: must be from 0.0001 to 1"},
    {"rate_high", R"("sampling_rate":1.0001)", "sampling_rate: must be from 0.0001 to 1"},
    {"no_keys", R"("api_key_hashes":[])",
     "api_key_hashes: must have at least one item; null means all keys"},
    {"keys_type", R"("api_key_hashes":"a")", "api_key_hashes: must be an array of strings"},
    {"key_type", R"("api_key_hashes":["a",1])",
     "api_key_hashes[1]: must be a string of 1 to 128 bytes"},
    {"key_control", R"("excluded_api_key_hashes":["\u0000"])",
     "excluded_api_key_hashes[0]: must be a string of 1 to 128 bytes"},
    {"relabel", R"("metric_relabel_configs":[{"action":"x"}])",
     "metric_relabel_configs[0].action: unknown relabel action \"x\""},
    {"aggregation", R"("stream_aggregation":[{"match":"up"}])",
     "stream_aggregation[0]: \"interval\" is missing"},
    {"attributes", R"("attribute_rules":[{"action":"hash"}])",
     "attribute_rules[0]: needs \"key\" or \"pattern\""},
    {"rules", R"("filter_rules":{"groups":[{"logic":"xor","rules":[]}]})",
     "filter_rules.groups[0].logic: must be \"and\" or \"or\", not \"xor\""},
    {"unknown", R"("secret":"x")",
     "secret: is not known here; the fields are id, type, name, enabled, privacy_mode, "
     "sampling_rate, api_key_hashes, excluded_api_key_hashes, filter_rules, attribute_rules, "
     "metric_relabel_configs, stream_aggregation, broadcast_generation_cost, "
     "broadcast_generation_identity, "
     "broadcast_generation_request_context, workspace_id, config, created_at, updated_at"},
    {"twice", R"("name":"m")", "name: is given twice"},
    {"workspace", R"("workspace_id":1)", "workspace_id: must be a string"},
    {"several", R"("enabled":1,"sampling_rate":2)",
     "enabled: must be true or false; sampling_rate: must be from 0.0001 to 1"},
};

INSTANTIATE_TEST_SUITE_P(Fields, DestinationBodyTest, ::testing::ValuesIn(kBodyCases),
                         [](const auto& c) { return std::string(c.param.name); });

TEST(DestinationJson, BodiesThatAreNoDestination) {
  EXPECT_TRUE(create_refusal("{").starts_with("the body is not valid JSON: "));
  EXPECT_EQ(create_refusal("[]"), "the body must be a JSON object");
  EXPECT_EQ(create_refusal("{}"), "type: is required; name: is required; config: is required");
  EXPECT_EQ(create_refusal(R"({"type":"s3","name":"n","config":{}})"),
            "type: \"s3\" is not a type of destination; the types are grafana, otel-collector, "
            "webhook, gantry, prometheus-remote-write, influx");
  EXPECT_EQ(create_refusal(R"({"type":"webhook","name":"","config":{"url":"https://h"}})"),
            "name: is empty");
  EXPECT_EQ(create_refusal(R"({"type":"webhook","name":"a\nb","config":{"url":"https://h"}})"),
            "name: has a control character");
  EXPECT_EQ(create_refusal(
                fmt::format(R"({{"type":"webhook","name":"{}","config":{{"url":"https://h"}}}})",
                            std::string(256, 'n'))),
            "name: is longer than 255 bytes");
  const auto large = DestinationBody::parse(std::string(kDestinationBodyBytesMax + 1, ' '));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::TooLarge);
}

TEST(DestinationJson, LimitsAreNamed) {
  const auto with_config = [](const std::string& config) {
    return create_refusal(fmt::format(R"({{"type":"webhook","name":"n","config":{}}})", config));
  };
  std::string headers;
  for (std::size_t i = 0; i <= kHeadersMax; ++i)
    headers += fmt::format(R"({}"H{}":"x")", i == 0 ? "" : ",", i);
  EXPECT_EQ(with_config(fmt::format(R"({{"url":"https://h","headers":{{{}}}}})", headers)),
            "config.headers: has more than 32 headers");
  const std::string long_value(kSecretTextBytesMax, 'x');
  EXPECT_EQ(
      with_config(fmt::format(R"({{"url":"https://h","headers":{{"A":"{}x"}}}})", long_value)),
      "config.headers.A: is longer than 4096 bytes");
  EXPECT_EQ(with_config(fmt::format(
                R"({{"url":"https://h","headers":{{"A":"{0}","B":"{0}","C":"{0}","D":"{0}"}}}})",
                long_value)),
            "config.headers: is longer than 16384 bytes");
  EXPECT_EQ(with_config(fmt::format(R"({{"url":"https://h/{}"}})", std::string(2048, 'x'))),
            "config.url: not a usable URL: longer than 2048 bytes");
}

TEST(DestinationJson, SecretsAreNotInRefusals) {
  const std::string refused = create_refusal(
      R"({"type":"grafana","name":"n","config":{"instanceId":"x","apiKey":"glc_top secret",)"
      R"("headers":{"A":"top\u0001secret"}}})");
  EXPECT_FALSE(refused.contains("top")) << refused;
}

TEST(DestinationJson, OnlyWhatIsGivenChanges) {
  const Destination before =
      created(R"({"type":"grafana","name":"a","sampling_rate":0.5,"api_key_hashes":["k"],)"
              R"("filter_rules":{"groups":[]},"attribute_rules":[{"action":"hash","key":"a"}],)"
              R"("metric_relabel_configs":[],"stream_aggregation":[],)"
              R"("config":{"instanceId":"1","apiKey":"glc_0123456789AbCd"}})");
  const auto change = [&](std::string_view json) {
    const auto after = DestinationBody::parse(json)->change(before);
    return after ? show(*after) : after.error().message;
  };
  EXPECT_EQ(change("{}"), show(before));

  Destination wanted = before;
  wanted.name = "b";
  EXPECT_EQ(change(R"({"name":"b"})"), show(wanted));
  wanted = before;
  wanted.api_key_hashes.reset();
  wanted.filter_rules_json.clear();
  EXPECT_EQ(change(R"({"api_key_hashes":null,"filter_rules":null})"), show(wanted));
  wanted = before;
  wanted.attribute_rules_json.clear();
  EXPECT_EQ(change(R"({"attribute_rules":null})"), show(wanted));
  wanted = before;
  wanted.metric_relabel_json.clear();
  wanted.stream_aggregation_json.clear();
  EXPECT_EQ(change(R"({"metric_relabel_configs":null,"stream_aggregation":null})"), show(wanted));
  wanted = before;
  wanted.config.instance_id = "2";
  EXPECT_EQ(change(R"({"config":{"instanceId":"2"}})"), show(wanted));
  EXPECT_EQ(change(R"({"config":{"apiKey":null}})"), "config.apiKey: is required");
  EXPECT_EQ(change(R"({"config":{"instanceId":null}})"), "config.instanceId: is required");
}

TEST(DestinationJson, MasksKeepSecrets) {
  const Destination before =
      created(R"({"type":"webhook","name":"a","config":{"url":"https://h/x",)"
              R"("headers":{"X-One":"0123456789ab","X-Two":"short"}}})");
  const auto after =
      DestinationBody::parse(
          R"({"config":{"headers":{"x-one":"0123...89ab","X-Two":"****","X-New":"fresh"}}})")
          ->change(before);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->config.headers.at("x-one"), "0123456789ab");
  EXPECT_EQ(after->config.headers.at("X-Two"), "short");
  EXPECT_EQ(after->config.headers.at("X-New"), "fresh");

  EXPECT_EQ(changed_config(before, R"({"headers":{"X-Two":"****"}})"),
            R"({"url":"https://h/x","method":"POST","encoding":"json","compression":"gzip",)"
            R"("headers":{"X-Two":"****"}})");
  const std::string no_secret =
      "is the mask of a secret, not a secret; leave it as it was shown, or enter it anew";
  EXPECT_EQ(changed_config(before, R"({"headers":{"X-One":"0123...89ac"}})"),
            "error: config.headers.X-One: " + no_secret);
  EXPECT_EQ(changed_config(before, R"({"headers":{"X-New":"0123...89ab"}})"),
            "error: config.headers.X-New: " + no_secret);
}

TEST(DestinationJson, SecretsAreNotSentToAnotherServer) {
  const Destination before = created(
      R"({"type":"gantry","name":"a","config":{"baseUrl":"https://hub.example.com",)"
      R"("instanceId":"1","token":"glc_0123456789AbCd","headers":{"X-One":"0123456789ab"}}})");
  constexpr std::string_view kAgain = "must be entered again: config.baseUrl names another server";
  for (const std::string_view url :
       {"https://evil.example.com", "http://hub.example.com", "https://hub.example.com:8443"}) {
    EXPECT_EQ(changed_config(before, fmt::format(R"({{"baseUrl":"{}"}})", url)),
              fmt::format("error: config.token: {0}; config.headers.X-One: {0}", kAgain));
    EXPECT_EQ(changed_config(before, fmt::format(R"({{"baseUrl":"{}","token":"glc_...AbCd",)"
                                                 R"("headers":{{"X-One":"0123...89ab"}}}})",
                                                 url)),
              fmt::format("error: config.token: {0}; config.headers.X-One: {0}", kAgain));
  }
  EXPECT_EQ(
      changed_config(before, R"({"baseUrl":"https://hub.example.com:443/otlp/"})"),
      R"({"baseUrl":"https://hub.example.com/otlp/","instanceId":"1",)"
      R"("token":"glc_...AbCd","signals":["traces"],"encoding":"protobuf","compression":"gzip",)"
      R"("headers":{"X-One":"0123...89ab"}})");
  EXPECT_EQ(changed_config(before, R"({"baseUrl":"https://new","token":"glc_9876543210ZyXw",)"
                                   R"("headers":null})"),
            R"({"baseUrl":"https://new","instanceId":"1","token":"glc_...ZyXw",)"
            R"("signals":["traces"],"encoding":"protobuf","compression":"gzip"})");
}

TEST(DestinationJson, SecretsAreNotSentToAnotherServerWithMetrics) {
  const Destination before = created(
      R"({"type":"otel-collector","name":"a","config":{"endpoint":"https://c.example.com/v1/traces",)"
      R"("headers":{"X-One":"0123456789ab"}}})");
  EXPECT_EQ(changed_config(before, R"({"metricsEndpoint":"https://evil.example.com/v1/metrics"})"),
            "error: config.headers.X-One: must be entered again: config.metricsEndpoint names "
            "another server");
  EXPECT_EQ(
      changed_config(before, R"({"metricsEndpoint":"https://c.example.com/m"})"),
      R"({"endpoint":"https://c.example.com/v1/traces",)"
      R"("metricsEndpoint":"https://c.example.com/m","signals":["traces"],)"
      R"("protocol":"http","encoding":"json","compression":"gzip","headers":{"X-One":"0123...89ab"}})");
}

TEST(DestinationJson, ANewTypeBeginsWithAnEmptyConfig) {
  const Destination before = created(kGrafana);
  const auto change = [&](std::string_view json) {
    const auto after = DestinationBody::parse(json)->change(before);
    return after ? show_config(*after) : after.error().message;
  };
  EXPECT_EQ(change(R"({"type":"gantry"})"), "config: is required");
  EXPECT_EQ(change(R"({"type":"gantry","config":{"baseUrl":"https://h"}})"),
            "config.instanceId: is required; config.token: is required");
  EXPECT_EQ(change(R"({"type":"gantry","config":{"baseUrl":"https://h","instanceId":"1",)"
                   R"("token":"glc_...AbCd"}})"),
            "config.token: is the mask of a secret, not a secret; leave it as it was shown, or "
            "enter it anew");
  EXPECT_EQ(change(R"({"type":"grafana","config":{}})"), show_config(before));
}

TEST(DestinationJson, TheProtocolChangesWithWhatDependsOnIt) {
  const Destination http = created(
      R"({"type":"otel-collector","name":"c","config":{"endpoint":"https://c:4317/v1/traces"}})");
  EXPECT_EQ(changed_config(http, R"({"protocol":"grpc"})"),
            "error: config.endpoint: has a path: with protocol grpc it is host and port alone, "
            "such as https://collector.example:4317");
  const std::string as_grpc =
      R"({"endpoint":"https://c:4317","signals":["traces"],"protocol":"grpc","encoding":"protobuf","compression":"gzip"})";
  EXPECT_EQ(changed_config(http, R"({"protocol":"grpc","endpoint":"https://c:4317"})"), as_grpc);
  const Destination grpc = created(
      R"({"type":"otel-collector","name":"c","config":{"endpoint":"https://c:4317","protocol":"grpc"}})");
  EXPECT_EQ(changed_config(grpc, R"({"encoding":"json"})"),
            "error: config.encoding: must be \"protobuf\" with protocol grpc");
  EXPECT_EQ(changed_config(grpc, R"({"encoding":null})"), as_grpc);
  EXPECT_EQ(changed_config(grpc, as_grpc), as_grpc) << "what was read can be written back";
  EXPECT_EQ(
      changed_config(grpc, R"({"protocol":null,"encoding":"json"})"),
      R"({"endpoint":"https://c:4317","signals":["traces"],"protocol":"http","encoding":"json","compression":"gzip"})");
}

TEST(DestinationJson, SaysWhatItTouches) {
  EXPECT_TRUE(DestinationBody::parse(R"({"config":{}})")->changes_connection());
  EXPECT_TRUE(DestinationBody::parse(R"({"type":"webhook"})")->changes_connection());
  EXPECT_FALSE(DestinationBody::parse(R"({"name":"x"})")->changes_connection());
  EXPECT_EQ(DestinationBody::parse(R"({"workspace_id":"main"})")->workspace_id(), "main");
  EXPECT_EQ(DestinationBody::parse(R"({"workspace_id":null})")->workspace_id(), std::nullopt);
}

TEST(DestinationJson, PublishedConfigsAreJudgedAsPublished) {
  GANTRY_BROADCAST_JSON(table, "table-test-connection.json");
  int refused = 0;
  for (const auto& row : table.at("rows")) {
    const nlohmann::json body = {
        {"type", row.at("type")}, {"name", "n"}, {"config", row.at("config")}};
    const bool is_invalid = row.value("error_code", "") == "invalid_config";
    const std::string verdict = create_refusal(body.dump());
    EXPECT_EQ(verdict != "ok", is_invalid) << body.dump() << ": " << verdict;
    refused += is_invalid ? 1 : 0;
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace gantry::broadcast
