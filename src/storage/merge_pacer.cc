#include "storage/merge_pacer.h"

#include <algorithm>

namespace gantry::storage {

/// How much too early the merge has written what it has.
std::int64_t MergePacer::ahead_ns(std::uint64_t bytes_written, std::int64_t now_ns) const {
  if (bytes_per_second_max_ == 0) return 0;
  const double due_ns =
      static_cast<double>(bytes_written) * 1e9 / static_cast<double>(bytes_per_second_max_);
  return static_cast<std::int64_t>(due_ns) - (now_ns - started_ns_);
}

std::int64_t MergePacer::wait_ns(std::uint64_t bytes_written, bool has_queries,
                                 std::int64_t now_ns) {
  // Many short waits would cost more than they save: the merge runs ahead a little, then waits.
  if (const std::int64_t ahead = ahead_ns(bytes_written, now_ns); ahead >= kAheadNs) {
    work_began_ns_ = now_ns + ahead;
    is_pausing_ = false;
    return ahead;
  }
  if (!is_pausing_) {
    if (now_ns - work_began_ns_ < kWorkNs) return 0;
    is_pausing_ = true;
    pause_began_ns_ = now_ns;
  }
  const std::int64_t left_ns = pause_began_ns_ + kPauseNs - now_ns;
  if (has_queries && left_ns > 0) return std::min(left_ns, kAskAgainNs);
  is_pausing_ = false;
  work_began_ns_ = now_ns;
  return 0;
}

}  // namespace gantry::storage
