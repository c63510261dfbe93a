#include "traces/query/without_traces.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traces/span_table.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using telemetry::SpanBatch;
using traceql::Table;

/// The group without them is the same as if they had never been there.
RC_GTEST_PROP(WithoutTracesPropertyTest, LeavesTheRestAsItWas, (std::uint64_t seed)) {
  RandomBatches random(seed, 6);
  SpanBatch batch;
  random.fill(batch, 60);
  std::vector<std::uint32_t> spans(batch.spans.size());
  std::iota(spans.begin(), spans.end(), 0U);
  SpanTable table;
  table.append(batch, spans);
  table.publish();
  std::vector<std::uint32_t> hidden;
  std::mt19937_64 choose(seed);
  for (std::uint32_t trace = 0; trace < table.traces(); ++trace) {
    if (choose() % 2 == 0) hidden.push_back(trace);
  }
  SpanTable other;
  for (const std::uint32_t span : spans) {
    const auto number = table.find_trace(batch.spans[span].trace_id);
    if (!std::ranges::binary_search(hidden, *number)) other.append(batch, span);
  }
  other.publish();
  const auto expected = other.snapshot();
  const auto group = without_traces(table.snapshot(), hidden);
  RC_ASSERT(group.has_value());
  const traceql::GroupCounts counts = (*group)->counts();
  RC_ASSERT(counts.spans == expected->counts().spans);
  RC_ASSERT(counts.traces == expected->counts().traces);
  RC_ASSERT(counts.resources == expected->counts().resources);
  RC_ASSERT(counts.scopes == expected->counts().scopes);
  RC_ASSERT(counts.events == expected->counts().events);
  RC_ASSERT(counts.links == expected->counts().links);
  RC_ASSERT(describe_group(**group) == describe_group(*expected));
  const auto ids = (*group)->trace_ids();
  RC_ASSERT(std::ranges::equal(*ids, *expected->trace_ids()));
  RC_ASSERT(std::ranges::equal(*(*group)->traces(), *expected->traces()));
  RC_ASSERT(std::ranges::equal((*group)->nested_sets()->left, expected->nested_sets()->left));
  RC_ASSERT(std::ranges::equal((*group)->nested_sets()->right, expected->nested_sets()->right));
  RC_ASSERT(std::ranges::equal((*group)->nested_sets()->parent, expected->nested_sets()->parent));
  RC_ASSERT(std::ranges::equal(*(*group)->durations_ns(), *expected->durations_ns()));
}

TEST(WithoutTracesTest, FindsTheRowsOfTraces) {
  SpanTable table;
  const SpanBatch batch =
      make_batch({{.trace = 1, .id = 1}, {.trace = 2, .id = 2}, {.trace = 1, .id = 3}});
  for (std::uint32_t span = 0; span < 3; ++span) table.append(batch, span);
  table.publish();
  const auto group = table.snapshot();
  const std::uint32_t first = 0;
  EXPECT_EQ(*rows_of_traces(*group, {&first, 1}), (std::vector<std::uint32_t>{0, 2}));
}

}  // namespace
}  // namespace gantry::traces
