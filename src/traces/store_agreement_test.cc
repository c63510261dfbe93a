// The engine over the store against the plain evaluator: random traces that arrive in random
// pieces, with seals, merges and restarts in between; random queries.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/testing/plain_agreement.h"
#include "traceql/testing/random_traces.h"
#include "traceql/testing/span_builder.h"
#include "traces/testing/span_pieces.h"
#include "traces/testing/store_fixture.h"

namespace gantry::traces {
namespace {

constexpr std::uint64_t kQueriesPerStore = 5;  // Of each kind.

/// A store of its own for each seed.
class RandomStore : public StoreFixture {
 public:
  explicit RandomStore(std::uint64_t seed) : random_(seed) {
    const telemetry::SpanBatch batch =
        traceql::testing::random_traces(seed, {.traces = 2 + below(10)});
    spans_ = without_repeated(batch);
    open(kOptions);
    fill(batch);
  }

  void TestBody() override {}

  [[nodiscard]] const traceql::SpanSource& source() const { return store_->source(); }

  /// What was appended, without what came twice.
  [[nodiscard]] const telemetry::SpanBatch& spans() const { return spans_; }

  /// The spans of a trace as they were appended, and as the store gives them.
  [[nodiscard]] std::vector<std::string> appended_trace(const telemetry::TraceId& id) const {
    std::vector<std::string> out;
    for (const telemetry::BatchSpan& span : spans_.spans) {
      if (span.trace_id == id) out.push_back(describe_span(spans_, span));
    }
    return out;
  }

  [[nodiscard]] std::vector<std::string> found_trace(const telemetry::TraceId& id) const {
    telemetry::SpanBatch batch;
    const auto found =
        source().find_trace(id, 0, std::numeric_limits<std::int64_t>::max(), CancelToken(), batch);
    EXPECT_TRUE(found) << (found ? "" : found.error().message);
    return describe_spans(batch);
  }

  /// What was done to it, for messages: a number of spans appended, (f)lush, (m)erge, (r)estart,
  /// (p)ower cut.
  [[nodiscard]] const std::string& history() const { return history_; }

 private:
  static constexpr StoreOptions kOptions{.retention = DurationMs{0}};

  std::size_t below(std::size_t end) { return random_() % end; }

  void fill(const telemetry::SpanBatch& batch) {
    const std::size_t piece_max = 1 + below(batch.spans.size());
    for (std::size_t begin = 0; begin < batch.spans.size();) {
      const std::size_t count = std::min(1 + below(piece_max), batch.spans.size() - begin);
      const auto appended = append(copy_spans(batch, begin, count));
      EXPECT_EQ(appended.spans_written, count);
      begin += count;
      history_ += std::to_string(count) + ' ';
      move();
    }
  }

  /// Half of the time nothing happens.
  void move() {
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        history_ += "f ";
        EXPECT_TRUE(store_->flush());
        break;
      case 3:
        history_ += "m ";
        EXPECT_TRUE(store_->merge_all());
        break;
      case 4:
        history_ += "r ";
        open(kOptions);
        break;
      case 5:
        history_ += "p ";
        cut_power_and_open(kOptions);
        break;
      default:
        break;
    }
  }

  std::mt19937_64 random_;
  telemetry::SpanBatch spans_;
  std::string history_;
};

void expect_whole_traces(const RandomStore& store, const traceql::testing::PlainEvaluator& plain) {
  for (const traceql::testing::PlainTrace& trace : plain.traces()) {
    EXPECT_EQ(store.found_trace(trace.id), store.appended_trace(trace.id));
  }
  std::vector<std::string> all = describe_spans(store.spans());
  std::ranges::sort(all);
  EXPECT_EQ(describe_source(store.source()), all);
  EXPECT_TRUE(store.found_trace(traceql::testing::trace_id(999)).empty());
}

// For a long run: RC_PARAMS="max_success=5000" makes 50,000 queries.

RC_GTEST_PROP(StoreAgreement, OfQueriesAndTraces, ()) {
  // Small seeds would come again and again, and a smaller seed is no simpler a case.
  const std::uint64_t seed =
      *rc::gen::noShrink(rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>()));
  const RandomStore store(seed);
  SCOPED_TRACE("seed " + std::to_string(seed) + ", history " + store.history());
  const traceql::testing::PlainEvaluator plain(std::span(&store.spans(), 1));
  expect_whole_traces(store, plain);
  core::WorkerPool pool({.thread_count = 2});
  const traceql::Engine engine({.workers = seed % 4 == 0 ? &pool : nullptr});
  for (std::uint64_t i = 0; i < kQueriesPerStore; ++i) {
    const std::uint64_t query = seed * kQueriesPerStore + i;
    EXPECT_EQ(traceql::testing::search_disagreement(query, engine, store.source(), plain), "");
    EXPECT_EQ(traceql::testing::metrics_disagreement(query, engine, store.source(), plain), "");
  }
  RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace gantry::traces
