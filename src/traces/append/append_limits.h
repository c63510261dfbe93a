#pragma once

// The limits that depend on what came before: bytes per trace, traces, bytes per second.

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/mutex.h"
#include "core/time.h"
#include "telemetry/span_append_result.h"
#include "telemetry/span_batch.h"
#include "traces/store.h"
#include "traces/table/trace_id_hash.h"

namespace gantry::traces {

/// What the traces of the live segment take. Thread-safe.
class TraceBudget {
 public:
  /// Chooses those of the batch's spans that the limits let in, charges their traces for them, and
  /// adds to `result` what it refused and why.
  [[nodiscard]] std::vector<std::uint32_t> admit(const telemetry::SpanBatch& batch,
                                                 const Limits& limits,
                                                 telemetry::SpanAppendResult& result);

  /// Charges without a limit: what a segment adopts or replays.
  void charge(const telemetry::SpanBatch& batch, std::span<const std::uint32_t> spans);

  /// What was admitted was not stored.
  void give_back(const telemetry::SpanBatch& batch, std::span<const std::uint32_t> spans);

  /// A new live segment.
  void clear();

 private:
  core::Mutex mutex_;
  std::unordered_map<telemetry::TraceId, std::uint64_t, TraceIdHash> bytes_
      GANTRY_GUARDED_BY(mutex_);
};

/// Bytes per second, with bursts of two seconds. Thread-safe.
class ByteRate {
 public:
  /// Takes the bytes (nothing is returned), or says how long to wait. A request that is larger than
  /// a burst goes when nothing else did for two seconds.
  [[nodiscard]] std::optional<DurationMs> take(std::uint64_t bytes, std::uint64_t per_second_max,
                                               TimestampMs now);

  /// What was taken was not stored.
  void give_back(std::uint64_t bytes);

 private:
  core::Mutex mutex_;
  double used_bytes_ GANTRY_GUARDED_BY(mutex_) = 0;  ///< Drains at the rate.
  TimestampMs drained_at_ GANTRY_GUARDED_BY(mutex_){};
};

}  // namespace gantry::traces
