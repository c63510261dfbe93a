#pragma once

// What a span table had at one moment, as a group. Included by the table only.

#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "traces/table/span_table_impl.h"

namespace gantry::traces {

class SpanTableGroup final : public StoredGroup {
 public:
  SpanTableGroup(const SpanTable::Impl& table, const traceql::GroupCounts& counts)
      : table_(table), counts_(counts) {}

  [[nodiscard]] const traceql::GroupCounts& counts() const override { return counts_; }

  Result<std::span<const std::uint32_t>> traces() override;
  Result<std::span<const telemetry::SpanId>> span_ids() override;
  Result<std::span<const telemetry::SpanId>> parent_ids() override;
  Result<std::span<const std::int64_t>> starts_ns() override;
  Result<std::span<const std::int64_t>> durations_ns() override;
  Result<std::span<const std::uint8_t>> kinds() override;
  Result<std::span<const std::uint8_t>> statuses() override;
  Result<traceql::TextColumn> names() override;
  Result<traceql::TextColumn> status_messages() override;
  Result<traceql::TextColumn> trace_states() override;
  Result<std::span<const std::uint32_t>> resources() override;
  Result<std::span<const std::uint32_t>> scopes() override;
  Result<std::span<const telemetry::TraceId>> trace_ids() override;
  Result<traceql::TextColumn> scope_names() override;
  Result<traceql::TextColumn> scope_versions() override;
  Result<std::span<const std::uint32_t>> event_spans() override;
  Result<std::span<const std::int64_t>> event_times_ns() override;
  Result<traceql::TextColumn> event_names() override;
  Result<std::span<const std::uint32_t>> link_spans() override;
  Result<std::span<const telemetry::TraceId>> link_trace_ids() override;
  Result<std::span<const telemetry::SpanId>> link_span_ids() override;
  Result<std::span<const std::string_view>> keys(traceql::Table table) override;
  Result<std::span<const traceql::Column>> columns(const traceql::ColumnKey& key) override;

  [[nodiscard]] std::uint64_t bytes_read() const override { return bytes_read_; }

  Result<std::span<const std::uint64_t>> ends_ns() override;
  Result<RareNumbers> flags() override;
  Result<RareNumbers> dropped_attributes() override;
  Result<RareNumbers> dropped_events() override;
  Result<RareNumbers> dropped_links() override;
  Result<traceql::TextColumn> resource_schema_urls() override;
  Result<RareNumbers> resource_dropped_attributes() override;
  Result<traceql::TextColumn> scope_schema_urls() override;
  Result<RareNumbers> scope_dropped_attributes() override;
  Result<RareNumbers> event_dropped_attributes() override;
  Result<traceql::TextColumn> link_trace_states() override;
  Result<RareNumbers> link_flags() override;
  Result<RareNumbers> link_dropped_attributes() override;

 private:
  /// A table's columns by key, made when they are asked for.
  struct Attributes {
    bool is_made = false;
    std::vector<std::string_view> keys;
    std::vector<const AttributeColumn*> columns;  ///< By key.
    std::map<std::string_view, std::vector<traceql::Column>> opened;
  };

  /// The first time that a column is asked for.
  void count(const void* column, std::size_t bytes);

  template <class T>
  std::span<const T> rows(const GrowingArray<T>& column, std::uint32_t rows) {
    count(&column, rows * sizeof(T));
    return column.first(rows);
  }

  traceql::TextColumn rows(const TextRows& column, std::uint32_t rows);
  RareNumbers rows(const RareRows& column, std::uint32_t rows);
  Attributes& attributes(traceql::Table table);

  const SpanTable::Impl& table_;
  const traceql::GroupCounts counts_;
  std::uint64_t bytes_read_ = 0;
  std::vector<const void*> counted_;
  Attributes attributes_[traceql::kTableCount];
};

}  // namespace gantry::traces
