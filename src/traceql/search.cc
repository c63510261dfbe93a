#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "core/byte_size.h"
#include "core/mutex.h"
#include "traceql/engine.h"
#include "traceql/eval/group_evaluator.h"
#include "traceql/found_trace_internal.h"
#include "traceql/group_queue_internal.h"
#include "traceql/required_text.h"

namespace gantry::traceql {

namespace {

constexpr std::uint32_t kDefaultSpansPerSpanset = 3;

/// Where a trace comes in the answer.
struct Rank {
  std::int64_t start_ns = 0;
  telemetry::TraceId trace_id;

  /// Earlier in the answer is less.
  friend bool operator<(const Rank& a, const Rank& b) {
    return a.start_ns != b.start_ns ? a.start_ns > b.start_ns : a.trace_id < b.trace_id;
  }
};

Rank rank_of(const FoundTrace& trace) {
  return {.start_ns = trace.start_ns, .trace_id = trace.trace_id};
}

/// The best `limit` traces so far. Thread-safe.
class BestTraces {
 public:
  BestTraces(std::uint32_t limit, std::uint64_t memory_bytes_max)
      : limit_(limit), memory_bytes_max_(memory_bytes_max) {}

  /// Whether a trace that starts no later than this may still get in.
  [[nodiscard]] bool accepts_start(std::int64_t start_ns) const {
    const core::Lock lock(mutex_);
    return heap_.size() < limit_ || start_ns >= heap_.front().start_ns;
  }

  [[nodiscard]] bool accepts(const Rank& rank) const {
    const core::Lock lock(mutex_);
    return heap_.size() < limit_ || rank < rank_of(heap_.front());
  }

  /// Errors: ResourceExhausted.
  Result<void> add(FoundTrace trace) {
    const core::Lock lock(mutex_);
    if (heap_.size() == limit_) {
      if (!(rank_of(trace) < rank_of(heap_.front()))) return {};
      std::ranges::pop_heap(heap_, comes_before);
      bytes_ -= memory_bytes(heap_.back());
      heap_.pop_back();
    }
    bytes_ += memory_bytes(trace);
    if (bytes_ > memory_bytes_max_) {
      return fail(Code::ResourceExhausted,
                  fmt::format("the search's results take more than {} of memory "
                              "(query.memory_bytes_max)",
                              core::format_byte_size(memory_bytes_max_)));
    }
    heap_.push_back(std::move(trace));
    std::ranges::push_heap(heap_, comes_before);
    return {};
  }

  [[nodiscard]] std::vector<FoundTrace> take() {
    const core::Lock lock(mutex_);
    std::ranges::sort(heap_, comes_before);
    return std::move(heap_);
  }

 private:
  static bool comes_before(const FoundTrace& a, const FoundTrace& b) {
    return rank_of(a) < rank_of(b);
  }

  std::uint32_t limit_;
  std::uint64_t memory_bytes_max_;
  mutable core::Mutex mutex_;
  std::vector<FoundTrace> heap_ GANTRY_GUARDED_BY(mutex_);  ///< The last in the answer on top.
  std::uint64_t bytes_ GANTRY_GUARDED_BY(mutex_) = 0;
};

/// One search.
class Search {
 public:
  Search(const SearchRequest& request, const EngineOptions& options, const CancelToken& cancel)
      : request_(request),
        pipeline_(std::get<Pipeline>(request.query->node)),
        fields_(displayed_fields(pipeline_)),
        cancel_(cancel),
        best_(request.limit, options.memory_bytes_max) {}

  [[nodiscard]] bool wants(const GroupBounds& group) const {
    return group.start_ns_min <= request_.end_ns && group.end_ns_max >= request_.start_ns &&
           best_.accepts_start(group.trace_start_ns_max);
  }

  Result<void> visit(SpanGroup& group) {
    GroupEvaluator evaluator(group);
    GANTRY_TRY(const TraceFacts* facts, evaluator.trace_facts());
    GANTRY_TRY(const RowSet rows, candidate_rows(evaluator, *facts));
    if (rows.is_empty()) return {};
    GANTRY_TRY(const std::vector<Spanset> sets, evaluator.run(pipeline_, rows));
    GANTRY_CHECK(cancel_.check());
    GANTRY_TRY(const auto ids, group.trace_ids());

    struct Candidate {
      Rank rank;
      std::span<const Spanset> sets;
    };

    std::vector<Candidate> candidates;
    for (const std::span<const Spanset> of_trace : by_trace(sets)) {
      const std::uint32_t trace = of_trace.front().trace;
      candidates.push_back({.rank = {.start_ns = facts->starts_ns[trace], .trace_id = ids[trace]},
                            .sets = of_trace});
    }
    // Only what gets into the answer is worth describing.
    std::ranges::sort(candidates, std::less<>{}, &Candidate::rank);
    for (const Candidate& candidate : candidates) {
      if (!best_.accepts(candidate.rank)) break;
      GANTRY_TRY(FoundTrace found,
                 describe_trace(evaluator, candidate.sets,
                                {.fields = fields_, .spans_per_spanset = spans_per_spanset()}));
      GANTRY_CHECK(best_.add(std::move(found)));
    }
    return {};
  }

  [[nodiscard]] std::vector<FoundTrace> take() { return best_.take(); }

 private:
  [[nodiscard]] std::uint32_t spans_per_spanset() const {
    return request_.spans_per_spanset == 0 ? kDefaultSpansPerSpanset : request_.spans_per_spanset;
  }

  [[nodiscard]] bool is_candidate(std::int64_t start_ns, std::int64_t duration_ns) const {
    if (start_ns > request_.end_ns || start_ns + duration_ns < request_.start_ns) return false;
    if (duration_ns < request_.trace_duration_ns_min) return false;
    return request_.trace_duration_ns_max == 0 || duration_ns <= request_.trace_duration_ns_max;
  }

  /// Spans of the traces that could be in the answer.
  Result<RowSet> candidate_rows(GroupEvaluator& evaluator, const TraceFacts& facts) const {
    RowSet traces(evaluator.group().counts().traces);
    for (std::uint32_t trace = 0; trace < traces.size(); ++trace) {
      if (is_candidate(facts.starts_ns[trace], facts.durations_ns[trace]) &&
          best_.accepts_start(facts.starts_ns[trace])) {
        traces.add(trace);
      }
    }
    return evaluator.rows_of_traces(traces);
  }

  const SearchRequest& request_;
  const Pipeline& pipeline_;
  std::vector<FieldExpr> fields_;
  const CancelToken& cancel_;
  BestTraces best_;
};

}  // namespace

Result<SearchAnswer> Engine::search(const SearchRequest& request, const SpanSource& source,
                                    const CancelToken& cancel) const {
  GANTRY_ASSERT(request.query != nullptr && !request.query->is_metrics(),
                "a search takes a search query");
  const auto& pipeline = std::get<Pipeline>(request.query->node);
  SearchAnswer answer;
  if (request.limit == 0 || is_never(pipeline)) return answer;
  const std::vector<RequiredText> required = required_texts(pipeline);
  GANTRY_TRY(
      const std::unique_ptr<SpanSnapshot> snapshot,
      source.open({.start_ns = request.start_ns, .end_ns = request.end_ns, .required = required},
                  cancel));
  Search search(request, options_, cancel);
  GroupQueue queue(*snapshot, options_.workers, cancel);
  GANTRY_CHECK(queue.run([&](const GroupBounds& group) { return search.wants(group); },
                         [&](SpanGroup& group) { return search.visit(group); }));
  answer.traces = search.take();
  answer.statistics = queue.statistics();
  answer.warnings = snapshot->warnings();
  return answer;
}

}  // namespace gantry::traceql
