#pragma once

// Spans in memory as columns that only grow: the live segment, and the table in which the parts of
// a trace are joined.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/error.h"
#include "telemetry/span_batch.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// One writer at a time; any number of readers beside it. A reader takes a snapshot, which is a
/// prefix: columns grow in place and their addresses never change, so reading takes no lock and the
/// snapshot is not disturbed by later appends.
class SpanTable {
 public:
  /// Spans, events and links that a table holds at most, each. Appending more is a bug.
  static constexpr std::uint32_t kRowsMax = std::uint32_t{1} << 26;

  SpanTable();
  ~SpanTable();
  SpanTable(const SpanTable&) = delete;
  SpanTable& operator=(const SpanTable&) = delete;

  /// Appends `batch.spans[span]`; copies what it keeps. False, with nothing appended: the table has
  /// a span with the same trace id, span id, kind, name, start and end.
  bool append(const telemetry::SpanBatch& batch, std::uint32_t span);

  /// Appends the spans at `spans`, in that order; cheaper than one by one. Returns how many were
  /// not there before.
  std::uint32_t append(const telemetry::SpanBatch& batch, std::span<const std::uint32_t> spans);

  /// Whether the spans of `batch` find room besides what is appended.
  [[nodiscard]] bool has_room_for(const telemetry::SpanBatch& batch) const;

  /// Whether anything of the trace was appended, published or not. Any thread.
  [[nodiscard]] bool has_appended(const telemetry::TraceId& id) const;

  /// Makes what was appended visible to snapshots taken from now on.
  void publish();

  /// How much of the table there was at one moment.
  struct Mark {
    traceql::GroupCounts counts;
    traceql::GroupBounds bounds;
  };

  /// Of what is published now.
  [[nodiscard]] Mark mark() const;

  [[nodiscard]] std::uint32_t spans() const { return mark().counts.spans; }

  [[nodiscard]] std::uint32_t traces() const { return mark().counts.traces; }

  [[nodiscard]] traceql::GroupBounds bounds() const { return mark().bounds; }

  /// Of what is appended, published or not. Any thread.
  [[nodiscard]] std::uint64_t memory_bytes() const;

  /// The trace's number in snapshots, if it has one. Of what is published now, or was at `mark`.
  [[nodiscard]] std::optional<std::uint32_t> find_trace(const telemetry::TraceId& id) const;
  [[nodiscard]] std::optional<std::uint32_t> find_trace(const telemetry::TraceId& id,
                                                        const Mark& mark) const;

  /// What is published, or was at `mark`, as one group. The table must outlive it.
  [[nodiscard]] std::unique_ptr<StoredGroup> snapshot() const;
  [[nodiscard]] std::unique_ptr<StoredGroup> snapshot(const Mark& mark) const;

  struct Impl;  ///< Shared with the snapshots.

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::traces
