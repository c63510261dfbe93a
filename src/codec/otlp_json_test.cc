#include "codec/otlp_json.h"

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/otlp_metrics.h"
#include "codec/testing/batch_text.h"
#include "codec/testing/conformance.h"
#include "codec/testing/otlp_builder.h"

namespace gantry::codec {
namespace {

using testing::padded;

std::string converted(std::string_view json) {
  std::string out;
  const auto result = otlp_json_to_protobuf(OtlpJsonMessage::MetricsRequest, padded(json), out);
  return result ? out : "error: " + result.error().message;
}

// Every message and every kind of field, members in the order of their numbers.
constexpr std::string_view kEverything = R"({"resourceMetrics":[{
 "resource":{"attributes":[{"key":"k","value":{"intValue":"-1"}}]},
 "scopeMetrics":[{"scope":{"name":"s","version":"1","attributes":[{"key":"b","value":{"bytesValue":"aGkh"}}]},
  "metrics":[
   {"name":"n","description":"d","unit":"By","sum":{"dataPoints":[{"startTimeUnixNano":"1",
     "timeUnixNano":"18446744073709551615","exemplars":[{"timeUnixNano":2,"asDouble":0.5,
      "spanId":"EEE19b7ec3c1b174","filteredAttributes":[{"key":"x","value":{"boolValue":true}}]}],
     "asInt":"-5","flags":1}],"aggregationTemporality":2,"isMonotonic":true}},
   {"name":"h","histogram":{"dataPoints":[{"count":"2","sum":0,"bucketCounts":["1",1],
     "explicitBounds":[1.5],"min":1,"max":2}],"aggregationTemporality":1}},
   {"name":"e","exponentialHistogram":{"dataPoints":[{"attributes":[{"key":"l","value":{"arrayValue":
     {"values":[{"doubleValue":1}]}}}],"scale":-2,"zeroCount":"3",
     "positive":{"offset":-1,"bucketCounts":["300"]},"zeroThreshold":0.25}]}},
   {"name":"q","summary":{"dataPoints":[{"count":"1","sum":2,"quantileValues":[{"quantile":0.5,"value":3}],
     "attributes":[{"key":"m","value":{"kvlistValue":{"values":[{"key":"i","value":{"stringValue":"j"}}]}}}]}]}}],
  "schemaUrl":"u"}],"schemaUrl":"r"}]})";

TEST(OtlpJson, WritesWhatProtocWrites) {
  // protoc --encode of the same message, from the published field numbers.
  EXPECT_EQ(
      converted(kEverything),
      testing::from_hex(
          "0acf020a120a100a016b120b18ffffffffffffffffff0112b5020a120a01731201311a0a0a016212053a0368"
          "692112560a016e1201641a0242793a4a0a4411010000000000000019ffffffffffffffff2a25110200000000"
          "00000019000000000000e03f2208eee19b7ec3c1b1743a070a01781202100131fbffffffffffffff40011002"
          "180112490a01684a440a40210200000000000000290000000000000000321001000000000000000100000000"
          "0000003a08000000000000f83f59000000000000f03f610000000000000040100112370a016552320a300a12"
          "0a016c120d2a0b0a0921000000000000f03f3003390300000000000000420608011202ac0271000000000000"
          "d03f12400a01715a3b0a39210100000000000000290000000000000040321209000000000000e03f11000000"
          "00000008403a110a016d120c320a0a080a016912030a016a1a01751a0172"));
}

/// What one gauge point with these members becomes: its value, time and labels, or the error.
std::string point_text(std::string_view members) {
  const std::string json =
      R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{)" +
      std::string(members) + "}]}}]}]}]}";
  OtlpMetricsDecoder decoder;
  const OtlpOptions options;
  const std::string body = padded(json);
  const auto decoded = decoder.decode_json(body, options);
  if (!decoded) return "error: " + decoded.error().message;
  return testing::batch_lines(decoder.batch()).front();
}

constexpr std::string_view kPath =
    "error: body is not an OTLP/JSON request: "
    "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].";

struct Case {
  std::string_view members, expected;
};

TEST(OtlpJson, ReadsEveryFormOfAValue) {
  for (
      const Case& c : {
          Case{R"("asInt":"5","timeUnixNano":"1000000")", "g 5 @1"},
          Case{R"("asInt":5,"timeUnixNano":1000000)", "g 5 @1"},
          Case{R"("asInt":"-9007199254740992","timeUnixNano":1000000)", "g -9007199254740992 @1"},
          Case{R"("asInt":1e3,"timeUnixNano":1E6)", "g 1000 @1"},
          Case{R"("asInt":"1.0","timeUnixNano":"1e6")", "g 1 @1"},
          Case{R"("asDouble":"1.5")", "g 1.5 @0"},
          Case{R"("asDouble":1)", "g 1 @0"},
          Case{R"("asDouble":"NaN")", "g NaN @0"},
          Case{R"("asDouble":"Infinity")", "g +Inf @0"},
          Case{R"("asDouble":"-Infinity")", "g -Inf @0"},
          Case{R"("asInt":1,"flags":"1")", "g StaleNaN @0"},
          Case{R"("timeUnixNano":null,"asInt":1,"attributes":null)", "g 1 @0"},
          Case{R"("asInt":1,"asInt":2)", "g 2 @0"},
          Case{R"("asInt":1,"asDouble":2.5)", "g 2.5 @0"},
          Case{R"("asDouble":2.5,"asInt":1,"asDouble":null)", "g 1 @0"},
          Case{R"("as_int":7,"future":{"a":[1,{"b":null}]},"asInt":1)", "g 1 @0"},
          Case{R"("asInt":1,"attributes":[{"key":"k","value":{"stringValue":"v"},"zz":1}])",
               "g{k=\"v\"} 1 @0"},
          Case{R"("attributes":[{"key":"a","value":{"stringValue":"1"}}],"asInt":1,"attributes":
                [{"key":"b","value":{"stringValue":"2"}}],"timeUnixNano":"1000000")",
               "g{b=\"2\"} 1 @1"},
          Case{R"("asInt":1,"attributes":[null,{"key":"k","value":null}])", "g 1 @0"},
          Case{R"("asInt":1,"attributes":[{"key":"k","value":{"bytesValue":"_-8"}}])",
               "g{k=\"/+8=\"} 1 @0"},
          Case{
              R"("asInt":1,"attributes":[{"key":"k\u00e9y","value":{"stringValue":"\ud83d\ude00\n"}}])",
              "g{k_y=\"😀\\n\"} 1 @0"},
      }) {
    EXPECT_EQ(point_text(c.members), c.expected) << c.members;
  }
}

TEST(OtlpJson, ErrorsSayWhere) {
  for (const Case& c : {
           Case{R"("asInt":"x")", "asInt: not an integer of this field's range"},
           Case{R"("asInt":1.5)", "asInt: not an integer of this field's range"},
           Case{R"("asInt":"9223372036854775808")", "asInt: not an integer of this field's range"},
           Case{R"("asInt":1e19)", "asInt: not an integer of this field's range"},
           Case{R"("timeUnixNano":-1)", "timeUnixNano: not an integer of this field's range"},
           Case{R"("flags":4294967296)", "flags: not an integer of this field's range"},
           Case{R"("asInt":true)", "asInt: not a number"},
           Case{R"("asDouble":"inf")", "asDouble: not a number that a double can hold"},
           Case{R"("asDouble":"")", "asDouble: not a number that a double can hold"},
           Case{R"("attributes":{})", "attributes: not a list"},
           Case{R"("attributes":[1])", "attributes[0]: not an object"},
           Case{R"("attributes":[{},{"key":1}])", "attributes[1].key: not a string"},
           Case{R"("attributes":[{"value":{"bytesValue":"a"}}])",
                "attributes[0].value.bytesValue: not base64"},
           Case{R"("attributes":[{"value":{"boolValue":"true"}}])",
                "attributes[0].value.boolValue: not a boolean"},
           Case{R"("exemplars":[{"spanId":"W47/95gDgQM="}])",
                "exemplars[0].spanId: not 16 hexadecimal digits"},
           Case{R"("exemplars":[{"traceId":"5b8efff7"}])",
                "exemplars[0].traceId: not 32 hexadecimal digits"},
       }) {
    EXPECT_EQ(point_text(c.members), std::string(kPath) + std::string(c.expected)) << c.members;
  }
  EXPECT_EQ(converted(R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{
             "aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}}]}]}]})"),
            "error: body is not an OTLP/JSON request: "
            "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality: enums are "
            "integers in OTLP/JSON, never names");
}

TEST(OtlpJson, WholeBodiesAreRefusedOrTaken) {
  EXPECT_EQ(converted("{}"), "");
  EXPECT_EQ(converted(" { \"resourceMetrics\" : null } \n"), "");
  for (const std::string_view body :
       {"", " ", "null", "[]", "1", "{", "{\"resourceMetrics\":[", "{\"resourceMetrics\":{}}",
        "{} x", "{}{}", "{\"resourceMetrics\":[{]}",
        "{\"resourceMetrics\":[{\"resource\":\"\xff\"}]}"}) {
    EXPECT_TRUE(converted(body).starts_with("error: body is not an OTLP/JSON request: ")) << body;
  }
}

TEST(OtlpJson, DeepValuesAreRefused) {
  const auto nested = [](int depth) {
    std::string value = R"({"intValue":1})";
    for (int i = 0; i < depth; ++i) value = R"({"arrayValue":{"values":[)" + value + "]}}";
    return R"("asInt":1,"attributes":[{"key":"k","value":)" + value + "}]";
  };
  EXPECT_TRUE(point_text(nested(10)).starts_with("g{k=\"[[[[[[[[[[1]]]]]]]]]]\"}"));
  EXPECT_TRUE(point_text(nested(100)).ends_with("nested too deeply"));
}

TEST(OtlpJson, TruncatedAtEveryByteIsAnError) {
  for (std::size_t length = 0; length < kEverything.size(); ++length) {
    const std::string part = padded(kEverything.substr(0, length));
    EXPECT_TRUE(converted(part).starts_with("error: ")) << length;
  }
}

TEST(OtlpJson, ChangedBytesErrOrConvert) {
  OtlpMetricsDecoder decoder;
  const OtlpOptions options;
  for (std::size_t i = 0; i < kEverything.size(); ++i) {
    for (const char c : {'"', '{', '}', '[', ']', ',', ':', '9', '\\', '\x80'}) {
      std::string changed = padded(kEverything);
      changed[i] = c;
      static_cast<void>(decoder.decode_json(changed, options));
    }
  }
  const std::string whole = padded(kEverything);
  EXPECT_TRUE(decoder.decode_json(whole, options));
}

RC_GTEST_PROP(OtlpJson, DoublesKeepTheirBits, (std::uint64_t bits)) {
  const double value = std::bit_cast<double>(bits);
  RC_PRE(value - value == 0);
  const std::string body = padded(
      R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{"asDouble":)" +
      nlohmann::json(value).dump() + "}]}}]}]}]}");
  OtlpMetricsDecoder decoder;
  const OtlpOptions options;
  RC_ASSERT(decoder.decode_json(body, options).has_value());
  RC_ASSERT(std::bit_cast<std::uint64_t>(decoder.batch().samples.at(0).value) == bits);
}

TEST(OtlpJsonConformance, DecodeCases) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-json/decode-cases.json");
  testing::Score score("otlp-json/decode-cases.json (metrics and whole bodies)");
  for (const auto& test : file.at("cases")) {
    const bool is_metrics = test.value("path", "") == "/v1/metrics";
    const bool is_raw = test.contains("raw");
    // Spans and logs have other messages; what remains of them here is whether the text is JSON.
    if ((!is_metrics && !is_raw) || test.value("id", "") == "wrong-type") continue;
    const std::string body =
        padded(is_raw ? test["raw"].get<std::string>() : test.at("body").dump());
    OtlpMetricsDecoder decoder;
    const OtlpOptions options;
    const bool is_good = decoder.decode_json(body, options).has_value();
    bool passed = is_good == (test.at("status") == 200);
    const auto expect = test.value("expect", nlohmann::json::object());
    const std::string text = testing::batch_text(decoder.batch());
    if (expect.contains("has_sum")) {
      passed &= (text.find("h_sum") != std::string::npos) == expect["has_sum"].get<bool>();
    }
    if (expect.contains("value")) {
      passed &= decoder.batch().samples.at(0).value == expect["value"].get<double>();
    }
    EXPECT_TRUE(passed) << test << "\n" << text;
    score.add(passed);
  }
}

TEST(OtlpJsonConformance, PublishedExample) {
  const auto text = testing::read_conformance_file("wire/otlp-json/metrics.json");
  if (!text) GTEST_SKIP() << "no otlp-json/metrics.json: set GANTRY_CONFORMANCE_DIR";
  testing::Score score("otlp-json/metrics.json");
  OtlpMetricsDecoder decoder;
  const OtlpOptions options{.delta = DeltaPolicy::Native};
  const std::string body = padded(*text);
  const auto decoded = decoder.decode_json(body, options);
  const bool passed =
      decoded && decoder.outcome().rejected_data_points == 0 && decoder.outcome().data_points > 3;
  EXPECT_TRUE(passed) << (decoded ? decoder.outcome().message() : decoded.error().message);
  score.add(passed);
}

}  // namespace
}  // namespace gantry::codec
