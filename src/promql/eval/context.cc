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

}  // namespace

Result<void> run_batches(QueryContext& context, std::size_t rows, std::size_t first_batch,
                         std::size_t count, const BatchBody& body) {
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
      const std::size_t first = (first_batch + i) * kBatchRows;
      const Batch batch{
          .index = first_batch + i, .first = first, .count = std::min(kBatchRows, rows - first)};
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
  return run_batches(context, rows, 0, batch_count(rows), body);
}

}  // namespace gantry::promql::eval
