#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "storage/faulty_file_system.h"
#include "traces/block/block_format.h"
#include "traces/block/block_reader.h"
#include "traces/block/block_writer.h"
#include "traces/block/testing/block_support.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using storage::FaultyFileSystem;
using storage::ItemCache;
using telemetry::SpanBatch;

TEST(BlockTest, ABlockWithoutGroupsIsABlock) {
  FaultyFileSystem files;
  ItemCache cache(1 << 20);
  const auto block = write_block(files, "/b", cache, {}, {.level = 3});
  ASSERT_TRUE(block);
  EXPECT_EQ(block->summary().level, 3U);
  EXPECT_EQ(block->summary().spans, 0U);
  EXPECT_EQ(block->summary().format_version, kBlockFormatVersion);
  EXPECT_TRUE(block->groups().empty());
  EXPECT_EQ(block->trace_page_count(), 0U);
  EXPECT_FALSE(*block->may_contain(test_trace_id(1)));
  EXPECT_EQ(*block->find_trace(test_trace_id(1)), std::nullopt);
}

TEST(BlockTest, SaysWhatIsInIt) {
  FaultyFileSystem files;
  ItemCache cache(1 << 20);
  const auto first = make_table(
      make_batch({{.trace = 1, .id = 1, .start_ns = kTestNowNs, .duration_ns = 500},
                  {.trace = 1, .id = 2, .parent = 1, .start_ns = kTestNowNs + 90},
                  {.trace = 2, .id = 3, .start_ns = kTestNowNs + 70, .duration_ns = 1}}));
  const auto second = make_table(make_batch({{.trace = 3, .id = 4, .start_ns = kTestNowNs - 10}}));
  const SpanTable empty;
  const auto block = write_block(files, "/b", cache, {first.get(), &empty, second.get()});
  ASSERT_TRUE(block);
  const BlockSummary& summary = block->summary();
  const auto now = static_cast<std::int64_t>(kTestNowNs);
  EXPECT_EQ(summary.spans, 4U);
  EXPECT_EQ(summary.traces, 3U);
  EXPECT_EQ(summary.groups, 2U);
  EXPECT_EQ(summary.start_ns_min, now - 10);
  EXPECT_EQ(summary.start_ns_max, now + 90);
  EXPECT_EQ(summary.end_ns_max, now + 90 + 1'000'000);
  EXPECT_EQ(summary.trace_start_ns_max, now + 70);
  EXPECT_EQ(summary.bytes, *(*files.open("/b/spans", storage::OpenMode::Read))->size());
  ASSERT_EQ(block->groups().size(), 2U);
  const traceql::GroupBounds& bounds = block->groups()[0];
  EXPECT_EQ(bounds.start_ns_min, now);
  EXPECT_EQ(bounds.start_ns_max, now + 90);
  EXPECT_EQ(bounds.trace_start_ns_max, now + 70);
  EXPECT_EQ(bounds.spans, 3U);
  EXPECT_GT(bounds.bytes, 0U);
  EXPECT_LT(bounds.bytes + block->groups()[1].bytes, summary.bytes);
  EXPECT_TRUE(block->verify());
}

TEST(BlockTest, FindsEachTraceAndNoOther) {
  FaultyFileSystem files;
  ItemCache cache(8 << 20);
  std::vector<std::unique_ptr<SpanTable>> tables;
  std::vector<const SpanTable*> views;
  constexpr std::uint64_t kTraces = 5000;  // more than two pages
  for (std::uint64_t group = 0; group < 2; ++group) {
    SpanBatch batch;
    for (std::uint64_t trace = group; trace < kTraces; trace += 2) {
      add_test_span(batch, {.trace = trace, .id = trace + 1});
    }
    views.push_back(tables.emplace_back(make_table(batch)).get());
  }
  const auto block = write_block(files, "/b", cache, views);
  ASSERT_TRUE(block);
  EXPECT_GE(block->trace_page_count(), 2U);
  for (std::uint64_t trace = 0; trace < kTraces; ++trace) {
    const auto place = block->find_trace(test_trace_id(trace));
    ASSERT_TRUE(place && *place) << trace;
    EXPECT_EQ((*place)->group, trace % 2);
    const auto group = block->open_group((*place)->group);
    EXPECT_EQ((*(*group)->trace_ids())[(*place)->trace], test_trace_id(trace));
  }
  std::size_t wrong = 0;
  for (std::uint64_t trace = kTraces; trace < 3 * kTraces; ++trace) {
    wrong += *block->may_contain(test_trace_id(trace)) ? 1 : 0;
    EXPECT_EQ(*block->find_trace(test_trace_id(trace)), std::nullopt);
  }
  EXPECT_LT(wrong, 2 * kTraces / 100);
  std::uint64_t last = 0;
  std::set<TracePlace> places;
  for (std::size_t page = 0; page < block->trace_page_count(); ++page) {
    const auto entries = block->trace_page(page);
    ASSERT_TRUE(entries);
    for (const TraceEntry& entry : *entries) {
      EXPECT_GE(entry.id_hash, last);
      last = entry.id_hash;
      places.insert(entry.place);
    }
  }
  EXPECT_EQ(places.size(), kTraces);
}

TEST(BlockTest, AnswersForTextsWithoutReadingColumns) {
  FaultyFileSystem files;
  ItemCache cache(8 << 20);
  SpanBatch shops;
  SpanBatch banks;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    add_test_span(shops, {.trace = i, .id = i, .service = "shop-" + std::to_string(i)});
    add_test_span(banks, {.trace = 1000 + i, .id = i, .service = "bank-" + std::to_string(i)});
  }
  banks.attributes[banks.spans[7].attributes.begin].key = "tags";
  banks.attributes[banks.spans[7].attributes.begin].value = {
      .kind = telemetry::AttributeValue::Kind::Encoded, .text = "\x2a\x03\x0a\x01x"};
  const auto shop_table = make_table(shops);
  const auto bank_table = make_table(banks);
  const auto block = write_block(files, "/b", cache, {shop_table.get(), bank_table.get()});
  ASSERT_TRUE(block);
  const auto may_have = [&](std::size_t group, std::string_view key, std::string_view text) {
    const traceql::RequiredText required{.key = key, .text = text};
    return *block->may_have(group, {&required, 1});
  };
  std::size_t wrong = 0;
  for (int i = 1; i <= 200; ++i) {
    EXPECT_TRUE(may_have(0, "service.name", "shop-" + std::to_string(i)));
    EXPECT_TRUE(may_have(1, "service.name", "bank-" + std::to_string(i)));
    wrong += may_have(1, "service.name", "shop-" + std::to_string(i)) ? 1 : 0;
    wrong += may_have(0, "other.name", "shop-" + std::to_string(i)) ? 1 : 0;
  }
  EXPECT_LT(wrong, 20U);
  EXPECT_TRUE(may_have(1, "tags", "anything")) << "an array may hold it";
  EXPECT_FALSE(may_have(0, "tags", "anything"));
  EXPECT_TRUE(*block->may_have(0, {}));
  const std::vector<traceql::RequiredText> both = {{.key = "service.name", .text = "shop-1"},
                                                   {.key = "service.name", .text = "bank-1"}};
  EXPECT_FALSE(*block->may_have(0, both)) << "all of them are required";
}

TEST(BlockTest, LongTextsComeBack) {
  FaultyFileSystem files;
  ItemCache cache(64 << 20);
  SpanBatch batch;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    const std::string name(i * i * 100, static_cast<char>('a' + i % 26));
    add_test_span(batch, {.trace = i % 5, .id = i, .name = name});
  }
  const auto table = make_table(batch);
  const auto block = write_block(files, "/b", cache, {table.get()});
  ASSERT_TRUE(block);
  expect_same_group(*table->snapshot(), **block->open_group(0));
}

TEST(BlockTest, ReadsAColumnOnceAndCountsItsBytes) {
  FaultyFileSystem files;
  ItemCache cache(8 << 20);
  const auto table = make_table(make_batch({{.id = 1}, {.id = 2}}));
  const auto block = write_block(files, "/b", cache, {table.get()});
  ASSERT_TRUE(block);
  const auto group = *block->open_group(0);
  EXPECT_EQ(group->bytes_read(), 0U);
  ASSERT_TRUE(group->names());
  const std::uint64_t read = group->bytes_read();
  EXPECT_GT(read, 0U);
  ASSERT_TRUE(group->names());
  EXPECT_EQ(group->bytes_read(), read);
  const std::uint64_t reads = files.operation_count(FaultyFileSystem::Operation::Read);
  const auto again = *block->open_group(0);
  ASSERT_TRUE(again->names());
  EXPECT_EQ(again->bytes_read(), read) << "whether it was in the cache or not";
  EXPECT_EQ(files.operation_count(FaultyFileSystem::Operation::Read), reads);
  EXPECT_TRUE((*again->columns({.table = traceql::Table::Span, .key = "no.such"})).empty());
}

RC_GTEST_PROP(BlockTest, AnyGroupComesBackToTheBit, ()) {
  RandomBatches random(*rc::gen::arbitrary<std::uint64_t>());
  SpanBatch batch;
  random.fill(batch, *rc::gen::inRange<std::size_t>(1, 300));
  const auto table = make_table(batch);
  FaultyFileSystem files;
  ItemCache cache(*rc::gen::element<std::size_t>(0, 8 << 20));
  const auto block = write_block(files, "/b", cache, {table.get()},
                                 {.compression_level = *rc::gen::inRange(0, 3)});
  RC_ASSERT(block != nullptr);
  const auto group = *block->open_group(0);
  expect_same_group(*table->snapshot(), *group);
  RC_ASSERT(!testing::Test::HasFailure());
  RC_ASSERT(describe_group(*table->snapshot()) == describe_group(*group));
  // A block can be made of a block.
  RC_ASSERT(files.create_directories("/again").has_value());
  auto writer = BlockWriter::create(files, "/again", {});
  RC_ASSERT((*writer)->add_group(*group).has_value());
  RC_ASSERT((*writer)->finish().has_value());
  const auto again = BlockReader::open(files, "/again", cache);
  RC_ASSERT(again.has_value());
  RC_ASSERT(spans_of(**again) == spans_of(*block));
}

TEST(BlockTest, RefusesATraceInTwoGroups) {
  FaultyFileSystem files;
  const auto table = make_table(make_batch({{.id = 1}}));
  ASSERT_TRUE(files.create_directories("/b"));
  auto writer = BlockWriter::create(files, "/b", {});
  ASSERT_TRUE((*writer)->add_group(*table->snapshot()));
  ASSERT_TRUE((*writer)->add_group(*table->snapshot()));
  const auto finished = (*writer)->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::DataLoss);
}

TEST(BlockTest, ThreadsMayReadIt) {
  FaultyFileSystem files;
  ItemCache cache(1 << 16);
  RandomBatches random(7);
  SpanBatch batch;
  random.fill(batch, 400);
  const auto table = make_table(batch);
  const auto block = write_block(files, "/b", cache, {table.get()});
  ASSERT_TRUE(block);
  const auto expected = describe_group(*table->snapshot());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        const auto group = block->open_group(0);
        ASSERT_TRUE(group);
        EXPECT_EQ(describe_group(**group), expected);
        EXPECT_TRUE(*block->may_contain(batch.spans[0].trace_id));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BlockTest, AnyFlippedBitIsNoticed) {
  const auto table = make_table(make_batch({{.id = 1}, {.id = 2, .parent = 1}}));
  FaultyFileSystem files;
  ItemCache none(0);
  const auto good = write_block(files, "/b", none, {table.get()});
  ASSERT_TRUE(good);
  const std::uint64_t size = good->summary().bytes;
  for (std::uint64_t at = 0; at < size; at += 3) {
    ASSERT_TRUE(files.corrupt("/b/spans", at, at % 8));
    const auto block = BlockReader::open(files, "/b", none);
    if (block) {
      const auto verified = (*block)->verify();
      ASSERT_FALSE(verified) << at;
      EXPECT_EQ(verified.error().code, Code::DataLoss);
      EXPECT_TRUE((*block)->is_damaged());
    }
    ASSERT_TRUE(files.corrupt("/b/spans", at, at % 8));
  }
  EXPECT_TRUE(good->verify());
}

TEST(BlockTest, MissingAndNewerFilesAreToldApart) {
  FaultyFileSystem files;
  ItemCache cache(1 << 20);
  ASSERT_TRUE(files.create_directories("/none"));
  EXPECT_EQ(BlockReader::open(files, "/none", cache).error().code, Code::DataLoss);
  ASSERT_TRUE(files.create_directories("/newer"));
  auto writer = storage::FrameWriter::create(
      files, "/newer/spans", {.magic = kBlockFormat.magic, .version = kBlockFormatVersion + 1});
  ASSERT_TRUE((*writer)->finish({}));
  EXPECT_EQ(BlockReader::open(files, "/newer", cache).error().code, Code::FailedPrecondition);
}

}  // namespace
}  // namespace gantry::traces
