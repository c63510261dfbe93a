#include "codec/otlp_traces.h"

#include <cmath>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "codec/otlp_attributes.h"
#include "codec/otlp_traces_encoder.h"
#include "codec/otlp_values.h"
#include "codec/testing/conformance.h"
#include "codec/testing/otlp_trace_builder.h"
#include "codec/testing/span_text.h"

namespace gantry::codec {
namespace {

using testing::kEveryTraceField;
using testing::padded;
using testing::span_json;
using testing::span_lines;
using testing::trace_request;
using testing::traces_protobuf;

constexpr std::string_view kEveryFieldText =
    R"(resource{"service.name":{"stringValue":"shop"},"n":{"intValue":"-1"}}-1 url=r)"
    R"( scope=s/1{"b":{"bytesValue":"aGkh"}}-2 url=u)"
    R"( trace=5b8efff798038103d269b633813fc60c span=eee19b7ec3c1b174 parent=0000000000000002)"
    R"( state=a=b name=GET / kind=2 start=1544712660000000000 end=1544712661000000000)"
    R"( status=2/boom flags=257)"
    R"( attributes{"d":{"doubleValue":0.5},"f":{"boolValue":false},)"
    R"("l":{"arrayValue":{"values":[{"stringValue":"x"},{}]}},)"
    R"("m":{"kvlistValue":{"values":[{"key":"i","value":{"intValue":"0"}}]}},"e":{}}-3)"
    R"( event=exception@1544712660500000000{"k":{"stringValue":"v"}}-4-5)"
    R"( link=5b8efff798038103d269b633813fc60d/0000000000000001 state=c=d flags=1)"
    R"({"o":{"stringValue":""}}-6-7)";

TEST(OtlpTraces, ReadsEveryField) {
  const std::string body = traces_protobuf(kEveryTraceField);
  OtlpTracesDecoder decoder;
  ASSERT_TRUE(decoder.decode_protobuf(body, {}));
  EXPECT_EQ(span_lines(decoder.batch()), std::vector<std::string>{std::string(kEveryFieldText)});
  EXPECT_EQ(decoder.batch().otlp.data(), body.data());
  EXPECT_EQ(decoder.batch().otlp.size(), body.size());
  EXPECT_EQ(decoder.batch().body_bytes, body.size());
  EXPECT_EQ(decoder.outcome().spans, 1U);
  EXPECT_EQ(decoder.outcome().message(), "");
}

TEST(OtlpTraces, JsonIsTheSame) {
  const std::string body = padded(kEveryTraceField);
  OtlpTracesDecoder decoder;
  ASSERT_TRUE(decoder.decode_json(body, {}));
  EXPECT_EQ(span_lines(decoder.batch()), std::vector<std::string>{std::string(kEveryFieldText)});
  EXPECT_EQ(decoder.batch().otlp, traces_protobuf(kEveryTraceField));
  EXPECT_EQ(decoder.batch().body_bytes, kEveryTraceField.size());
}

TEST(OtlpTraces, WritesWhatProtocWrites) {
  // protoc --encode of a span with these ids, a 32-bit and two 64-bit fixed fields.
  EXPECT_EQ(
      traces_protobuf(trace_request(
          span_json(R"("kind":3,"startTimeUnixNano":"1","endTimeUnixNano":"2","flags":257)"))),
      testing::from_hex("0a630a180a160a0c736572766963652e6e616d6512060a0473686f7012470a0a0a036c69"
                        "621203312e3212390a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b174"
                        "2a016e3003390100000000000000410200000000000000850101010000"));
}

/// Decodes a request with the one span; its message, or how many spans it gave.
struct Decoded {
  OtlpTracesDecoder decoder;
  std::string body;
  std::string error;
};

Decoded decoded(std::string body, const OtlpTracesOptions& options = {}) {
  Decoded result{.body = std::move(body)};
  if (const auto done = result.decoder.decode_protobuf(result.body, options); !done)
    result.error = done.error().message;
  return result;
}

Decoded decoded_spans(std::string_view spans_json, const OtlpTracesOptions& options = {}) {
  return decoded(traces_protobuf(trace_request(spans_json)), options);
}

/// A span message: its ids as given, a name and more fields, in a request.
std::string raw_request(std::string_view trace_id, std::string_view span_id,
                        std::string_view more = {}) {
  const auto field = [](char tag, std::string_view bytes) {
    return std::string{tag, static_cast<char>(bytes.size())} + std::string(bytes);
  };
  const std::string span =
      field('\x0a', trace_id) + field('\x12', span_id) + field('\x2a', "x") + std::string(more);
  return field('\x0a', field('\x12', field('\x12', span)));
}

const std::string kTraceId(16, '\x01');
const std::string kSpanId(8, '\x02');

TEST(OtlpTraces, BadIdsRefuseTheSpanAlone) {
  struct Case {
    std::string body;
    std::string_view expected;
  };

  for (const Case& c : {
           Case{raw_request("abcd", kSpanId), "trace ids must be 128 bit, got 4 bytes"},
           Case{raw_request("", kSpanId), "trace ids must be 128 bit, got 0 bytes"},
           Case{raw_request(std::string(16, '\0'), kSpanId), "the trace id is zero"},
           Case{raw_request(kTraceId, "abc"), "span ids must be 64 bit, got 3 bytes"},
           Case{raw_request(kTraceId, std::string(8, '\0')), "the span id is zero"},
           Case{raw_request(kTraceId, kSpanId, "\x22\x02zz"),
                "parent span ids must be 64 bit, got 2 bytes"},
       }) {
    // A good span of the same request is kept.
    const Decoded result = decoded(c.body + traces_protobuf(trace_request(span_json())));
    EXPECT_EQ(result.error, "");
    EXPECT_EQ(result.decoder.batch().spans.size(), 1U);
    EXPECT_EQ(result.decoder.outcome().spans, 2U);
    EXPECT_EQ(result.decoder.outcome().rejected_spans, 1U);
    EXPECT_EQ(result.decoder.outcome().message(),
              "1 spans were refused: span \"x\": " + std::string(c.expected));
    EXPECT_EQ(result.decoder.batch().otlp, "") << "the store may not log what was refused";
  }
}

TEST(OtlpTraces, ZeroParentIsARoot) {
  const Decoded result =
      decoded(raw_request(kTraceId, kSpanId, std::string("\x22\x08", 2) + std::string(8, '\0')));
  ASSERT_EQ(result.decoder.batch().spans.size(), 1U);
  EXPECT_EQ(result.decoder.batch().spans[0].parent_id, 0U);
}

TEST(OtlpTraces, KeepsTheTextsOfTheFirstRefusals) {
  std::string body;
  for (int i = 0; i < 30; ++i) body += raw_request("abcd", kSpanId);
  const Decoded result = decoded(body);
  EXPECT_EQ(result.decoder.outcome().rejected_spans, 30U);
  EXPECT_EQ(result.decoder.outcome().errors.size(), OtlpTracesOutcome::kMessagesKept);
}

TEST(OtlpTraces, RefusedSpansLeaveNoAttributesBehind) {
  const Decoded result =
      decoded(raw_request("abcd", kSpanId, std::string("\x4a\x03\x0a\x01k", 5)) +
              raw_request(kTraceId, kSpanId, std::string("\x4a\x03\x0a\x01q", 5)));
  ASSERT_EQ(result.decoder.batch().spans.size(), 1U);
  ASSERT_EQ(result.decoder.batch().attributes.size(), 1U);
  EXPECT_EQ(result.decoder.batch().attributes[0].key, "q");
}

TEST(OtlpTraces, TheLastOfRepeatedKeysCounts) {
  const Decoded result =
      decoded_spans(span_json(R"("attributes":[{"key":"a","value":{"intValue":1}},
        {"key":"b","value":{"intValue":2}},{"key":"a","value":{"stringValue":"3"}}])"));
  const auto& batch = result.decoder.batch();
  ASSERT_EQ(batch.spans.at(0).attributes.count, 2U);
  const auto attributes = batch.attributes_of(batch.spans[0].attributes);
  EXPECT_EQ(attributes[0].key, "a");
  EXPECT_EQ(attributes[0].value.text, "3");
  EXPECT_EQ(batch.otlp, "");
}

TEST(OtlpTraces, RepeatedKeysOfLongListsAreFoundToo) {
  std::string list;
  for (int i = 0; i < 200; ++i)
    list +=
        fmt::format(R"({}{{"key":"k{}","value":{{"intValue":{}}}}})", i == 0 ? "" : ",", i % 90, i);
  const Decoded result = decoded_spans(span_json(R"("attributes":[)" + list + "]") + "," +
                                       span_json(R"("attributes":[)" + list + "]"));
  const auto& batch = result.decoder.batch();
  ASSERT_EQ(batch.spans.size(), 2U);
  for (const auto& span : batch.spans) {
    ASSERT_EQ(span.attributes.count, 90U);
    EXPECT_EQ(batch.attributes_of(span.attributes)[0].value.integer, 180);
    EXPECT_EQ(batch.attributes_of(span.attributes)[89].value.integer, 179);
  }
}

TEST(OtlpTraces, LimitsDropAndCount) {
  const std::string spans = span_json(R"(
    "attributes":[{"key":"a","value":{"stringValue":"ä2345"}},{"key":"b","value":{"intValue":1}},
      {"key":"c","value":{"intValue":1}},{"key":"a2","value":{"bytesValue":"MTIzNDU2Nzg="}}],
    "droppedAttributesCount":1,"events":[{"name":"e1"},{"name":"e2"}],
    "links":[{"traceId":"5b8efff798038103d269b633813fc60d","spanId":"0000000000000001"},
      {"traceId":"5b8efff798038103d269b633813fc60d","spanId":"0000000000000002"}])");
  const Decoded result = decoded_spans(spans, {.attributes_per_span_max = 2,
                                               .events_per_span_max = 1,
                                               .links_per_span_max = 1,
                                               .attribute_value_bytes_max = 5});
  const auto& batch = result.decoder.batch();
  const auto& span = batch.spans.at(0);
  ASSERT_EQ(span.attributes.count, 2U);
  EXPECT_EQ(batch.attributes_of(span.attributes)[0].value.text, "ä234");
  EXPECT_EQ(span.dropped_attributes, 3U);
  EXPECT_EQ(span.events.count, 1U);
  EXPECT_EQ(span.dropped_events, 1U);
  EXPECT_EQ(span.links.count, 1U);
  EXPECT_EQ(span.dropped_links, 1U);
  EXPECT_EQ(batch.otlp, "");
  EXPECT_EQ(result.decoder.outcome().rejected_spans, 0U);
  EXPECT_EQ(
      result.decoder.outcome().message(),
      "2 attributes were dropped (limits.attributes_per_span_max, "
      "limits.attribute_value_bytes_max); 1 attribute values were cut "
      "(limits.attribute_value_bytes_max); 1 events were dropped (limits.events_per_span_max); "
      "1 links were dropped (invalid ids, or limits.links_per_span_max)");

  const Decoded whole = decoded_spans(spans, kNoOtlpTracesLimits);
  EXPECT_EQ(whole.decoder.batch().spans.at(0).attributes.count, 4U);
  EXPECT_EQ(whole.decoder.outcome().message(), "");
}

TEST(OtlpTraces, CutsBeforeHalfACharacter) {
  const Decoded result =
      decoded_spans(span_json(R"("attributes":[{"key":"a","value":{"stringValue":"12ä"}}])"),
                    {.attribute_value_bytes_max = 3});
  EXPECT_EQ(result.decoder.batch().attributes.at(1).value.text, "12");
}

TEST(OtlpTraces, LinksWithoutIdsAreDropped) {
  const Decoded result = decoded_spans(span_json(
      R"("links":[{"spanId":"0000000000000001","attributes":[{"key":"x","value":{"intValue":1}}]},
        {"traceId":"5b8efff798038103d269b633813fc60d","spanId":"0000000000000003"}])"));
  const auto& batch = result.decoder.batch();
  ASSERT_EQ(batch.links.size(), 1U);
  EXPECT_EQ(batch.links[0].span_id, 3U);
  EXPECT_EQ(batch.spans.at(0).dropped_links, 1U);
  EXPECT_EQ(batch.attributes.size(), 1U) << "the resource's";
}

TEST(OtlpTraces, RepairsTextThatIsNotUtf8) {
  // attributes: key "k\xff", value an array of the string "\xfe".
  const std::string attribute("\x4a\x0d\x0a\x02k\xff\x12\x07\x2a\x05\x0a\x03\x0a\x01\xfe", 15);
  const Decoded result = decoded(raw_request(kTraceId, kSpanId, attribute));
  EXPECT_EQ(result.error, "");
  const auto& batch = result.decoder.batch();
  ASSERT_EQ(batch.attributes.size(), 1U);
  EXPECT_EQ(batch.attributes[0].key, "k\xef\xbf\xbd");
  EXPECT_EQ(testing::value_text(batch.attributes[0].value),
            "{\"arrayValue\":{\"values\":[{\"stringValue\":\"\xef\xbf\xbd\"}]}}");
  EXPECT_EQ(batch.otlp, "");
}

TEST(OtlpTraces, ValuesNestedTooDeeplyAreDropped) {
  std::string value = R"({"intValue":1})";
  for (int i = 0; i < 10; ++i)
    value = R"({"kvlistValue":{"values":[{"key":"k","value":)" + value + "}]}}";
  const std::string json =
      trace_request(span_json(R"("attributes":[{"key":"a","value":)" + value + "}]"));
  // JSON has a bound of its own; the protobuf form goes deeper.
  std::string deep = "\x18\x01";
  for (int i = 0; i < kValueDepthMax + 1; ++i) {
    for (const char tag : {'\x0a', '\x2a'}) {
      std::string outer(1, tag);
      if (deep.size() >= 0x80) {
        outer.push_back(static_cast<char>((deep.size() & 0x7fU) | 0x80U));
        outer.push_back(static_cast<char>(deep.size() >> 7U));
      } else {
        outer.push_back(static_cast<char>(deep.size()));
      }
      deep = outer + deep;
    }
  }
  const auto wrap = [](std::string_view tag, const std::string& bytes) {
    return std::string(tag) + static_cast<char>((bytes.size() & 0x7fU) | 0x80U) +
           static_cast<char>(bytes.size() >> 7U) + bytes;
  };
  const std::string attribute = wrap("\x4a", "\x0a\x01k" + wrap("\x12", deep));
  const std::string span = "\x0a\x10" + kTraceId + "\x12\x08" + kSpanId + attribute + "\x2a\x01x";
  const Decoded result = decoded(wrap("\x0a", wrap("\x12", wrap("\x12", span))));
  EXPECT_EQ(result.error, "");
  ASSERT_EQ(result.decoder.batch().spans.size(), 1U);
  EXPECT_EQ(result.decoder.batch().spans[0].dropped_attributes, 1U);
  EXPECT_EQ(result.decoder.outcome().dropped_attributes, 1U);
  EXPECT_EQ(decoded(traces_protobuf(json)).decoder.outcome().dropped_attributes, 0U);
}

TEST(OtlpTraces, UnknownNumbersCountAsUnspecified) {
  const Decoded result =
      decoded_spans(span_json(R"("kind":17,"status":{"code":9},"startTimeUnixNano":0)") + "," +
                    span_json(R"("startTimeUnixNano":"18446744073709551615")"));
  const auto& batch = result.decoder.batch();
  EXPECT_EQ(batch.spans.at(0).kind, telemetry::SpanKind::Unspecified);
  EXPECT_EQ(batch.spans.at(0).status, telemetry::SpanStatus::Unset);
  EXPECT_EQ(batch.spans.at(1).start_ns, 9223372036854775807U);
  EXPECT_EQ(batch.otlp, "");
}

TEST(OtlpTraces, UnknownFieldsAreKeptInTheBody) {
  const Decoded result = decoded(raw_request(kTraceId, kSpanId, "\xf8\x01\x05"));
  EXPECT_EQ(result.decoder.batch().spans.size(), 1U);
  EXPECT_EQ(result.decoder.batch().otlp, result.body);
}

TEST(OtlpTraces, EmptyRequestsAreEmptyBatches) {
  const Decoded result = decoded("");
  EXPECT_EQ(result.error, "");
  EXPECT_TRUE(result.decoder.batch().spans.empty());
}

TEST(OtlpTraces, TruncatedAtEveryByteErrsOrDecodes) {
  const std::string whole = traces_protobuf(kEveryTraceField);
  int error_count = 0;
  OtlpTracesDecoder decoder;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string part(whole, 0, length);
    if (const auto done = decoder.decode_protobuf(part, {}); !done) {
      ++error_count;
      EXPECT_TRUE(done.error().message.starts_with("body is not an OTLP traces request: "));
      EXPECT_TRUE(decoder.batch().spans.empty());
    } else {
      EXPECT_NO_THROW(static_cast<void>(span_lines(decoder.batch())));
    }
  }
  EXPECT_GT(error_count, 100);
}

TEST(OtlpTraces, EveryBitFlipErrsOrDecodes) {
  const std::string whole = traces_protobuf(kEveryTraceField);
  OtlpTracesDecoder decoder;
  for (std::size_t i = 0; i < whole.size() * 8; ++i) {
    std::string flipped(whole);
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    if (decoder.decode_protobuf(flipped, {}))
      EXPECT_NO_THROW(static_cast<void>(span_lines(decoder.batch())));
  }
}

std::string described_value(const telemetry::AttributeValue& value) {
  using Kind = telemetry::AttributeValue::Kind;
  switch (value.kind) {
    case Kind::String:
      return std::string(value.text);
    case Kind::Int:
      return std::to_string(value.integer) + "(int)";
    case Kind::Bool:
      return value.boolean ? "true" : "false";
    case Kind::Double: {
      if (std::isnan(value.number)) return "NaN";
      if (std::isinf(value.number)) return value.number > 0 ? "+Inf" : "-Inf";
      return fmt::format("{}(double)", value.number);
    }
    case Kind::Encoded:
      break;
  }
  if (value.text.empty()) return "(empty)";
  core::Arena arena;
  const AnyValueView view = read_any_value(value.text);
  if (view.kind == otlp::AnyValue::BytesValue) {
    std::string hex = "bytes:";
    append_hex(hex, view.bytes);
    return hex;
  }
  return std::string(attribute_text(value.text, arena));
}

/// What the case expects of the one span, by the names that the cases use.
void expect_span(const nlohmann::json& expect, const telemetry::SpanBatch& batch) {
  const telemetry::BatchSpan& span = batch.spans.at(0);
  const auto hex = [](std::string_view bytes) {
    std::string text;
    append_hex(text, bytes);
    return text;
  };
  for (const auto& [name, value] : expect.items()) {
    if (name == "trace_id") {
      EXPECT_EQ(hex({reinterpret_cast<const char*>(span.trace_id.bytes.data()), 16}),
                value.get<std::string>());
    } else if (name == "span_id") {
      EXPECT_EQ(fmt::format("{:016x}", span.span_id), value.get<std::string>());
    } else if (name == "start") {
      EXPECT_EQ(std::to_string(span.start_ns), value.get<std::string>());
    } else if (name == "trace_state") {
      EXPECT_EQ(span.trace_state, value.get<std::string>());
    } else if (name == "parent_span_id") {
      EXPECT_EQ(span.parent_id, 0U);
    } else if (name == "status_code") {
      EXPECT_EQ(span.status, telemetry::SpanStatus::Error);
    } else if (name == "links") {
      EXPECT_EQ(span.links.count, value.get<unsigned>());
    } else if (name == "events") {
      EXPECT_EQ(span.events.count, value.get<unsigned>());
    } else if (name == "flags") {
      EXPECT_EQ(span.flags, value.get<unsigned>());
    } else if (name == "attributes") {
      std::map<std::string, std::string> actual;
      for (const auto& attribute : batch.attributes_of(span.attributes))
        actual.emplace(attribute.key, described_value(attribute.value));
      EXPECT_EQ(actual, (value.get<std::map<std::string, std::string>>()));
    } else {
      ADD_FAILURE() << "unknown expectation " << name;
    }
  }
}

TEST(OtlpTracesConformance, DecodesTheJsonCases) {
  GANTRY_CONFORMANCE_JSON(cases, "wire/otlp-json/decode-cases.json");
  OtlpTracesDecoder decoder;
  int case_count = 0;
  for (const auto& c : cases.at("cases")) {
    if (c.at("path") != "/v1/traces" || c.contains("headers") || c.contains("method")) continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    ++case_count;
    const std::string body =
        padded(c.contains("raw") ? c.at("raw").get<std::string>() : c.at("body").dump());
    const auto decoded = decoder.decode_json(body, {});
    EXPECT_EQ(decoded.has_value(), c.at("status") == 200);
    if (!decoded || !c.contains("expect")) continue;
    const auto& expect = c.at("expect");
    if (expect.contains("partialSuccess")) {
      EXPECT_EQ(std::to_string(decoder.outcome().rejected_spans),
                expect.at("partialSuccess").at("rejectedSpans").get<std::string>());
    } else {
      expect_span(expect, decoder.batch());
    }
  }
  EXPECT_GT(case_count, 15);
}

TEST(OtlpTracesConformance, DataSetsComeBackUnchanged) {
  OtlpTracesDecoder decoder;
  OtlpTracesDecoder again;
  for (const std::string_view path :
       {"wire/otlp-json/trace.json", "traceql/datasets/shop.otlp.json",
        "traceql/datasets/tree.otlp.json", "traceql/datasets/metrics.otlp.json",
        "traceql/datasets/llm.otlp.json"}) {
    SCOPED_TRACE(path);
    const auto file = testing::read_conformance_file(path);
    if (!file) GTEST_SKIP() << "no " << path;
    const std::string body = padded(*file);
    ASSERT_TRUE(decoder.decode_json(body, {}));
    EXPECT_EQ(decoder.outcome().message(), "");
    EXPECT_GT(decoder.batch().spans.size(), 0U);
    EXPECT_NE(decoder.batch().otlp, "");
    const std::string encoded = encode_otlp_traces(decoder.batch());
    ASSERT_TRUE(again.decode_protobuf(encoded, {}));
    EXPECT_EQ(span_lines(again.batch()), span_lines(decoder.batch()));
  }
}

}  // namespace
}  // namespace gantry::codec
