#pragma once

// The columns of one group of a MemorySource.

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "traceql/span_source.h"

namespace gantry::traceql::testing {

/// Texts by number. The first is in no row.
class TextDictionary {
 public:
  TextDictionary();

  std::uint32_t add(std::string_view text);

  [[nodiscard]] std::span<const std::string_view> texts() const { return texts_; }

 private:
  std::vector<std::string_view> texts_;
  std::map<std::string_view, std::uint32_t> ids_;
};

struct MemoryTextColumn {
  std::vector<std::uint32_t> ids;
  TextDictionary dictionary;

  void add(std::string_view text) { ids.push_back(dictionary.add(text)); }

  [[nodiscard]] TextColumn view() const { return {.ids = ids, .dictionary = dictionary.texts()}; }
};

struct MemoryColumn {
  ColumnType type = ColumnType::String;
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> ids;
  std::vector<std::int64_t> ints;
  std::vector<double> doubles;
  std::vector<std::uint8_t> bools;
  TextDictionary dictionary;

  [[nodiscard]] Column view(std::uint32_t table_rows) const;
};

struct MemoryGroupData {
  GroupCounts counts;
  GroupBounds bounds;
  std::vector<std::uint32_t> traces;
  std::vector<telemetry::SpanId> span_ids;
  std::vector<telemetry::SpanId> parent_ids;
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> durations;
  std::vector<std::uint8_t> kinds;
  std::vector<std::uint8_t> statuses;
  MemoryTextColumn names;
  MemoryTextColumn status_messages;
  MemoryTextColumn trace_states;
  std::vector<std::uint32_t> resources;
  std::vector<std::uint32_t> scopes;
  std::vector<telemetry::TraceId> trace_ids;
  MemoryTextColumn scope_names;
  MemoryTextColumn scope_versions;
  std::vector<std::uint32_t> event_spans;
  std::vector<std::int64_t> event_times;
  MemoryTextColumn event_names;
  std::vector<std::uint32_t> link_spans;
  std::vector<telemetry::TraceId> link_trace_ids;
  std::vector<telemetry::SpanId> link_span_ids;

  using Columns = std::map<std::string_view, std::vector<MemoryColumn>, std::less<>>;
  std::array<Columns, kTableCount> attributes;

  // Views of the above, made once.
  std::array<std::vector<std::string_view>, kTableCount> keys;
  std::array<std::map<std::string_view, std::vector<Column>, std::less<>>, kTableCount> columns;
};

/// Spans of one trace after the other. The batches must outlive the data.
class MemoryGroupBuilder {
 public:
  MemoryGroupBuilder() : data_(std::make_unique<MemoryGroupData>()) {}

  void begin_trace(const telemetry::TraceId& id);
  void add(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span);
  [[nodiscard]] std::shared_ptr<const MemoryGroupData> finish() &&;

 private:
  void add_attributes(Table table, std::uint32_t row, const telemetry::SpanBatch& batch,
                      telemetry::BatchSlice slice);

  using Place = std::pair<const telemetry::SpanBatch*, std::uint32_t>;

  std::unique_ptr<MemoryGroupData> data_;
  std::map<Place, std::uint32_t> resources_;
  std::map<Place, std::uint32_t> scopes_;
  std::vector<std::int64_t> trace_starts_;
};

[[nodiscard]] std::unique_ptr<SpanGroup> make_memory_group(
    std::shared_ptr<const MemoryGroupData> data);

}  // namespace gantry::traceql::testing
