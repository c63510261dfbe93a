#include "promql/eval/context.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

namespace gantry::promql::eval {

Result<void> QueryContext::check() const {
  if (cancel.is_cancelled()) {
    return fail(Code::Cancelled, "query was canceled in expression evaluation");
  }
  if (cancel.is_expired()) {
    return fail(Code::DeadlineExceeded, "query timed out in expression evaluation");
  }
  return {};
}

std::size_t lane_count(const QueryContext& context) {
  return context.options.workers == nullptr ? 1 : context.options.workers->thread_count() + 1;
}

namespace {

struct BatchReport {
  AnnotationSet annotations;
  std::uint64_t samples_total = 0;
  std::uint64_t samples_read = 0;
  std::optional<Error> error;
};

BatchReport run_one(QueryContext& context, const Batch& batch, const BatchBody& body,
                    BatchScratch& scratch) {
  scratch.held = Reservation(context.budget);
  scratch.annotations = {};
  scratch.samples_total = 0;
  scratch.samples_read = 0;
  Result<void> result = context.check();
  if (result) result = body(batch, scratch);
  BatchReport report{.annotations = std::move(scratch.annotations),
                     .samples_total = scratch.samples_total,
                     .samples_read = scratch.samples_read,
                     .error = {}};
  if (!result) report.error = std::move(result).error();
  return report;
}

/// A full batch of rows that cover as much is worth a visit.
constexpr std::int64_t kFullBatchSpanMs = std::int64_t{6} * 3'600'000;

/// Enough for any number of workers.
constexpr std::size_t kSmallBatches = 256;

}  // namespace

std::size_t batch_rows(const QueryContext& context, std::size_t rows) {
  if (context.row_span_ms <= kFullBatchSpanMs) return kBatchRows;
  const auto for_span = static_cast<std::size_t>(static_cast<std::int64_t>(kBatchRows) *
                                                 kFullBatchSpanMs / context.row_span_ms);
  return std::clamp(std::max(for_span, rows / kSmallBatches), std::size_t{1}, kBatchRows);
}

std::size_t batch_count(const QueryContext& context, std::size_t rows) {
  const std::size_t size = batch_rows(context, rows);
  return (rows + size - 1) / size;
}

Result<void> run_batches(QueryContext& context, const BatchRange& range, const BatchBody& body) {
  const std::size_t count = range.count;
  if (count == 0) return context.check();
  std::vector<BatchReport> reports(count);
  std::atomic<std::size_t> next{0};
  std::atomic<bool> has_failed{false};
  const auto run_lane = [&](std::size_t /*lane*/) {
    BatchScratch scratch;
    for (;;) {
      const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
      // Batches are drawn in order, so those before a failed one have all been drawn: the first
      // error is the same whoever runs.
      if (i >= count || has_failed.load(std::memory_order_relaxed)) return;
      const std::size_t first = (range.first + i) * range.batch_rows;
      const Batch batch{.index = range.first + i,
                        .first = first,
                        .count = std::min(range.batch_rows, range.rows - first)};
      reports[i] = run_one(context, batch, body, scratch);
      if (reports[i].error) has_failed.store(true, std::memory_order_relaxed);
    }
  };
  const std::size_t lanes = std::min(count, lane_count(context));
  if (lanes == 1) {
    run_lane(0);
  } else {
    context.options.workers->parallel_for(lanes, run_lane);
  }
  for (BatchReport& report : reports) {
    context.annotations.merge(report.annotations);
    context.samples_total += report.samples_total;
    context.samples_read += report.samples_read;
    if (report.error) return std::unexpected(*std::move(report.error));
  }
  return {};
}

Result<void> run_batches(QueryContext& context, std::size_t rows, const BatchBody& body) {
  return run_batches(context,
                     {.rows = rows,
                      .batch_rows = batch_rows(context, rows),
                      .first = 0,
                      .count = batch_count(context, rows)},
                     body);
}

}  // namespace gantry::promql::eval
