#include "codec/otlp_traces_encoder.h"

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/otlp_traces.h"
#include "codec/testing/conformance.h"
#include "codec/testing/random_spans.h"
#include "codec/testing/span_text.h"

namespace gantry::codec {
namespace {

using telemetry::SpanBatch;
using testing::span_lines;

RC_GTEST_PROP(OtlpTracesEncoder, AnyBatchComesBack, ()) {
  const SpanBatch batch = testing::RandomBatch().make();
  const std::string encoded = encode_otlp_traces(batch);
  OtlpTracesDecoder decoder;
  RC_ASSERT(decoder.decode_protobuf(encoded, kNoOtlpTracesLimits).has_value());
  RC_ASSERT(decoder.outcome().message().empty());
  RC_ASSERT(decoder.batch().otlp == encoded);
  RC_ASSERT(span_lines(decoder.batch()) == span_lines(batch));
  // And once more, for the order is settled now.
  RC_ASSERT(encode_otlp_traces(decoder.batch()) == encoded);
}

TEST(OtlpTracesEncoder, LeavesOutWhatNoSpanUses) {
  SpanBatch batch;
  batch.resources.resize(3);
  batch.scopes.resize(2);
  EXPECT_EQ(encode_otlp_traces(batch), "");
}

TEST(OtlpTracesEncoder, WritesScopeStatusAndAResourceName) {
  SpanBatch batch;
  batch.resources.resize(1);
  batch.scopes.resize(1);
  telemetry::BatchSpan span{.span_id = 1};
  span.trace_id.bytes[15] = 2;
  batch.spans.push_back(span);
  EXPECT_EQ(
      encode_otlp_traces(batch),
      testing::from_hex("0a260a0012220a00121e0a10000000000000000000000000000000021208000000000000"
                        "00017a00"));
  EXPECT_EQ(
      encode_otlp_traces(batch, EmptyResource::Name),
      testing::from_hex("0a490a230a210a0c736572766963652e6e616d6512110a0f756e6b6e6f776e5f73657276"
                        "69636512220a00121e0a1000000000000000000000000000000002120800000000000000"
                        "017a00"));
}

}  // namespace
}  // namespace gantry::codec
