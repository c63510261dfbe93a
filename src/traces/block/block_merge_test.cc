#include "traces/block/block_merge.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "storage/faulty_file_system.h"
#include "traces/block/testing/block_support.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using storage::FaultyFileSystem;
using storage::ItemCache;
using telemetry::SpanBatch;

class BlockMergeTest : public testing::Test {
 protected:
  /// A block of one group per batch.
  const BlockReader* add_block(const std::vector<const SpanBatch*>& groups) {
    std::vector<std::unique_ptr<SpanTable>> tables;
    std::vector<const SpanTable*> views;
    for (const SpanBatch* group : groups)
      views.push_back(tables.emplace_back(make_table(*group)).get());
    const std::string path = "/in" + std::to_string(blocks_.size());
    return blocks_.emplace_back(write_block(files_, path, cache_, views)).get();
  }

  const BlockReader* add_block(const SpanBatch& batch) { return add_block(std::vector{&batch}); }

  std::unique_ptr<BlockReader> merge(const std::vector<const BlockReader*>& inputs,
                                     const BlockMergeOptions& options = {}) {
    return write([&](BlockWriter& writer) { return merge_blocks(inputs, options, writer); });
  }

  template <class F>
  std::unique_ptr<BlockReader> write(F fill) {
    const std::string path = "/out" + std::to_string(outputs_++);
    EXPECT_TRUE(files_.create_directories(path));
    auto writer = BlockWriter::create(files_, path, {.level = 1});
    const Result<void> filled = fill(**writer);
    EXPECT_TRUE(filled) << filled.error().message;
    EXPECT_TRUE((*writer)->finish());
    auto reader = BlockReader::open(files_, path, cache_);
    EXPECT_TRUE(reader);
    return *std::move(reader);
  }

  FaultyFileSystem files_;
  ItemCache cache_{8 << 20};
  std::vector<std::unique_ptr<BlockReader>> blocks_;
  int outputs_ = 0;
};

TEST_F(BlockMergeTest, JoinsTracesAndDropsRepeatedSpans) {
  const auto* first = add_block(make_batch({{.trace = 1, .id = 1}, {.trace = 2, .id = 2}}));
  const auto* second = add_block(make_batch(
      {{.trace = 2, .id = 2}, {.trace = 2, .id = 3, .parent = 2}, {.trace = 3, .id = 4}}));
  const auto merged = merge({first, second});
  EXPECT_EQ(merged->summary().spans, 4U);
  EXPECT_EQ(merged->summary().traces, 3U);
  const SpanBatch all = make_batch({{.trace = 1, .id = 1},
                                    {.trace = 2, .id = 2},
                                    {.trace = 2, .id = 3, .parent = 2},
                                    {.trace = 3, .id = 4}});
  EXPECT_EQ(spans_of(*merged), spans_of(all));
}

TEST_F(BlockMergeTest, KeepsTheOrderOfArrivalWhateverStartsFirst) {
  const auto* first = add_block(make_batch({{.trace = 1, .id = 1, .start_ns = kTestNowNs + 50}}));
  const auto* second = add_block(make_batch({{.trace = 1, .id = 2, .start_ns = kTestNowNs}}));
  const auto merged = merge({first, second});
  const auto ids = (*merged->open_group(0))->span_ids();
  ASSERT_TRUE(ids);
  EXPECT_EQ(std::vector<telemetry::SpanId>(ids->begin(), ids->end()),
            (std::vector<telemetry::SpanId>{1, 2}));
}

TEST_F(BlockMergeTest, LeavesOutWhatWasDeletedFromEachInput) {
  const auto* first = add_block(make_batch({{.trace = 1, .id = 1}, {.trace = 2, .id = 2}}));
  const auto* second = add_block(make_batch({{.trace = 1, .id = 3}, {.trace = 2, .id = 4}}));
  BlockMergeOptions options;
  options.is_deleted = [](const telemetry::TraceId& id, std::size_t input) {
    return id == test_trace_id(1) && input == 0;
  };
  const auto merged = merge({first, second}, options);
  EXPECT_EQ(
      spans_of(*merged),
      spans_of(make_batch({{.trace = 1, .id = 3}, {.trace = 2, .id = 2}, {.trace = 2, .id = 4}})));
  options.is_deleted = [](const telemetry::TraceId&, std::size_t) { return true; };
  EXPECT_EQ(merge({first, second}, options)->summary().spans, 0U);
}

TEST_F(BlockMergeTest, CutsGroupsByStartWithWholeTraces) {
  SpanBatch early;
  SpanBatch late;
  for (std::uint64_t trace = 0; trace < 100; ++trace) {
    for (std::uint64_t span = 1; span <= (trace == 50 ? 40U : 3U); ++span) {
      add_test_span(
          trace % 2 == 0 ? early : late,
          {.trace = trace, .id = trace * 100 + span, .start_ns = kTestNowNs + trace * 1000});
    }
  }
  BlockMergeOptions options;
  options.group_spans = 30;
  std::vector<std::uint64_t> written;
  options.progress = [&](std::uint64_t bytes) { written.push_back(bytes); };
  const auto merged = merge({add_block(late), add_block(early)}, options);
  EXPECT_EQ(merged->summary().spans, early.spans.size() + late.spans.size());
  EXPECT_EQ(merged->summary().traces, 100U);
  EXPECT_EQ(written.size(), merged->groups().size());
  EXPECT_TRUE(std::ranges::is_sorted(written));
  std::int64_t last = 0;
  bool has_large = false;
  for (const traceql::GroupBounds& group : merged->groups()) {
    EXPECT_GT(group.start_ns_min, last) << "groups follow each other in time";
    last = group.trace_start_ns_max;
    EXPECT_LE(group.spans, 40U);
    has_large |= group.spans == 40;
  }
  EXPECT_TRUE(has_large) << "a trace larger than a group has one for itself";
  EXPECT_GE(merged->groups().size(), 11U);
  EXPECT_LE(merged->groups().size(), 13U);
}

TEST_F(BlockMergeTest, StopsWhenCancelled) {
  const auto* input = add_block(make_batch({{.id = 1}}));
  ASSERT_TRUE(files_.create_directories("/cancelled"));
  auto writer = BlockWriter::create(files_, "/cancelled", {});
  BlockMergeOptions options;
  options.cancel.cancel();
  const auto merged = merge_blocks({&input, 1}, options, **writer);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::Cancelled);
}

TEST_F(BlockMergeTest, SaysWhichInputIsDamaged) {
  add_block(make_batch({{.trace = 1, .id = 1}}));
  add_block(make_batch({{.trace = 2, .id = 2}}));
  ASSERT_TRUE(files_.corrupt("/in1/spans", 40, 3));
  ItemCache none(0);
  const auto good = BlockReader::open(files_, "/in0", none);
  const auto bad = BlockReader::open(files_, "/in1", none);
  ASSERT_TRUE(good && bad);
  ASSERT_TRUE(files_.create_directories("/damaged"));
  auto writer = BlockWriter::create(files_, "/damaged", {});
  const std::vector<const BlockReader*> inputs = {good->get(), bad->get()};
  const auto merged = merge_blocks(inputs, {}, **writer);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::DataLoss);
  EXPECT_FALSE((*good)->is_damaged());
  EXPECT_TRUE((*bad)->is_damaged());
}

TEST_F(BlockMergeTest, WritesALiveSegmentInGroups) {
  SpanBatch batch;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    add_test_span(batch, {.trace = i % 200, .id = i + 1, .start_ns = kTestNowNs - i});
  }
  const auto table = make_table(batch);
  BlockMergeOptions options;
  options.group_spans = 100;
  options.is_deleted = [](const telemetry::TraceId& id, std::size_t input) {
    return id == test_trace_id(7) && input == 0;
  };
  const auto block =
      write([&](BlockWriter& writer) { return write_traces(*table->snapshot(), options, writer); });
  SpansByTrace expected = spans_of(batch);
  expected.erase(test_trace_id(7));
  EXPECT_EQ(spans_of(*block), expected);
  EXPECT_EQ(block->groups().size(), 10U);
  for (std::size_t i = 1; i < block->groups().size(); ++i) {
    EXPECT_GT(block->groups()[i].start_ns_min, block->groups()[i - 1].start_ns_min);
  }
}

RC_GTEST_FIXTURE_PROP(BlockMergeTest, MergesToTheUnionInWhateverBlocks, ()) {
  RandomBatches random(*rc::gen::arbitrary<std::uint64_t>());
  SpanBatch all;
  std::vector<const BlockReader*> inputs;
  const auto count = *rc::gen::inRange<std::size_t>(1, 5);
  for (std::size_t i = 0; i < count; ++i) {
    // Two groups of a block share no trace, blocks do.
    SpanBatch batch;
    random.fill(batch, 60);
    SpanBatch halves[2];
    for (const telemetry::BatchSpan& span : batch.spans) {
      telemetry::copy_span(batch, span, halves[span.trace_id.bytes[15] % 2]);
      telemetry::copy_span(batch, span, all);
    }
    inputs.push_back(add_block({&halves[0], &halves[1]}));
  }
  BlockMergeOptions options;
  options.group_spans = *rc::gen::inRange<std::size_t>(1, 100);
  const auto merged = merge(inputs, options);
  RC_ASSERT(spans_of(*merged) == spans_of(all));
  // In two steps it is the same.
  if (count < 3) return;
  const auto half = merge({inputs[0], inputs[1]}, options);
  std::vector<const BlockReader*> rest = {half.get()};
  rest.insert(rest.end(), inputs.begin() + 2, inputs.end());
  RC_ASSERT(spans_of(*merge(rest, options)) == spans_of(*merged));
}

}  // namespace
}  // namespace gantry::traces
