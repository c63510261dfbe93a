#pragma once

// The live segment: what was appended since the last seal.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/mutex.h"
#include "storage/write_ahead_log.h"
#include "telemetry/span_batch.h"
#include "traces/span_table.h"
#include "traces/table/growing_array.h"
#include "traces/table/hash_index.h"

namespace gantry::traces {

/// A table of spans in which every trace is whole: before the first span of a trace that is
/// somewhere older already, the older spans are adopted, and what has adopted a trace hides it in
/// everything older. One writer at a time, any number of readers.
class Segment {
 public:
  Segment() = default;
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  /// Takes over those traces of `older`, all spans that older segments and blocks have of some
  /// traces, of which the segment has nothing yet. Returns the spans taken. Writer only.
  std::vector<std::uint32_t> adopt(const telemetry::SpanBatch& older);

  /// Returns how many were not there before. Writer only.
  std::uint32_t append(const telemetry::SpanBatch& batch, std::span<const std::uint32_t> spans) {
    return table_.append(batch, spans);
  }

  /// Makes what was adopted and appended visible, all at once. Writer only.
  void publish();

  /// Any thread; of what is appended, published or not.
  [[nodiscard]] bool has_appended(const telemetry::TraceId& id) const {
    return table_.has_appended(id);
  }

  [[nodiscard]] const SpanTable& table() const { return table_; }

  /// Traces adopted so far, in order. Valid as long as the segment.
  [[nodiscard]] std::span<const telemetry::TraceId> adopted() const { return adopted_.all(); }

  /// What is published, at one moment.
  struct Mark {
    SpanTable::Mark table;
    std::size_t adopted = 0;
  };

  [[nodiscard]] Mark mark() const;

  /// Whether the trace was adopted before `mark`: it is whole here and hidden in all that is older.
  [[nodiscard]] bool has_adopted(const telemetry::TraceId& id, const Mark& mark) const;

  /// Of the block that this became, or is about to; 0: not yet.
  std::atomic<std::uint64_t> block_number{0};

  /// Set when the segment is sealed: its records are before this. One thread.
  storage::LogPosition log_end;

 private:
  SpanTable table_;
  std::atomic<std::uint64_t> adopted_bytes_{0};
  GrowingArray<telemetry::TraceId> adopted_{adopted_bytes_};
  HashIndex adopted_index_{adopted_bytes_};
  mutable core::Mutex mutex_;
  Mark published_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::traces
