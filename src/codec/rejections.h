#pragma once

// What a codec refused of a request that was otherwise decoded.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "telemetry/append_result.h"

namespace gantry::codec {

/// Counts every refusal exactly and keeps the texts of the first few, so that a hostile request
/// cannot make a long list. Not thread-safe.
class RejectionList {
 public:
  static constexpr std::size_t kKept = telemetry::AppendResult::kRejectionsKept;

  /// `make_message` is called only when the text is kept. `count` is in samples (floats and
  /// histograms), or in exemplars for InvalidExemplar.
  template <class MakeMessage>
  void add(telemetry::RejectReason reason, std::uint64_t count, MakeMessage&& make_message) {
    counts_[static_cast<std::size_t>(reason)] += count;
    if (kept_.size() < kKept) {
      kept_.push_back(
          {.reason = reason, .message = std::forward<MakeMessage>(make_message)(), .count = count});
    }
  }

  [[nodiscard]] bool is_empty() const { return total() == 0 && kept_.empty(); }

  [[nodiscard]] std::uint64_t count(telemetry::RejectReason reason) const {
    return counts_[static_cast<std::size_t>(reason)];
  }

  /// Of all reasons.
  [[nodiscard]] std::uint64_t total() const;

  [[nodiscard]] const std::vector<telemetry::Rejection>& kept() const { return kept_; }

  /// Adds these to what the store reported, so that one answer can be made from both.
  void add_to(telemetry::AppendResult& result) const;

  void clear();

 private:
  std::array<std::uint64_t, telemetry::kRejectReasonCount> counts_{};
  std::vector<telemetry::Rejection> kept_;
};

}  // namespace gantry::codec
