#pragma once

// Spans in memory as columns that only grow: the live segment, and the table from which a block's
// groups are encoded.

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
  SpanTable();
  ~SpanTable();
  SpanTable(const SpanTable&) = delete;
  SpanTable& operator=(const SpanTable&) = delete;

  /// Appends `batch.spans[span]`; copies what it keeps. False, with nothing appended: the table has
  /// a span with the same trace id, span id, kind, name, start and end.
  bool append(const telemetry::SpanBatch& batch, std::uint32_t span);

  /// Makes what was appended visible to snapshots taken from now on.
  void publish();

  [[nodiscard]] std::uint32_t spans() const;
  [[nodiscard]] std::uint32_t traces() const;
  [[nodiscard]] std::uint64_t memory_bytes() const;
  [[nodiscard]] traceql::GroupBounds bounds() const;  ///< Of what is published.

  /// The trace's number in the group, if it has one.
  [[nodiscard]] std::optional<std::uint32_t> find_trace(const telemetry::TraceId& id) const;

  /// What is published, as one group. The table must outlive it.
  [[nodiscard]] std::unique_ptr<StoredGroup> snapshot() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::traces
