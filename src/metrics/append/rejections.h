#pragma once

// Gathers what an append refuses.

#include <cstdint>
#include <string>

#include "telemetry/append_result.h"

namespace gantry::metrics {

/// Counts exactly, keeps the first few messages. Consecutive refusals with the same reason and
/// series are one entry. Best-effort series are counted by reason but not reported. Who refuses
/// samples of other series names their positions in the result as well.
class Rejections {
 public:
  explicit Rejections(telemetry::AppendResult& result) : result_(result) {}

  /// `message()` is called only when its text is kept.
  template <class Message>
  void add(telemetry::RejectReason reason, std::uint32_t batch_series, bool is_best_effort,
           std::uint64_t sample_count, const Message& message) {
    result_.rejected_counts[static_cast<std::size_t>(reason)] += sample_count;
    if (is_best_effort) return;
    result_.samples_rejected += sample_count;
    add_text(reason, batch_series, sample_count, message);
  }

  /// For exemplars and metadata, which are no samples.
  template <class Message>
  void add_other(telemetry::RejectReason reason, std::uint32_t batch_series,
                 const Message& message) {
    ++result_.rejected_counts[static_cast<std::size_t>(reason)];
    add_text(reason, batch_series, 1, message);
  }

 private:
  template <class Message>
  void add_text(telemetry::RejectReason reason, std::uint32_t batch_series, std::uint64_t count,
                const Message& message) {
    if (has_last_ && last_series_ == batch_series && !result_.rejections.empty() &&
        result_.rejections.back().reason == reason) {
      result_.rejections.back().count += count;
      return;
    }
    has_last_ = result_.rejections.size() < telemetry::AppendResult::kRejectionsKept;
    if (!has_last_) return;
    last_series_ = batch_series;
    result_.rejections.push_back({.reason = reason, .message = message(), .count = count});
  }

  telemetry::AppendResult& result_;
  bool has_last_ = false;
  std::uint32_t last_series_ = 0;
};

}  // namespace gantry::metrics
