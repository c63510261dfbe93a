// What the store promises of one request after another: visible at once, there after a restart,
// each trace whole and once, deletion, retention, limits, failing disks.

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traces/testing/store_fixture.h"

namespace gantry::traces {
namespace {

using storage::FaultyFileSystem;
using telemetry::SpanBatch;
using telemetry::SpanId;
using telemetry::SpanRejectReason;
using Ids = std::vector<SpanId>;

constexpr std::uint64_t kSecondNs = 1'000'000'000;

std::uint64_t rejected(const telemetry::SpanAppendResult& result, SpanRejectReason reason) {
  return result.rejected_counts[static_cast<std::size_t>(reason)];
}

class StoreTest : public StoreFixture {
 protected:
  void flush() {
    const auto done = store_->flush();
    ASSERT_TRUE(done) << done.error().message;
  }

  void merge_all() {
    const auto done = store_->merge_all();
    ASSERT_TRUE(done) << done.error().message;
  }

  [[nodiscard]] std::size_t blocks() const { return store_->statistics().blocks.size(); }
};

TEST_F(StoreTest, WhatIsAcknowledgedIsVisibleAtOnce) {
  open();
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    const auto result = append({{.trace = i / 4, .id = i, .parent = i % 4 == 0 ? 0 : i - 1}});
    ASSERT_EQ(result.spans_written, 1U);
    ASSERT_EQ(trace(i / 4).back(), i);
    if (i % 300 == 0) flush();
  }
  EXPECT_EQ(all().size(), 1000U);
}

TEST_F(StoreTest, GivesBackEverythingThatItWasGivenWhereverItIs) {
  open();
  RandomBatches random(42, 200);
  SpanBatch batch;
  std::vector<std::string> expected;
  for (int i = 0; i < 12; ++i) {
    random.fill(batch, 30);
    const auto result = append(batch);
    ASSERT_EQ(result.spans_written, batch.spans.size());
    for (const telemetry::BatchSpan& span : batch.spans) {
      expected.push_back(describe_span(batch, span));
    }
    if (i % 5 == 4) flush();
  }
  // Spans whose identity is the same are kept once: the fewer the traces, the more of them.
  const std::vector<std::string> shown = all();
  std::ranges::sort(expected);
  EXPECT_TRUE(std::ranges::includes(expected, shown));
  EXPECT_GE(shown.size() + 20, expected.size());
  open();
  EXPECT_EQ(all(), shown);
  flush();
  EXPECT_EQ(all(), shown);
  merge_all();
  EXPECT_EQ(all(), shown);
  open();
  EXPECT_EQ(all(), shown);
}

TEST_F(StoreTest, SurvivesAPowerCut) {
  open();
  append({{.trace = 1, .id = 1}, {.trace = 2, .id = 2}});
  flush();
  append({{.trace = 2, .id = 3}, {.trace = 3, .id = 4}});
  const std::vector<std::string> before = all();
  cut_power_and_open();
  EXPECT_EQ(all(), before);
  EXPECT_EQ(trace(2), (Ids{2, 3}));
}

TEST_F(StoreTest, ATraceIsWholeAndOnceAcrossSeals) {
  open();
  append({{.trace = 1, .id = 1}, {.trace = 2, .id = 10}});
  flush();
  append({{.trace = 1, .id = 2, .parent = 1}});
  EXPECT_EQ(trace(1), (Ids{1, 2}));
  EXPECT_EQ(all().size(), 3U);
  flush();
  EXPECT_EQ(blocks(), 2U);
  EXPECT_EQ(trace(1), (Ids{1, 2}));
  EXPECT_EQ(all().size(), 3U);
  append({{.trace = 1, .id = 3, .parent = 2}});
  append({{.trace = 1, .id = 4, .parent = 2}});
  EXPECT_EQ(trace(1), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(all().size(), 5U);
  open();
  EXPECT_EQ(trace(1), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(all().size(), 5U);
  flush();
  merge_all();
  EXPECT_EQ(blocks(), 1U);
  EXPECT_EQ(store_->statistics().blocks[0].spans, 5U);
  EXPECT_EQ(trace(1), (Ids{1, 2, 3, 4}));
}

TEST_F(StoreTest, ASpanThatComesAgainIsKeptOnceWhereverItIs) {
  open();
  append({{.trace = 1, .id = 1}, {.trace = 1, .id = 2}});
  auto again = append({{.trace = 1, .id = 1}});
  EXPECT_EQ(again.spans_written, 1U);
  EXPECT_EQ(again.spans_repeated, 1U);
  flush();
  again = append({{.trace = 1, .id = 1}, {.trace = 1, .id = 3}});
  EXPECT_EQ(again.spans_written, 2U);
  EXPECT_EQ(again.spans_repeated, 1U);
  EXPECT_EQ(trace(1), (Ids{1, 2, 3}));
  EXPECT_EQ(all().size(), 3U);
}

TEST_F(StoreTest, ASnapshotStaysAsItWasWhileEverythingMoves) {
  open();
  append({{.trace = 1, .id = 1}});
  flush();
  append({{.trace = 2, .id = 2}});
  const auto snapshot = store_->source().open(
      {.start_ns = 0, .end_ns = std::numeric_limits<std::int64_t>::max()}, CancelToken());
  ASSERT_TRUE(snapshot);
  append({{.trace = 1, .id = 3}, {.trace = 2, .id = 4}});
  flush();
  merge_all();
  ASSERT_EQ((*snapshot)->groups().size(), 2U);
  std::uint64_t spans = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto group = (*snapshot)->open(i);
    ASSERT_TRUE(group) << group.error().message;
    spans += (*group)->counts().spans;
  }
  EXPECT_EQ(spans, 2U);
}

TEST_F(StoreTest, GroupsAreNewestFirstAndOnlyThoseOfTheTime) {
  open();
  for (const std::uint64_t second : {10ULL, 30ULL, 20ULL}) {
    append({{.trace = second, .id = second, .start_ns = second * kSecondNs}});
    flush();
  }
  const auto groups = [&](std::uint64_t from, std::uint64_t to) {
    const auto snapshot =
        store_->source().open({.start_ns = static_cast<std::int64_t>(from * kSecondNs),
                               .end_ns = static_cast<std::int64_t>(to * kSecondNs)},
                              CancelToken());
    std::vector<std::int64_t> starts;
    for (const traceql::GroupBounds& bounds : (*snapshot)->groups()) {
      starts.push_back(bounds.trace_start_ns_max / static_cast<std::int64_t>(kSecondNs));
    }
    return starts;
  };
  EXPECT_EQ(groups(0, 100), (std::vector<std::int64_t>{30, 20, 10}));
  EXPECT_EQ(groups(15, 29), (std::vector<std::int64_t>{20}));
  EXPECT_EQ(groups(31, 100), (std::vector<std::int64_t>{}));
}

TEST_F(StoreTest, ADeletedTraceIsGoneAndMayComeAgain) {
  open();
  append({{.trace = 1, .id = 1}, {.trace = 2, .id = 2}, {.trace = 3, .id = 3}});
  flush();
  append({{.trace = 2, .id = 20}, {.trace = 4, .id = 4}});
  EXPECT_EQ(store_->delete_trace(test_trace_id(1)), true);  // in a block
  EXPECT_EQ(store_->delete_trace(test_trace_id(2)), true);  // in a block and live
  EXPECT_EQ(store_->delete_trace(test_trace_id(4)), true);  // live
  EXPECT_EQ(store_->delete_trace(test_trace_id(4)), false);
  EXPECT_EQ(store_->delete_trace(test_trace_id(5)), false);
  EXPECT_EQ(all().size(), 1U);
  EXPECT_EQ(trace(2), Ids{});
  append({{.trace = 2, .id = 21}});
  EXPECT_EQ(trace(2), Ids{21});
  cut_power_and_open();
  EXPECT_EQ(trace(1), Ids{});
  EXPECT_EQ(trace(2), Ids{21});
  EXPECT_EQ(trace(4), Ids{});
  EXPECT_EQ(all().size(), 2U);
  flush();
  merge_all();
  EXPECT_EQ(store_->statistics().blocks[0].spans, 2U) << "merging removes them physically";
  EXPECT_EQ(trace(2), Ids{21});
}

TEST_F(StoreTest, DropsBlocksByAge) {
  StoreOptions options;
  options.retention = DurationMs{60'000};
  open(options);
  append({{.trace = 1, .id = 1, .start_ns = kTestNowNs - 50 * kSecondNs}});
  flush();
  append({{.trace = 2, .id = 2, .start_ns = kTestNowNs}});
  flush();
  store_->maintain();
  EXPECT_EQ(all().size(), 2U);
  clock_.advance(DurationMs{20'000});
  store_->maintain();
  EXPECT_EQ(trace(1), Ids{});
  EXPECT_EQ(trace(2), Ids{2});
  EXPECT_EQ(blocks(), 1U);
}

TEST_F(StoreTest, DropsTheOldestBlocksBySize) {
  StoreOptions options;
  options.retention_bytes = 1;
  open(options);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    append({{.trace = i, .id = i, .start_ns = kTestNowNs + i * kSecondNs}});
    flush();
  }
  store_->maintain();
  EXPECT_EQ(blocks(), 1U) << "the newest stays";
  EXPECT_EQ(trace(3), Ids{3});
}

TEST_F(StoreTest, SealsByAgeAndBySize) {
  StoreOptions options;
  options.seal_interval = DurationMs{60'000};
  open(options);
  append({{.trace = 1, .id = 1}});
  store_->maintain();
  EXPECT_EQ(blocks(), 0U);
  clock_.advance(DurationMs{60'000});
  store_->maintain();
  EXPECT_EQ(blocks(), 1U);
  EXPECT_EQ(store_->statistics().live_spans, 0U);
  options.live_bytes_max = 1;
  store_->reconfigure(options);
  store_->maintain();
  EXPECT_EQ(blocks(), 1U) << "nothing to seal";
}

TEST_F(StoreTest, MergesBlocksByItself) {
  open();
  for (std::uint64_t i = 1; i <= 8; ++i) {
    append({{.trace = i / 2, .id = i, .start_ns = kTestNowNs + i}});
    flush();
  }
  const std::vector<std::string> before = all();
  store_->maintain();
  EXPECT_LT(blocks(), 8U);
  EXPECT_EQ(all(), before);
  open();
  EXPECT_EQ(all(), before);
}

TEST_F(StoreTest, TruncatesTheLogWhenItsSpansAreInABlock) {
  open();
  for (std::uint64_t i = 1; i <= 100; ++i) append({{.trace = i, .id = i}});
  const std::uint64_t before = store_->statistics().wal_bytes;
  flush();
  EXPECT_LT(store_->statistics().wal_bytes, before / 2);
  EXPECT_EQ(all().size(), 100U);
}

TEST_F(StoreTest, RefusesWithoutStoringWhenThereAreTooManySpans) {
  StoreOptions options;
  options.limits.spans_per_request_max = 2;
  open(options);
  const auto result = store_->append(make_batch({{.id = 1}, {.id = 2}, {.id = 3}}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::ResourceExhausted);
  EXPECT_EQ(result.error().message,
            "the request has 3 spans, the limit is 2 (limits.spans_per_request_max)");
  EXPECT_TRUE(all().empty());
}

TEST_F(StoreTest, RefusesSpansOfATraceThatIsTooLarge) {
  StoreOptions options;
  options.limits.bytes_per_trace_max = 500;
  open(options);
  auto result = append({{.trace = 1, .id = 1}, {.trace = 1, .id = 2}, {.trace = 2, .id = 3}});
  EXPECT_EQ(result.spans_written, 3U);
  SpanBatch batch;
  for (SpanId id = 10; id < 20; ++id) add_test_span(batch, {.trace = 1, .id = id});
  add_test_span(batch, {.trace = 3, .id = 30});
  result = append(batch);
  EXPECT_GT(rejected(result, SpanRejectReason::TraceTooLarge), 0U);
  EXPECT_EQ(result.spans_written + rejected(result, SpanRejectReason::TraceTooLarge), 11U);
  ASSERT_FALSE(result.messages.empty());
  EXPECT_TRUE(result.messages[0].ends_with("the limit is 500 (limits.bytes_per_trace_max)"))
      << result.messages[0];
  EXPECT_EQ(trace(3), Ids{30});
  const std::vector<std::string> before = all();
  open(options);
  EXPECT_EQ(all(), before) << "the log has what was let in, no more";
}

TEST_F(StoreTest, ALargeTraceStaysRefusedAfterASeal) {
  StoreOptions options;
  options.limits.bytes_per_trace_max = 700;
  open(options);
  SpanBatch batch;
  for (SpanId id = 1; id < 20; ++id) add_test_span(batch, {.trace = 1, .id = id});
  EXPECT_GT(rejected(append(batch), SpanRejectReason::TraceTooLarge), 0U);
  flush();
  append({{.trace = 1, .id = 100}});  // adopts the rest
  EXPECT_EQ(rejected(append({{.trace = 1, .id = 101}}), SpanRejectReason::TraceTooLarge), 1U);
}

TEST_F(StoreTest, RefusesTracesOverTheLimitUntilTheNextSeal) {
  StoreOptions options;
  options.limits.live_traces_max = 2;
  open(options);
  const auto result = append({{.trace = 1, .id = 1}, {.trace = 2, .id = 2}, {.trace = 3, .id = 3}});
  EXPECT_EQ(result.spans_written, 2U);
  EXPECT_EQ(rejected(result, SpanRejectReason::LiveTraces), 1U);
  EXPECT_GT(result.retry_after.count, 0);
  flush();
  EXPECT_EQ(append({{.trace = 3, .id = 3}}).spans_written, 1U);
}

TEST_F(StoreTest, RefusesBytesOverTheRate) {
  StoreOptions options;
  options.limits.span_bytes_per_second_max = 1000;
  open(options);
  SpanBatch batch = make_batch({{.id = 1}});
  batch.body_bytes = 1500;
  EXPECT_EQ(append(batch).spans_written, 1U);
  const auto result = append(batch);
  EXPECT_EQ(result.spans_written, 0U);
  EXPECT_EQ(rejected(result, SpanRejectReason::RateLimited), 1U);
  EXPECT_EQ(result.retry_after.count, 1000);
  clock_.advance(result.retry_after);
  EXPECT_EQ(append(batch).spans_repeated, 1U);
}

TEST_F(StoreTest, RefusesIdsOfZero) {
  open();
  SpanBatch batch = make_batch({{.id = 1}, {.id = 0}, {.id = 2}});
  batch.spans[2].trace_id = {};
  const auto result = append(batch);
  EXPECT_EQ(result.spans_written, 1U);
  EXPECT_EQ(rejected(result, SpanRejectReason::InvalidId), 2U);
  EXPECT_EQ(all().size(), 1U);
}

TEST_F(StoreTest, NothingOfAFailedAppendBecomesVisible) {
  open();
  append({{.trace = 1, .id = 1}});
  files_.inject(
      {.operation = FaultyFileSystem::Operation::Sync, .fault = FaultyFileSystem::Fault::IoError});
  const auto failed = store_->append(make_batch({{.trace = 1, .id = 2}, {.trace = 2, .id = 3}}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::Unavailable);
  EXPECT_EQ(trace(1), Ids{1});
  EXPECT_EQ(trace(2), Ids{});
  cut_power_and_open();
  EXPECT_EQ(all().size(), 1U);
  EXPECT_EQ(append({{.trace = 2, .id = 3}}).spans_written, 1U);
}

TEST_F(StoreTest, AFullDiskRefusesWritesAndLosesNothing) {
  open();
  append({{.trace = 1, .id = 1}});
  files_.set_capacity(0);
  bool was_refused = false;
  for (SpanId id = 100; id < 300 && !was_refused; ++id) {
    const auto result = store_->append(make_batch({{.trace = id, .id = id}}));
    was_refused = !result;
    if (!result) EXPECT_EQ(result.error().code, Code::Unavailable) << result.error().message;
  }
  EXPECT_TRUE(was_refused);
  EXPECT_FALSE(store_->flush());
  EXPECT_EQ(trace(1), Ids{1}) << "what could not be sealed is still there";
  files_.set_capacity(std::uint64_t{1} << 40);
  const std::vector<std::string> before = all();
  flush();
  EXPECT_EQ(all(), before);
  cut_power_and_open();
  EXPECT_EQ(all(), before);
}

TEST_F(StoreTest, ASealThatFailsIsRepeatedAndSeenOnceThroughout) {
  open();
  append({{.trace = 1, .id = 1}});
  flush();
  append({{.trace = 1, .id = 2}, {.trace = 2, .id = 3}});
  const std::uint64_t writes = files_.operation_count(FaultyFileSystem::Operation::Any);
  flush();
  const std::uint64_t operations =
      files_.operation_count(FaultyFileSystem::Operation::Any) - writes;
  SpanId id = 10;
  for (std::uint64_t skip = 0; skip < operations; ++skip) {
    append({{.trace = 1, .id = id}, {.trace = 3, .id = id + 1}});
    const std::vector<std::string> before = all();
    files_.inject({.operation = FaultyFileSystem::Operation::Any,
                   .fault = FaultyFileSystem::Fault::IoError,
                   .skip_count = skip});
    static_cast<void>(store_->flush());
    files_.clear_injections();
    ASSERT_EQ(all(), before) << "operation " << skip;
    append({{.trace = 1, .id = id + 2}});
    ASSERT_EQ(all().size(), before.size() + 1) << "operation " << skip;
    flush();
    ASSERT_EQ(all().size(), before.size() + 1) << "operation " << skip;
    cut_power_and_open();
    ASSERT_EQ(all().size(), before.size() + 1) << "operation " << skip;
    id += 10;
  }
}

TEST_F(StoreTest, ServesTheRestWhenABlockIsDamaged) {
  open();
  append({{.trace = 1, .id = 1}});
  flush();
  append({{.trace = 2, .id = 2}});
  flush();
  const storage::Path block = "/data/traces/blocks/000000000001";
  const auto entries = files_.list(block);
  ASSERT_TRUE(entries);
  for (const storage::DirectoryEntry& entry : *entries) {
    // Behind the header: what the footer says is still readable.
    for (std::uint64_t at = 16; at < entry.size_bytes / 2; ++at) {
      ASSERT_TRUE(files_.corrupt(block / entry.name, at, 3));
    }
  }
  open();
  SpanBatch batch;
  const auto found = store_->source().find_trace(test_trace_id(1), 0, 1, CancelToken(), batch);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::DataLoss);
  store_->maintain();
  EXPECT_EQ(trace(1), Ids{});
  EXPECT_EQ(trace(2), Ids{2});
  EXPECT_EQ(all().size(), 1U);
  const auto snapshot = store_->source().open(
      {.start_ns = 0, .end_ns = std::numeric_limits<std::int64_t>::max()}, CancelToken());
  EXPECT_EQ((*snapshot)->warnings(),
            (std::vector<std::string>{"trace block blocks/000000000001 was damaged and set aside: "
                                      "its traces are missing"}));
  append({{.trace = 1, .id = 3}});
  EXPECT_EQ(trace(1), Ids{3});
}

TEST_F(StoreTest, RefusesAppendsWhenSealsFailTooLong) {
  StoreOptions options;
  options.live_bytes_max = 100'000;
  open(options);
  bool was_refused = false;
  SpanId id = 1;
  for (; id < 100'000 && !was_refused; ++id) {
    const auto result = store_->append(make_batch({{.trace = id, .id = id}}));
    was_refused = !result;
    if (!result) EXPECT_EQ(result.error().code, Code::Unavailable) << result.error().message;
  }
  EXPECT_TRUE(was_refused);
  store_->maintain();
  EXPECT_EQ(append({{.trace = id, .id = id}}).spans_written, 1U);
}

TEST_F(StoreTest, SealsByItselfWhenTheLiveSegmentIsFull) {
  StoreOptions options;
  options.live_bytes_max = 1'000'000;
  auto opened = StoreImpl::open("/data/traces", options, environment(), Background::On);
  ASSERT_TRUE(opened) << opened.error().message;
  store_ = *std::move(opened);
  for (SpanId id = 1; id <= 4000; ++id) append({{.trace = id, .id = id}});
  const std::int64_t deadline_ns = monotonic_ns() + 30'000'000'000;
  while (blocks() == 0 && monotonic_ns() < deadline_ns) std::this_thread::yield();
  EXPECT_GE(blocks(), 1U);
  EXPECT_EQ(all().size(), 4000U);
}

TEST_F(StoreTest, RefusesAppendsAfterItIsClosed) {
  open();
  append({{.trace = 1, .id = 1}});
  ASSERT_TRUE(store_->close());
  ASSERT_TRUE(store_->close());
  const auto result = store_->append(make_batch({{.trace = 1, .id = 2}}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::Unavailable);
  EXPECT_EQ(trace(1), Ids{1});
  EXPECT_EQ(blocks(), 1U);
}

RC_GTEST_FIXTURE_PROP(StoreTest, AnyOrderOfEventsShowsTheSame, (std::uint64_t seed)) {
  store_.reset();
  ASSERT_TRUE(files_.remove_all("/data"));
  open();
  std::mt19937_64 random(seed);
  std::map<std::uint64_t, std::set<SpanId>> expected;
  for (int step = 0; step < 40; ++step) {
    const std::uint64_t number = 1 + random() % 5;
    switch (random() % 12) {
      case 0:
        flush();
        break;
      case 1:
        merge_all();
        break;
      case 2:
        cut_power_and_open();
        break;
      case 3:
        RC_ASSERT(store_->delete_trace(test_trace_id(number)).value() ==
                  (expected.erase(number) > 0));
        break;
      default: {
        const SpanId id = 1 + random() % 30;
        append({{.trace = number, .id = id}});
        expected[number].insert(id);
      }
    }
  }
  std::size_t count = 0;
  for (const auto& [number, ids] : expected) {
    Ids found = trace(number);
    std::ranges::sort(found);
    RC_ASSERT(found == Ids(ids.begin(), ids.end()));
    count += ids.size();
  }
  RC_ASSERT(all().size() == count);
}

}  // namespace
}  // namespace gantry::traces
