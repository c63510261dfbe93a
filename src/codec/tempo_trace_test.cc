#include "codec/tempo_trace.h"

#include <gtest/gtest.h>

#include "codec/otlp_traces.h"
#include "codec/testing/conformance.h"
#include "codec/testing/otlp_trace_builder.h"
#include "codec/testing/span_text.h"

namespace gantry::codec {
namespace {

using testing::kEveryTraceField;
using testing::span_json;
using testing::trace_request;
using testing::traces_protobuf;

/// Keeps the body as long as the batch.
class Decoded {
 public:
  explicit Decoded(std::string_view json) : body_(traces_protobuf(json)) {
    EXPECT_TRUE(decoder_.decode_protobuf(body_, {}));
  }

  [[nodiscard]] const telemetry::SpanBatch& batch() const { return decoder_.batch(); }

 private:
  std::string body_;
  OtlpTracesDecoder decoder_;
};

// The example of the API's description: ids are base64, enums names, 64-bit integers texts.
TEST(TempoTrace, WritesProtobufJson) {
  const Decoded decoded(R"({"resourceSpans":[{"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"api"}}]},"scopeSpans":[{"scope":{"name":"net/http"},
    "spans":[{"traceId":"5f1a0000000000000000000000000001","spanId":"0000000100000001","name":"GET /",
    "kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000500000000",
    "attributes":[{"key":"http.status_code","value":{"intValue":"200"}},
      {"key":"tags","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}],
    "events":[{"timeUnixNano":"1700000000001000000","name":"exception"}],
    "links":[{"traceId":"5f1a0000000000000000000000000002","spanId":"0000000200000001"}],
    "status":{"code":2,"message":"boom"}}]}]}]})");
  const std::string spans =
      R"([{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"api"}}]},)"
      R"("scopeSpans":[{"scope":{"name":"net/http"},"spans":[{"traceId":"XxoAAAAAAAAAAAAAAAAAAQ==",)"
      R"("spanId":"AAAAAQAAAAE=","name":"GET /","kind":"SPAN_KIND_SERVER",)"
      R"("startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000500000000",)"
      R"("attributes":[{"key":"http.status_code","value":{"intValue":"200"}},)"
      R"({"key":"tags","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}],)"
      R"("events":[{"timeUnixNano":"1700000000001000000","name":"exception"}],)"
      R"("links":[{"traceId":"XxoAAAAAAAAAAAAAAAAAAg==","spanId":"AAAAAgAAAAE="}],)"
      R"("status":{"message":"boom","code":"STATUS_CODE_ERROR"}}]}]}])";
  EXPECT_EQ(encode_tempo_trace_json(decoded.batch()), R"({"batches":)" + spans + "}");
  EXPECT_EQ(encode_tempo_trace_by_id_json(decoded.batch(), {.inspected_bytes = 2048}),
            R"({"trace":{"resourceSpans":)" + spans + R"(},"metrics":{"inspectedBytes":"2048"}})");
}

TEST(TempoTrace, WritesEveryField) {
  const std::string text = encode_tempo_trace_json(Decoded(kEveryTraceField).batch());
  for (const std::string_view part :
       {R"("traceState":"a=b")", R"("parentSpanId":"AAAAAAAAAAI=")",
        R"("droppedAttributesCount":1)", R"("droppedAttributesCount":2)",
        R"("droppedAttributesCount":3)", R"("droppedAttributesCount":4)",
        R"("droppedEventsCount":5)", R"("droppedAttributesCount":6)", R"("droppedLinksCount":7)",
        R"("flags":257)", R"("flags":1)", R"("schemaUrl":"u")", R"("schemaUrl":"r")",
        R"({"key":"b","value":{"bytesValue":"aGkh"}})", R"({"key":"e","value":{}})",
        R"({"key":"f","value":{"boolValue":false}})",
        R"({"key":"o","value":{"stringValue":""}})"}) {
    EXPECT_TRUE(text.contains(part)) << part << " in " << text;
  }
  EXPECT_TRUE(nlohmann::json::accept(text));
}

TEST(TempoTrace, AnEmptyTraceIsThere) {
  const telemetry::SpanBatch empty;
  EXPECT_EQ(encode_tempo_trace_json(empty), "{}");
  EXPECT_EQ(encode_tempo_trace_by_id_json(empty, {}), R"({"trace":{},"metrics":{}})");
  // Grafana dereferences field 1 without a check.
  EXPECT_EQ(encode_tempo_trace_by_id(empty, {}), testing::from_hex("0a001200"));
}

TEST(TempoTrace, ScopeAndStatusAreThereAndTheResourceHasAName) {
  const Decoded decoded(R"({"resourceSpans":[{"scopeSpans":[{"spans":[)" + span_json() + "]}]}]}");
  EXPECT_EQ(encode_tempo_trace_json(decoded.batch()),
            R"({"batches":[{"resource":{"attributes":[{"key":"service.name",)"
            R"("value":{"stringValue":"unknown_service"}}]},"scopeSpans":[{"scope":{},"spans":[)"
            R"({"traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"7uGbfsPBsXQ=","name":"n",)"
            R"("status":{}}]}]}]})");
  OtlpTracesDecoder read_back;
  const std::string trace = encode_tempo_trace(decoded.batch());
  ASSERT_TRUE(read_back.decode_protobuf(trace, {}));
  ASSERT_EQ(read_back.batch().attributes.size(), 1U);
  EXPECT_EQ(read_back.batch().attributes[0].value.text, "unknown_service");
  EXPECT_TRUE(trace.ends_with(std::string("\x7a\x00", 2)));
}

TEST(TempoTrace, SaysWhyItIsNotWhole) {
  const telemetry::SpanBatch empty;
  const TempoTraceNotes notes{.inspected_bytes = 1, .partial_message = "cut"};
  EXPECT_EQ(encode_tempo_trace_by_id_json(empty, notes),
            R"({"trace":{},"metrics":{"inspectedBytes":"1"},"status":"PARTIAL","message":"cut"})");
  EXPECT_EQ(encode_tempo_trace_by_id(empty, notes),
            testing::from_hex("0a0012020801180122") + std::string("\x03", 1) + "cut");
}

TEST(TempoTrace, IsCutFromTheEnd) {
  OtlpTracesDecoder decoder;
  std::string spans;
  for (int i = 0; i < 50; ++i) spans += (i == 0 ? "" : ",") + span_json(R"("name":"some name")");
  const std::string body = traces_protobuf(trace_request(spans));
  ASSERT_TRUE(decoder.decode_protobuf(body, {}));
  telemetry::SpanBatch batch;
  for (const auto& span : decoder.batch().spans) telemetry::copy_span(decoder.batch(), span, batch);
  const std::uint64_t bytes = estimate_trace_bytes(batch);
  EXPECT_GT(bytes, body.size() / 2);
  EXPECT_FALSE(cut_trace(batch, bytes));
  EXPECT_EQ(batch.spans.size(), 50U);
  EXPECT_TRUE(cut_trace(batch, bytes - 1));
  EXPECT_EQ(batch.spans.size(), 49U);
  EXPECT_TRUE(cut_trace(batch, 10));
  EXPECT_TRUE(batch.spans.empty());
}

}  // namespace
}  // namespace gantry::codec
