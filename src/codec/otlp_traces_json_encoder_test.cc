#include "codec/otlp_traces_json_encoder.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "codec/otlp_traces.h"
#include "codec/testing/otlp_trace_builder.h"
#include "codec/testing/random_spans.h"
#include "codec/testing/span_text.h"

namespace gantry::codec {
namespace {

using telemetry::SpanBatch;
using testing::span_lines;

std::string encode(const SpanBatch& batch) {
  std::string out;
  append_otlp_traces_json(batch, out);
  return out;
}

/// What comes out for a request of the decoder's.
std::string reencoded(std::string_view json) {
  OtlpTracesDecoder decoder;
  const auto decoded = decoder.decode_json(testing::padded(json), kNoOtlpTracesLimits);
  EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
  return encode(decoder.batch());
}

RC_GTEST_PROP(OtlpTracesJsonEncoder, AnyBatchComesBack, ()) {
  const SpanBatch batch = testing::RandomBatch().make();
  const std::string encoded = encode(batch);
  OtlpTracesDecoder decoder;
  RC_ASSERT(decoder.decode_json(testing::padded(encoded), kNoOtlpTracesLimits).has_value());
  RC_ASSERT(decoder.outcome().message().empty());
  RC_ASSERT(span_lines(decoder.batch()) == span_lines(batch));
  RC_ASSERT(encode(decoder.batch()) == encoded);
}

TEST(OtlpTracesJsonEncoder, WritesEveryField) {
  const std::string whole =
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a\"b"}}],)"
      R"("droppedAttributesCount":1},"scopeSpans":[{"scope":{"name":"lib","version":"1",)"
      R"("attributes":[{"key":"k","value":{"boolValue":false}}],"droppedAttributesCount":2},)"
      R"("spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"a1a2a3a4a5a6a7a8",)"
      R"("traceState":"x=1","parentSpanId":"00000000000000ff","name":"GET /","kind":3,)"
      R"("startTimeUnixNano":"1705312800000000000","endTimeUnixNano":"9223372036854775807",)"
      R"("attributes":[{"key":"i","value":{"intValue":"-9223372036854775808"}},)"
      R"({"key":"d","value":{"doubleValue":0.0001425}},{"key":"n","value":{"doubleValue":"NaN"}},)"
      R"({"key":"p","value":{"doubleValue":"Infinity"}},{"key":"m","value":{"doubleValue":"-Infinity"}},)"
      R"({"key":"b","value":{"bytesValue":"/wA="}},)"
      R"({"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{"kvlistValue":{"values":)"
      R"([{"key":"q","value":{}}]}}]}}}],"droppedAttributesCount":3,)"
      R"("events":[{"timeUnixNano":"5","name":"exception","attributes":[{"key":"e","value":{"boolValue":true}}],)"
      R"("droppedAttributesCount":4}],"droppedEventsCount":5,)"
      R"("links":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0000000000000001",)"
      R"("traceState":"y","attributes":[{"key":"l","value":{"stringValue":""}}],)"
      R"("droppedAttributesCount":6,"flags":1}],"droppedLinksCount":7,)"
      R"("status":{"message":"bad","code":2},"flags":257}],"schemaUrl":"https://s/2"}],)"
      R"("schemaUrl":"https://s/1"}]})";
  EXPECT_EQ(reencoded(whole), whole);
}

TEST(OtlpTracesJsonEncoder, LeavesOutWhatIsEmpty) {
  SpanBatch batch;
  EXPECT_EQ(encode(batch), R"({"resourceSpans":[]})");
  batch.resources.resize(2);
  batch.scopes.resize(1);
  EXPECT_EQ(encode(batch), R"({"resourceSpans":[]})");
  telemetry::BatchSpan span{.span_id = 1, .resource = 1};
  span.trace_id.bytes[15] = 2;
  batch.spans.push_back(span);
  EXPECT_EQ(
      encode(batch),
      R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000002",)"
      R"("spanId":"0000000000000001"}]}]}]})");
}

TEST(OtlpTracesJsonEncoder, OneElementPerResourceAndScope) {
  SpanBatch batch;
  batch.resources.resize(2);
  batch.scopes.resize(2);
  batch.scopes[0].name = "s";
  batch.scopes[1].name = "t";
  for (const auto& [resource, scope] : {std::pair{1U, 1U}, {0U, 0U}, {1U, 0U}, {0U, 0U}}) {
    telemetry::BatchSpan span{
        .span_id = batch.spans.size() + 1, .resource = resource, .scope = scope};
    span.trace_id.bytes[0] = 1;
    batch.spans.push_back(span);
  }
  const std::string id =
      R"({"traceId":"01000000000000000000000000000000","spanId":"000000000000000)";
  EXPECT_EQ(encode(batch), R"({"resourceSpans":[{"scopeSpans":[{"scope":{"name":"s"},"spans":[)" +
                               id + R"(2"},)" + id +
                               R"(4"}]}]},{"scopeSpans":[{"scope":{"name":"s"},"spans":[)" + id +
                               R"(3"}]},{"scope":{"name":"t"},"spans":[)" + id + R"(1"}]}]}]})");
}

TEST(OtlpTracesJsonEncoder, AppendsAndRepairsText) {
  SpanBatch batch;
  batch.resources.resize(1);
  batch.scopes.resize(1);
  batch.spans.push_back({.span_id = 1, .name = "a\xff\n"});
  std::string out = "before";
  append_otlp_traces_json(batch, out);
  EXPECT_TRUE(out.starts_with(R"(before{"resourceSpans")"));
  EXPECT_TRUE(out.contains("\"name\":\"a\xef\xbf\xbd\\n\"")) << out;
}

}  // namespace
}  // namespace gantry::codec
