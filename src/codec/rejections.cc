#include "codec/rejections.h"

namespace gantry::codec {

std::uint64_t RejectionList::total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts_) sum += count;
  return sum;
}

void RejectionList::add_to(telemetry::AppendResult& result) const {
  using telemetry::RejectReason;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    result.rejected_counts[i] += counts_[i];
    const auto reason = static_cast<RejectReason>(i);
    if (reason != RejectReason::InvalidExemplar && reason != RejectReason::MetadataLimit) {
      result.samples_rejected += counts_[i];
    }
  }
  for (const telemetry::Rejection& rejection : kept_) {
    if (result.rejections.size() >= telemetry::AppendResult::kRejectionsKept) break;
    result.rejections.push_back(rejection);
  }
}

void RejectionList::clear() {
  counts_.fill(0);
  kept_.clear();
}

}  // namespace gantry::codec
