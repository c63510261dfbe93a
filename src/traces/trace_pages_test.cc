#include "traces/trace_pages.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "traces/testing/store_fixture.h"

namespace gantry::traces {
namespace {

using telemetry::SpanBatch;
using telemetry::TraceId;

constexpr std::int64_t kStartNs = static_cast<std::int64_t>(kTestNowNs);

class TracePagesTest : public StoreFixture {
 protected:
  [[nodiscard]] TracePage page(const TracePageRequest& request, SpanBatch& batch) const {
    const auto read = read_trace_page(store_->source(), request, CancelToken(), batch);
    EXPECT_TRUE(read) << (read ? "" : read.error().message);
    return read ? *read : TracePage{.is_last = true};
  }

  /// The spans of every page, by trace; expects that each is on one page and that pages ascend.
  [[nodiscard]] std::map<TraceId, std::vector<std::string>> all_pages(TracePageRequest request) {
    std::map<TraceId, std::vector<std::string>> found;
    SpanBatch batch;
    while (true) {
      const TracePage read = page(request, batch);
      std::map<TraceId, std::vector<std::string>> here;
      for (const telemetry::BatchSpan& span : batch.spans)
        here[span.trace_id].push_back(describe_span(batch, span));
      EXPECT_EQ(here.size(), read.traces);
      EXPECT_LE(read.traces, request.traces_max);
      for (auto& [trace, spans] : here) EXPECT_TRUE(found.emplace(trace, std::move(spans)).second);
      ++pages_;
      if (read.is_last) return found;
      if (read.traces > 0) EXPECT_GT(read.last, request.after);
      request.after = read.last;
      if (between_pages_) between_pages_();
    }
  }

  [[nodiscard]] std::vector<std::string> of_trace(const TraceId& id) const {
    SpanBatch batch;
    EXPECT_TRUE(store_->source().find_trace(id, 0, std::numeric_limits<std::int64_t>::max(),
                                            CancelToken(), batch));
    return describe_spans(batch);
  }

  int pages_ = 0;
  std::function<void()> between_pages_;
};

TEST_F(TracePagesTest, AnEmptyStoreHasOneEmptyPage) {
  open();
  SpanBatch batch = make_batch({{}});
  const TracePage read = page({.after = {.start_ns = 5}, .end_ns = kStartNs}, batch);
  EXPECT_TRUE(read.is_last);
  EXPECT_EQ(read.traces, 0U);
  EXPECT_EQ(read.last, (TracePosition{.start_ns = 5}));
  EXPECT_TRUE(batch.spans.empty()) << "what was there is replaced";
}

TEST_F(TracePagesTest, ATraceBelongsToTheRangeThatItBeginsIn) {
  open();
  append({{.trace = 1, .id = 1, .start_ns = kTestNowNs - 1},
          {.trace = 1, .id = 2, .start_ns = kTestNowNs + 5},
          {.trace = 2, .id = 3, .start_ns = kTestNowNs + 20},
          {.trace = 2, .id = 4, .start_ns = kTestNowNs},
          {.trace = 3, .id = 5, .start_ns = kTestNowNs + 9},
          {.trace = 4, .id = 6, .start_ns = kTestNowNs + 10}});
  const auto found = all_pages({.after = {.start_ns = kStartNs}, .end_ns = kStartNs + 10});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found.at(test_trace_id(2)).size(), 2U) << "whole, also with spans behind the end";
  EXPECT_EQ(found.at(test_trace_id(3)).size(), 1U);
}

TEST_F(TracePagesTest, EachTraceIsOnOnePageWhereverItsSpansAre) {
  open();
  std::mt19937_64 random(7);
  std::map<std::uint64_t, std::int64_t> first_ns;
  std::uint64_t id = 0;
  for (int part = 0; part < 6; ++part) {
    SpanBatch batch;
    for (int i = 0; i < 120; ++i) {
      // Several traces start at the same time, and some get earlier spans later on.
      const std::uint64_t trace = 1 + random() % 150;
      const std::uint64_t start = kTestNowNs + random() % 40;
      add_test_span(batch, {.trace = trace, .id = ++id, .start_ns = start});
      const auto [known, is_new] = first_ns.emplace(trace, static_cast<std::int64_t>(start));
      if (!is_new) known->second = std::min(known->second, static_cast<std::int64_t>(start));
    }
    append(batch);
    if (part < 5) ASSERT_TRUE(store_->flush());
  }
  // Merging changes where they are, not what comes next.
  between_pages_ = [this] {
    if (pages_ == 3) EXPECT_TRUE(store_->merge_all());
    if (pages_ == 6) EXPECT_TRUE(store_->flush());
  };
  for (const std::size_t traces_max : {7U, 1U, 1000U}) {
    pages_ = 0;
    const auto found = all_pages(
        {.after = {.start_ns = kStartNs}, .end_ns = kStartNs + 30, .traces_max = traces_max});
    std::size_t expected = 0;
    for (const auto& [trace, start] : first_ns) {
      if (start >= kStartNs + 30) continue;
      ++expected;
      const auto spans = found.find(test_trace_id(trace));
      ASSERT_NE(spans, found.end()) << trace << " with " << traces_max;
      auto whole = of_trace(test_trace_id(trace));
      auto got = spans->second;
      std::ranges::sort(whole);
      std::ranges::sort(got);
      EXPECT_EQ(got, whole);
    }
    EXPECT_EQ(found.size(), expected);
  }
}

TEST_F(TracePagesTest, APageEndsWhenItHasItsBytes) {
  open();
  const std::string text(1000, 'x');
  SpanBatch batch;
  for (std::uint64_t trace = 1; trace <= 400; ++trace)
    add_test_span(batch,
                  {.trace = trace, .id = trace, .start_ns = kTestNowNs + trace, .name = "a"});
  for (telemetry::SpanAttribute& attribute : batch.attributes)
    if (attribute.value.kind == telemetry::AttributeValue::Kind::String)
      attribute.value.text = text;
  append(batch);
  SpanBatch got;
  TracePageRequest request{.after = {.start_ns = kStartNs}, .end_ns = kStartNs + 1000};
  request.bytes_max = 100'000;
  const TracePage first = page(request, got);
  EXPECT_LT(first.traces, 300U);
  EXPECT_GE(first.traces, 20U);
  EXPECT_FALSE(first.is_last);
  request.bytes_max = 1;
  request.after = first.last;
  EXPECT_GE(page(request, got).traces, 1U) << "it goes on, however little may be read";
  request.bytes_max = 2 << 20;
  EXPECT_EQ(all_pages(request).size(), 400 - first.traces);
}

TEST_F(TracePagesTest, DeletedTracesAreNotRead) {
  open();
  append({{.trace = 1, .id = 1}, {.trace = 2, .id = 2}});
  ASSERT_TRUE(store_->flush());
  ASSERT_TRUE(store_->delete_trace(test_trace_id(1)));
  const auto found = all_pages({.after = {.start_ns = kStartNs}, .end_ns = kStartNs + 1});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found.contains(test_trace_id(2)));
}

TEST_F(TracePagesTest, EndsWhenItIsCancelled) {
  open();
  append({{.trace = 1, .id = 1}});
  const CancelToken cancelled;
  cancelled.cancel();
  SpanBatch batch;
  const auto read =
      read_trace_page(store_->source(), {.after = {.start_ns = kStartNs}, .end_ns = kStartNs + 1},
                      cancelled, batch);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::Cancelled);
}

}  // namespace
}  // namespace gantry::traces
