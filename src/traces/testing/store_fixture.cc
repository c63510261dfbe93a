#include "traces/testing/store_fixture.h"

#include <limits>

namespace gantry::traces {

void StoreFixture::open(StoreOptions options) {
  store_.reset();
  auto opened = StoreImpl::open("/data/traces", options, environment(), Background::Off);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  store_ = *std::move(opened);
}

void StoreFixture::cut_power_and_open(StoreOptions options) {
  store_.reset();
  files_.cut_power();
  open(options);
}

telemetry::SpanAppendResult StoreFixture::append(const telemetry::SpanBatch& batch) {
  auto result = store_->append(batch);
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().message);
  return result ? *std::move(result) : telemetry::SpanAppendResult();
}

telemetry::SpanAppendResult StoreFixture::append(std::initializer_list<TestSpan> spans) {
  return append(make_batch(spans));
}

std::vector<telemetry::SpanId> StoreFixture::trace(std::uint64_t number) const {
  telemetry::SpanBatch batch;
  const auto found = store_->source().find_trace(
      test_trace_id(number), 0, std::numeric_limits<std::int64_t>::max(), CancelToken(), batch);
  EXPECT_TRUE(found) << (found ? "" : found.error().message);
  std::vector<telemetry::SpanId> ids;
  for (const telemetry::BatchSpan& span : batch.spans) {
    EXPECT_EQ(span.trace_id, test_trace_id(number));
    ids.push_back(span.span_id);
  }
  return ids;
}

}  // namespace gantry::traces
