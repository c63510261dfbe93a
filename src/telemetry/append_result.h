#pragma once

// What a store did with a MetricBatch: how much is durable, and what it refused and why.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace gantry::telemetry {

enum class RejectReason : std::uint8_t {
  OutOfOrder,  ///< Older than the series' newest and no out-of-order window.
  TooOld,      ///< Older than the out-of-order window.
  Duplicate,   ///< Same timestamp, other value.
  TooFarInFuture,
  InvalidLabels,  ///< Missing name, bad UTF-8, duplicate label, empty name.
  LabelLimit,     ///< Too many labels, or a name or value too long.
  InvalidHistogram,
  SeriesLimit,      ///< Active series or new series per minute: a rate answer (429), not bad data.
  InvalidExemplar,  ///< Never fails a request.
  MetadataLimit,    ///< Never fails a request.
  BytesPerDay,      ///< The day's bytes are used up: all of the request, a rate answer (429).
};
inline constexpr std::size_t kRejectReasonCount = 11;

/// snake_case, for metric labels: "out_of_order".
[[nodiscard]] std::string_view reject_reason_name(RejectReason reason);

struct Rejection {
  RejectReason reason = RejectReason::OutOfOrder;
  std::string message;      ///< Names the series, the value and the limit with its setting.
  std::uint64_t count = 1;  ///< Items refused for this reason and series.
};

struct AppendResult {
  std::uint64_t samples_written = 0;
  std::uint64_t histograms_written = 0;
  std::uint64_t exemplars_written = 0;
  std::uint64_t metadata_written = 0;
  std::array<std::uint64_t, kRejectReasonCount> rejected_counts{};  ///< By RejectReason; exact.
  std::uint64_t samples_rejected =
      0;  ///< Float samples and histograms refused, best-effort series not counted.
  std::vector<Rejection> rejections;  ///< The first kRejectionsKept, for the answer's text.

  /// Positions in the batch's `samples` and `histograms` of those that the store has counted in
  /// `samples_rejected`; each once, in any order. Nothing is allocated when all are taken.
  std::vector<std::uint32_t> refused_samples;
  std::vector<std::uint32_t> refused_histograms;

  /// Not 0: a limit refused the whole batch, and will not before this has passed.
  DurationMs retry_after;

  static constexpr std::size_t kRejectionsKept = 10;

  [[nodiscard]] std::uint64_t rejected(RejectReason reason) const {
    return rejected_counts[static_cast<std::size_t>(reason)];
  }
};

}  // namespace gantry::telemetry
