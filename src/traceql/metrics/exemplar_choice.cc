#include "traceql/metrics/exemplar_choice.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include <fmt/core.h>

#include "core/hash.h"

namespace gantry::traceql::metrics {

std::uint64_t exemplar_rank(const telemetry::TraceId& trace_id) {
  std::string bytes(trace_id.bytes.begin(), trace_id.bytes.end());
  return core::hash64(bytes);
}

std::string trace_id_text(const telemetry::TraceId& trace_id) {
  std::string text;
  for (const std::uint8_t byte : trace_id.bytes) text += fmt::format("{:02x}", byte);
  const std::size_t first = text.find_first_not_of('0');
  return first == std::string::npos ? "" : text.substr(first);
}

ExemplarChoice::ExemplarChoice(const Intervals& intervals, std::uint32_t count_max)
    : start_ns_(intervals.start_ns),
      per_slice_(std::min<std::size_t>(kPerSlice, count_max)),
      slices_(count_max == 0 ? 0 : std::max<std::size_t>(1, count_max / kPerSlice)) {
  if (slices_.empty()) return;
  const auto range = static_cast<std::uint64_t>(intervals.end_ns - intervals.start_ns);
  slice_ns_ = std::max<std::uint64_t>(1, (range / slices_.size()) + 1);
}

void ExemplarChoice::offer(ExemplarCandidate candidate) {
  if (slices_.empty()) return;
  const auto since = static_cast<std::uint64_t>(candidate.start_ns - start_ns_);
  auto& slice = slices_[std::min<std::uint64_t>(since / slice_ns_, slices_.size() - 1)];
  const auto is_before = [](const ExemplarCandidate& a, const ExemplarCandidate& b) {
    return std::tie(a.rank, a.trace_id) < std::tie(b.rank, b.trace_id);
  };
  if (slice.size() == per_slice_ && !is_before(candidate, slice.back())) return;
  slice.insert(std::ranges::upper_bound(slice, candidate, is_before), std::move(candidate));
  if (slice.size() > per_slice_) slice.pop_back();
}

std::vector<ExemplarCandidate> ExemplarChoice::take() {
  std::vector<ExemplarCandidate> chosen;
  for (auto& slice : slices_) std::ranges::move(slice, std::back_inserter(chosen));
  slices_.clear();
  std::ranges::sort(chosen, [](const ExemplarCandidate& a, const ExemplarCandidate& b) {
    return std::tie(a.start_ns, a.rank, a.trace_id) < std::tie(b.start_ns, b.rank, b.trace_id);
  });
  return chosen;
}

}  // namespace gantry::traceql::metrics
