#include "traces/span_table.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using telemetry::SpanBatch;
using traceql::ColumnType;
using traceql::Table;

std::uint32_t append_all(SpanTable& table, const SpanBatch& batch) {
  std::vector<std::uint32_t> spans(batch.spans.size());
  std::iota(spans.begin(), spans.end(), 0);
  return table.append(batch, spans);
}

/// What makes two spans the same.
std::string identity(const telemetry::BatchSpan& span) {
  std::string out(reinterpret_cast<const char*>(span.trace_id.bytes.data()), 16);
  for (const std::uint64_t part :
       {span.span_id, std::uint64_t{static_cast<std::uint8_t>(span.kind)}, span.start_ns,
        span.end_ns}) {
    out += std::to_string(part) + ' ';
  }
  return out + std::string(span.name);
}

TEST(SpanTableTest, ShowsNothingBeforeItIsPublished) {
  SpanTable table;
  EXPECT_EQ(append_all(table, make_batch({{.id = 1}, {.id = 2}})), 2U);
  EXPECT_EQ(table.spans(), 0U);
  EXPECT_EQ(table.snapshot()->counts().spans, 0U);
  EXPECT_FALSE(table.find_trace(test_trace_id(1)));
  EXPECT_TRUE(table.has_appended(test_trace_id(1)));
  table.publish();
  EXPECT_EQ(table.spans(), 2U);
  EXPECT_EQ(table.traces(), 1U);
  EXPECT_EQ(table.find_trace(test_trace_id(1)), 0U);
  EXPECT_FALSE(table.find_trace(test_trace_id(2)));
}

TEST(SpanTableTest, KeepsASpanThatComesAgainOnce) {
  SpanTable table;
  const SpanBatch batch = make_batch({{.id = 1}, {.id = 1}});
  EXPECT_TRUE(table.append(batch, 0));
  EXPECT_FALSE(table.append(batch, 1));
  EXPECT_TRUE(table.append(make_batch({{.id = 1, .name = "other"}}), 0));
  EXPECT_TRUE(table.append(make_batch({{.id = 1, .duration_ns = 2}}), 0));
  EXPECT_TRUE(table.append(make_batch({{.trace = 2, .id = 1}}), 0));
  table.publish();
  EXPECT_EQ(table.spans(), 4U);
  EXPECT_EQ(table.traces(), 2U);
}

TEST(SpanTableTest, KeepsResourcesAndScopesOnce) {
  SpanTable table;
  append_all(table, make_batch({{.id = 1, .service = "a"}, {.id = 2, .service = "b"}}));
  append_all(table, make_batch({{.id = 3, .service = "a"}, {.id = 4, .service = "b"}}));
  table.publish();
  const auto group = table.snapshot();
  EXPECT_EQ(group->counts().resources, 2U);
  EXPECT_EQ(group->counts().scopes, 1U);
  const auto rows = group->resources();
  ASSERT_TRUE(rows);
  EXPECT_EQ(std::vector<std::uint32_t>(rows->begin(), rows->end()),
            (std::vector<std::uint32_t>{0, 1, 0, 1}));
}

TEST(SpanTableTest, SaysWhereItsSpansAre) {
  SpanTable table;
  append_all(table, make_batch({{.trace = 1, .id = 1, .start_ns = 500, .duration_ns = 10},
                                {.trace = 1, .id = 2, .start_ns = 100, .duration_ns = 1000},
                                {.trace = 2, .id = 3, .start_ns = 300, .duration_ns = 0}}));
  table.publish();
  const traceql::GroupBounds bounds = table.bounds();
  EXPECT_EQ(bounds.start_ns_min, 100);
  EXPECT_EQ(bounds.start_ns_max, 500);
  EXPECT_EQ(bounds.end_ns_max, 1100);
  EXPECT_GE(bounds.trace_start_ns_max, 300);
  EXPECT_EQ(bounds.spans, 3U);
  EXPECT_GT(bounds.bytes, 0U);
}

TEST(SpanTableTest, GivesAColumnForEachTypeOfAKey) {
  SpanTable table;
  SpanBatch batch = make_batch({{.id = 1}, {.id = 2}, {.id = 3}});
  batch.attributes[batch.spans[1].attributes.begin + 1].value = {
      .kind = telemetry::AttributeValue::Kind::String, .text = "two"};
  append_all(table, batch);
  table.publish();
  const auto group = table.snapshot();
  const auto keys = group->keys(Table::Span);
  ASSERT_TRUE(keys);
  EXPECT_EQ(std::vector<std::string_view>(keys->begin(), keys->end()),
            (std::vector<std::string_view>{"http.method", "number"}));
  EXPECT_EQ(group->bytes_read(), 0U);
  const auto columns = group->columns({.table = Table::Span, .key = "number"});
  ASSERT_TRUE(columns);
  ASSERT_EQ(columns->size(), 2U);
  EXPECT_EQ((*columns)[0].type, ColumnType::Int);
  EXPECT_EQ((*columns)[0].find(2), 1U);
  EXPECT_EQ((*columns)[1].type, ColumnType::String);
  EXPECT_EQ((*columns)[1].find(2), std::nullopt);
  const std::uint64_t read = group->bytes_read();
  EXPECT_GT(read, 0U);
  const auto dense = group->columns({.table = Table::Span, .key = "http.method"});
  ASSERT_TRUE(dense);
  ASSERT_EQ(dense->size(), 1U);
  EXPECT_TRUE((*dense)[0].is_dense);
  EXPECT_EQ((*dense)[0].size(), 3U);
  EXPECT_TRUE(group->columns({.table = Table::Event, .key = "number"})->empty());
  EXPECT_TRUE(group->columns({.table = Table::Span, .key = "numbers"})->empty());
}

TEST(SpanTableTest, ASnapshotStaysAsItWas) {
  SpanTable table;
  RandomBatches random(7);
  SpanBatch batch;
  random.fill(batch, 50);
  append_all(table, batch);
  table.publish();
  const SpanTable::Mark mark = table.mark();
  const auto early = table.snapshot();
  const std::vector<std::string> expected = describe_group(*table.snapshot());
  for (int i = 0; i < 200; ++i) {
    random.fill(batch, 50);
    append_all(table, batch);
    table.publish();
  }
  ASSERT_GT(table.spans(), 1000U);
  EXPECT_EQ(describe_group(*early), expected);
  EXPECT_EQ(describe_group(*table.snapshot(mark)), expected);
}

RC_GTEST_PROP(SpanTablePropertyTest, GivesBackWhatWasAppended, (std::uint64_t seed)) {
  RandomBatches random(seed);
  SpanTable table;
  SpanBatch batch;
  std::vector<std::string> expected;
  std::set<std::string> identities;
  std::set<telemetry::TraceId> traces;
  for (int i = 0; i < 5; ++i) {
    random.fill(batch, 40);
    for (std::uint32_t span = 0; span < batch.spans.size(); ++span) {
      const bool is_new = identities.insert(identity(batch.spans[span])).second;
      if (is_new) expected.push_back(describe_span(batch, batch.spans[span]));
      traces.insert(batch.spans[span].trace_id);
      if (i % 2 == 0) RC_ASSERT(table.append(batch, span) == is_new);
    }
    if (i % 2 == 1) append_all(table, batch);
    table.publish();
  }
  const auto group = table.snapshot();
  RC_ASSERT(describe_group(*group) == expected);
  RC_ASSERT(group->counts().traces == traces.size());
  for (const telemetry::TraceId& id : traces) {
    const auto number = table.find_trace(id);
    RC_ASSERT(number.has_value());
    RC_ASSERT((*group->trace_ids())[*number] == id);
  }
}

RC_GTEST_PROP(SpanTablePropertyTest, ReadsAnyRowsInAnyOrderIntoAnyBatch, (std::uint64_t seed)) {
  RandomBatches random(seed);
  SpanTable table;
  SpanBatch batch;
  random.fill(batch, 60);
  append_all(table, batch);
  table.publish();
  const auto group = table.snapshot();
  const std::vector<std::string> all = describe_group(*group);
  std::mt19937_64 choose(seed);
  SpanBatch out;
  std::vector<std::string> expected;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint32_t> rows(choose() % 10);
    for (std::uint32_t& row : rows) {
      row = static_cast<std::uint32_t>(choose() % all.size());
      expected.push_back(all[row]);
    }
    RC_ASSERT(read_spans(*group, rows, out).has_value());
  }
  RC_ASSERT(describe_spans(out) == expected);
}

TEST(SpanTableConcurrencyTest, ReadersSeeWholePrefixesWhileItGrows) {
  constexpr std::uint64_t kRounds = 400;
  SpanTable table;
  std::atomic<bool> is_done = false;
  std::vector<std::jthread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      std::uint32_t before = 0;
      bool was_done = false;
      while (!was_done) {
        was_done = is_done.load();
        const SpanTable::Mark mark = table.mark();
        ASSERT_GE(mark.counts.spans, before);
        ASSERT_EQ(mark.counts.spans % 3, 0U) << "a request is visible as a whole";
        before = mark.counts.spans;
        const auto group = table.snapshot(mark);
        const auto columns = group->columns({.table = Table::Span, .key = "number"});
        const auto ids = group->span_ids();
        const auto services = group->columns({.table = Table::Resource, .key = "service.name"});
        ASSERT_TRUE(columns && ids && services);
        if (before == 0) continue;
        ASSERT_EQ(columns->front().size(), before);
        for (std::size_t row = 0; row < before; ++row) {
          ASSERT_EQ(static_cast<std::uint64_t>(columns->front().ints[row]), (*ids)[row]);
        }
        ASSERT_EQ(services->front().size(), group->counts().resources);
        const std::uint32_t last = before - 1;
        SpanBatch batch;
        ASSERT_TRUE(read_spans(*group, {&last, 1}, batch));
        ASSERT_TRUE(table.find_trace(batch.spans[0].trace_id, mark));
      }
    });
  }
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::string service = "service " + std::to_string(round);
    append_all(table, make_batch({{.trace = round, .id = 3 * round + 1, .service = service},
                                  {.trace = round, .id = 3 * round + 2, .service = service},
                                  {.trace = round / 2, .id = 3 * round + 3}}));
    table.publish();
  }
  is_done = true;
  readers.clear();
  EXPECT_EQ(table.spans(), 3 * kRounds);
}

}  // namespace
}  // namespace gantry::traces
