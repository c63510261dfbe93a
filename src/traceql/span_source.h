#pragma once

// Where TraceQL reads from. The embedded store implements this, so do label-filtered views of it
// and the fakes of tests. The engine knows nothing of files.
//
// Spans come in groups: tables of columns, in which every trace is whole. A trace is in one group
// only, and there once, however its spans arrived. That makes the group the unit of work: filters
// run over a group's columns, structural operators over the rows of each of its traces, and groups
// are independent of each other.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "telemetry/span_batch.h"

namespace gantry::traceql {

/// The tables of a group. A span refers to one resource and one instrumentation scope; an event or
/// a link refers to its span.
enum class Table : std::uint8_t { Span, Resource, Event, Link, Instrumentation };
inline constexpr std::size_t kTableCount = 5;

enum class ColumnType : std::uint8_t {
  String,
  Int,
  Double,
  Bool,
  Encoded,  ///< AnyValue messages (telemetry::AttributeValue::Kind::Encoded), dictionary-coded.
};

/// One attribute of one type in one table. An attribute whose values have several types has several
/// columns; a row is in one of them at most. Values are found by position: the value of rows[i], or
/// of row i when `is_dense`. The spans are valid as long as the group.
struct Column {
  ColumnType type = ColumnType::String;
  bool is_dense = false;                ///< Every row of the table has a value; `rows` is empty.
  std::span<const std::uint32_t> rows;  ///< Ascending, each once.
  std::span<const std::uint32_t> ids;   ///< String and Encoded: indexes into `dictionary`.
  std::span<const std::int64_t> ints;
  std::span<const double> doubles;
  std::span<const std::uint8_t> bools;
  /// Distinct; may hold texts that no row has.
  std::span<const std::string_view> dictionary;

  [[nodiscard]] std::size_t size() const;

  /// Where the value of `row` is, or nothing.
  [[nodiscard]] std::optional<std::size_t> find(std::uint32_t row) const;
};

/// A dense column of texts: names, status messages.
struct TextColumn {
  std::span<const std::uint32_t> ids;  ///< By row.
  std::span<const std::string_view> dictionary;

  [[nodiscard]] std::string_view text(std::uint32_t row) const { return dictionary[ids[row]]; }
};

/// Positions of spans in their trees (spec of `nestedSetLeft` and its kin). By row. left == 0: the
/// span's chain of parents does not reach a root.
struct NestedSets {
  std::span<const std::int32_t> left;
  std::span<const std::int32_t> right;
  std::span<const std::int32_t> parent;  ///< The parent's left; -1 for a root, 0 when unnumbered.
};

struct GroupCounts {
  std::uint32_t spans = 0;
  std::uint32_t traces = 0;
  std::uint32_t resources = 0;
  std::uint32_t scopes = 0;
  std::uint32_t events = 0;
  std::uint32_t links = 0;

  [[nodiscard]] std::uint32_t rows(Table table) const;
};

struct ColumnKey {
  Table table = Table::Span;
  std::string_view key;
};

/// One group, opened for one query. Columns are loaded when they are asked for and stay until the
/// group goes. One thread at a time. Errors of every call that returns a Result: DataLoss,
/// Internal.
class SpanGroup {
 public:
  SpanGroup() = default;
  SpanGroup(const SpanGroup&) = delete;
  SpanGroup& operator=(const SpanGroup&) = delete;
  virtual ~SpanGroup() = default;

  [[nodiscard]] virtual const GroupCounts& counts() const = 0;

  // ---- by span row. The rows of one trace are in order of arrival, not necessarily neighbours.

  /// Which of the group's traces the span belongs to: below counts().traces.
  virtual Result<std::span<const std::uint32_t>> traces() = 0;
  virtual Result<std::span<const telemetry::SpanId>> span_ids() = 0;
  virtual Result<std::span<const telemetry::SpanId>> parent_ids() = 0;
  virtual Result<std::span<const std::int64_t>> starts_ns() = 0;
  virtual Result<std::span<const std::int64_t>> durations_ns() = 0;  ///< Not negative.
  virtual Result<std::span<const std::uint8_t>> kinds() = 0;         ///< telemetry::SpanKind.
  virtual Result<std::span<const std::uint8_t>> statuses() = 0;      ///< telemetry::SpanStatus.
  virtual Result<TextColumn> names() = 0;
  virtual Result<TextColumn> status_messages() = 0;
  virtual Result<TextColumn> trace_states() = 0;
  virtual Result<std::span<const std::uint32_t>> resources() = 0;
  virtual Result<std::span<const std::uint32_t>> scopes() = 0;

  /// Computed from span_ids, parent_ids and kinds unless the source has them stored.
  virtual Result<NestedSets> nested_sets();

  // ---- by trace

  virtual Result<std::span<const telemetry::TraceId>> trace_ids() = 0;

  /// Rows of the spans of each trace: those of trace t are rows[begin[t]] … rows[begin[t + 1]].
  struct TraceRows {
    std::span<const std::uint32_t> begin;  ///< counts().traces + 1.
    std::span<const std::uint32_t> rows;

    [[nodiscard]] std::span<const std::uint32_t> of(std::uint32_t trace) const {
      return rows.subspan(begin[trace], begin[trace + 1] - begin[trace]);
    }
  };

  /// Computed from traces().
  virtual Result<TraceRows> trace_rows();

  // ---- by instrumentation scope

  virtual Result<TextColumn> scope_names() = 0;
  virtual Result<TextColumn> scope_versions() = 0;

  // ---- by event and by link row; rows of one span are neighbours, in their order in the span

  virtual Result<std::span<const std::uint32_t>> event_spans() = 0;  ///< Span rows, ascending.
  virtual Result<std::span<const std::int64_t>> event_times_ns() = 0;
  virtual Result<TextColumn> event_names() = 0;
  virtual Result<std::span<const std::uint32_t>> link_spans() = 0;  ///< Span rows, ascending.
  virtual Result<std::span<const telemetry::TraceId>> link_trace_ids() = 0;
  virtual Result<std::span<const telemetry::SpanId>> link_span_ids() = 0;

  // ---- attributes

  /// Every attribute that a row of `table` may have: sorted, unique, valid as long as the group.
  /// Some may have no value left.
  virtual Result<std::span<const std::string_view>> keys(Table table) = 0;

  /// The columns of an attribute, one per type; none when no row has it.
  virtual Result<std::span<const Column>> columns(const ColumnKey& key) = 0;

  /// Bytes of the columns loaded so far, as inspectedBytes counts them.
  [[nodiscard]] virtual std::uint64_t bytes_read() const = 0;

 private:
  struct Computed;
  std::shared_ptr<Computed> computed_;
};

/// What is known of a group without reading it.
struct GroupBounds {
  std::int64_t start_ns_min = 0;  ///< Of its spans' starts.
  std::int64_t start_ns_max = 0;  ///< Of its spans' starts.
  std::int64_t end_ns_max = 0;    ///< Of its spans' ends.
  std::int64_t trace_start_ns_max =
      0;  ///< Of its traces' starts (a trace starts with its first span).
  std::uint64_t spans = 0;
  std::uint64_t bytes = 0;  ///< As stored.
};

/// A condition that some span of a group must meet for the group to matter: the attribute (of the
/// table, or of any when absent) has this text, or an array with it among its elements. A source
/// may leave out groups that cannot meet it.
struct RequiredText {
  std::optional<Table> table;
  std::string_view key;
  std::string_view text;
};

struct OpenRequest {
  std::int64_t start_ns =
      0;  ///< Traces that overlap [start, end], both inclusive; more is allowed.
  std::int64_t end_ns = 0;
  std::span<const RequiredText> required;  ///< All of them; may be ignored.
};

/// The spans as of one moment. Thread-safe.
class SpanSnapshot {
 public:
  SpanSnapshot() = default;
  SpanSnapshot(const SpanSnapshot&) = delete;
  SpanSnapshot& operator=(const SpanSnapshot&) = delete;
  virtual ~SpanSnapshot() = default;

  /// By trace_start_ns_max, newest first. Valid as long as the snapshot.
  [[nodiscard]] virtual std::span<const GroupBounds> groups() const = 0;

  /// Errors: DataLoss, Internal, Cancelled.
  virtual Result<std::unique_ptr<SpanGroup>> open(std::size_t group) const = 0;

  /// Sentences for the operator's log and the answer (a damaged block that was set aside, say).
  [[nodiscard]] virtual std::vector<std::string> warnings() const { return {}; }
};

/// Thread-safe.
class SpanSource {
 public:
  SpanSource() = default;
  SpanSource(const SpanSource&) = delete;
  SpanSource& operator=(const SpanSource&) = delete;
  virtual ~SpanSource() = default;

  /// Everything that was acknowledged before the call is in the snapshot. Errors: Cancelled,
  /// DeadlineExceeded, DataLoss, Internal.
  virtual Result<std::unique_ptr<SpanSnapshot>> open(const OpenRequest& request,
                                                     const CancelToken& cancel) const = 0;

  /// All spans of one trace, each once, in order of arrival; no spans when there is none. [start,
  /// end] may narrow where is looked, spans are not clipped. `batch` owns its texts.
  virtual Result<void> find_trace(const telemetry::TraceId& id, std::int64_t start_ns,
                                  std::int64_t end_ns, const CancelToken& cancel,
                                  telemetry::SpanBatch& batch) const = 0;
};

}  // namespace gantry::traceql
