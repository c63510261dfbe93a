#include "traceql/metrics/aggregation.h"

#include <utility>

#include <fmt/core.h>

#include "core/byte_size.h"

namespace gantry::traceql::metrics {

Result<void> MemoryAccount::take(std::uint64_t bytes, std::size_t series, std::uint32_t intervals) {
  if (bytes > bytes_max_ - bytes_) {
    return fail(Code::ResourceExhausted,
                fmt::format("the query's {} series of {} intervals take more than {} of memory "
                            "(query.memory_bytes_max)",
                            series, intervals, core::format_byte_size(bytes_max_)));
  }
  bytes_ += bytes;
  return {};
}

void SelectedSpans::keep(std::span<const std::uint8_t> is_kept) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (is_kept[i] == 0) {
      set.remove(rows[i]);
      continue;
    }
    rows[kept] = rows[i];
    intervals[kept] = intervals[i];
    ++kept;
  }
  rows.resize(kept);
  intervals.resize(kept);
}

Result<SelectedSpans> select_spans(GroupEvaluator& evaluator, const Pipeline& pipeline,
                                   const Intervals& intervals) {
  SelectedSpans spans;
  GANTRY_TRY(spans.set, evaluator.run_to_rows(pipeline));
  if (spans.set.is_empty()) return spans;
  GANTRY_TRY(const std::span<const std::int64_t> starts, evaluator.group().starts_ns());
  RowSet outside(spans.set.size());
  const std::uint64_t count = spans.set.count();
  spans.rows.reserve(count);
  spans.intervals.reserve(count);
  // Hot: per span.
  spans.set.for_each([&](std::uint32_t row) {
    const auto interval = intervals.find(starts[row]);
    if (!interval) {
      outside.add(row);
      return;
    }
    spans.rows.push_back(row);
    spans.intervals.push_back(*interval);
  });
  spans.set -= outside;
  return spans;
}

}  // namespace gantry::traceql::metrics
