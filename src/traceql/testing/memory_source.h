#pragma once

// A SpanSource in memory, for tests: batches of spans, cut into groups of whole traces.
//
//   MemorySource source(std::move(batches), {.groups = 3});
//
// Its dictionaries hold a text that no row has (kUnusedText), columns that every row has are dense,
// and others are not, so that whoever reads it meets what a store may hand out.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "traceql/span_source.h"

namespace gantry::traceql::testing {

inline constexpr std::string_view kUnusedText = "(in no row)";

enum class GroupSplit : std::uint8_t {
  ByTime,       ///< Each group's traces start after those of the next.
  Interleaved,  ///< Traces are dealt out in turn, so that groups overlap in time.
};

struct MemorySourceOptions {
  std::size_t groups = 1;  ///< At least 1; not more than there are traces.
  GroupSplit split = GroupSplit::ByTime;
};

/// Immutable but for its counters; thread-safe.
class MemorySource final : public SpanSource {
 public:
  /// Texts of the batches must be owned by their arenas or live as long as the source.
  MemorySource(std::vector<telemetry::SpanBatch> batches, MemorySourceOptions options);
  ~MemorySource() override;

  /// Reads groups whose bounds overlap the requested range; ignores `required` but keeps count of
  /// the conditions.
  Result<std::unique_ptr<SpanSnapshot>> open(const OpenRequest& request,
                                             const CancelToken& cancel) const override;

  Result<void> find_trace(const telemetry::TraceId& id, std::int64_t start_ns, std::int64_t end_ns,
                          const CancelToken& cancel, telemetry::SpanBatch& batch) const override;

  /// Groups opened since it was made.
  [[nodiscard]] std::size_t opened_groups() const { return opened_groups_; }

  /// OpenRequest::required of the last open, as "table key=text"; "any" for no table.
  [[nodiscard]] std::vector<std::string> last_required() const;

 private:
  struct State;

  std::shared_ptr<State> state_;
  mutable std::atomic<std::size_t> opened_groups_ = 0;
};

}  // namespace gantry::traceql::testing
