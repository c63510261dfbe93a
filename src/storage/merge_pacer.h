#pragma once

// Keeps a merge out of the way: within its budget of bytes, and behind queries.

#include <cstdint>

namespace gantry::storage {

/// Says when one merge should wait; it does not wait itself and knows no clock. One thread.
///
/// Budget: the merge may be ahead of `bytes_per_second_max`, counted from its start, by no more
/// than kAheadNs.
/// Queries: after kWorkNs of work the merge stops while queries run, but no longer than kPauseNs:
/// under queries without end it still has a fifth of the time.
class MergePacer {
 public:
  static constexpr std::int64_t kWorkNs = 25'000'000;
  static constexpr std::int64_t kPauseNs = 100'000'000;
  static constexpr std::int64_t kAheadNs = 20'000'000;
  static constexpr std::int64_t kAskAgainNs = 5'000'000;

  /// `bytes_per_second_max` 0: no budget. Times are of one clock that never steps.
  MergePacer(std::uint64_t bytes_per_second_max, std::int64_t now_ns)
      : bytes_per_second_max_(bytes_per_second_max), started_ns_(now_ns), work_began_ns_(now_ns) {}

  /// How long to wait before asking again, with the same `bytes_written` (of the whole merge so
  /// far); 0: go on with the merge.
  [[nodiscard]] std::int64_t wait_ns(std::uint64_t bytes_written, bool has_queries,
                                     std::int64_t now_ns);

 private:
  [[nodiscard]] std::int64_t ahead_ns(std::uint64_t bytes_written, std::int64_t now_ns) const;

  const std::uint64_t bytes_per_second_max_;
  const std::int64_t started_ns_;
  std::int64_t work_began_ns_;
  std::int64_t pause_began_ns_ = 0;
  bool is_pausing_ = false;
};

}  // namespace gantry::storage
