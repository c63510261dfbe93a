// A group of a block as a StoredGroup: columns are loaded when they are asked for, from the cache
// or from the file, and held as long as the group.

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "traces/block/block_file.h"
#include "traces/block/column_loader.h"
#include "traces/block/decoded_column.h"

namespace gantry::traces {
namespace {

using telemetry::SpanId;
using telemetry::TraceId;
using traceql::Column;
using traceql::ColumnType;
using traceql::Table;
using traceql::TextColumn;
using ColumnPtr = std::shared_ptr<const DecodedColumn>;

template <class T>
using Values = Result<std::span<const T>>;

class BlockGroup final : public StoredGroup {
 public:
  BlockGroup(const BlockFile& file, std::uint32_t group,
             std::shared_ptr<const GroupDirectory> directory)
      : file_(file), group_(group), directory_(std::move(directory)), loader_(file) {}

  const traceql::GroupCounts& counts() const override { return directory_->counts; }

  Values<std::uint32_t> traces() override { return ids(FixedColumn::Traces); }

  Values<SpanId> span_ids() override { return words(FixedColumn::SpanIds); }

  Values<SpanId> parent_ids() override { return words(FixedColumn::Parents); }

  Values<std::int64_t> starts_ns() override { return ints(FixedColumn::Starts); }

  Values<std::int64_t> durations_ns() override { return ints(FixedColumn::Durations); }

  Values<std::uint8_t> kinds() override { return bytes(FixedColumn::Kinds); }

  Values<std::uint8_t> statuses() override { return bytes(FixedColumn::Statuses); }

  Result<TextColumn> names() override { return texts(FixedColumn::Names); }

  Result<TextColumn> status_messages() override { return texts(FixedColumn::StatusMessages); }

  Result<TextColumn> trace_states() override { return texts(FixedColumn::TraceStates); }

  Values<std::uint32_t> resources() override { return ids(FixedColumn::Resources); }

  Values<std::uint32_t> scopes() override { return ids(FixedColumn::Scopes); }

  Result<traceql::NestedSets> nested_sets() override;

  Values<TraceId> trace_ids() override { return trace_ids_of(FixedColumn::TraceIds); }

  Result<TextColumn> scope_names() override { return texts(FixedColumn::ScopeNames); }

  Result<TextColumn> scope_versions() override { return texts(FixedColumn::ScopeVersions); }

  Values<std::uint32_t> event_spans() override { return ids(FixedColumn::EventSpans); }

  Values<std::int64_t> event_times_ns() override { return ints(FixedColumn::EventTimes); }

  Result<TextColumn> event_names() override { return texts(FixedColumn::EventNames); }

  Values<std::uint32_t> link_spans() override { return ids(FixedColumn::LinkSpans); }

  Values<TraceId> link_trace_ids() override { return trace_ids_of(FixedColumn::LinkTraceIds); }

  Values<SpanId> link_span_ids() override { return words(FixedColumn::LinkSpanIds); }

  Result<std::span<const std::string_view>> keys(Table table) override;
  Result<std::span<const Column>> columns(const traceql::ColumnKey& key) override;

  std::uint64_t bytes_read() const override { return bytes_read_; }

  Values<std::uint64_t> ends_ns() override { return words(FixedColumn::Ends); }

  Result<RareNumbers> flags() override { return rare(FixedColumn::Flags); }

  Result<RareNumbers> dropped_attributes() override { return rare(FixedColumn::DroppedAttributes); }

  Result<RareNumbers> dropped_events() override { return rare(FixedColumn::DroppedEvents); }

  Result<RareNumbers> dropped_links() override { return rare(FixedColumn::DroppedLinks); }

  Result<TextColumn> resource_schema_urls() override {
    return texts(FixedColumn::ResourceSchemaUrls);
  }

  Result<RareNumbers> resource_dropped_attributes() override {
    return rare(FixedColumn::ResourceDroppedAttributes);
  }

  Result<TextColumn> scope_schema_urls() override { return texts(FixedColumn::ScopeSchemaUrls); }

  Result<RareNumbers> scope_dropped_attributes() override {
    return rare(FixedColumn::ScopeDroppedAttributes);
  }

  Result<RareNumbers> event_dropped_attributes() override {
    return rare(FixedColumn::EventDroppedAttributes);
  }

  Result<TextColumn> link_trace_states() override { return texts(FixedColumn::LinkTraceStates); }

  Result<RareNumbers> link_flags() override { return rare(FixedColumn::LinkFlags); }

  Result<RareNumbers> link_dropped_attributes() override {
    return rare(FixedColumn::LinkDroppedAttributes);
  }

 private:
  Result<const DecodedColumn*> fixed(FixedColumn column);
  Result<ColumnContext> context_for(FixedColumn column);
  Result<Column> attribute(std::size_t index);

  Values<std::uint32_t> ids(FixedColumn column) {
    GANTRY_TRY(const DecodedColumn* const values, fixed(column));
    return values->ids;
  }

  Values<std::int64_t> ints(FixedColumn column) {
    GANTRY_TRY(const DecodedColumn* const values, fixed(column));
    return values->ints;
  }

  Values<std::uint64_t> words(FixedColumn column) {
    GANTRY_TRY(const DecodedColumn* const values, fixed(column));
    return values->words;
  }

  Values<std::uint8_t> bytes(FixedColumn column) {
    GANTRY_TRY(const DecodedColumn* const values, fixed(column));
    return values->bytes;
  }

  Values<TraceId> trace_ids_of(FixedColumn column) {
    GANTRY_TRY(const DecodedColumn* const values, fixed(column));
    return values->trace_ids;
  }

  Result<TextColumn> texts(FixedColumn column) {
    GANTRY_TRY(const DecodedColumn* const values, fixed(column));
    return TextColumn{.ids = values->ids, .dictionary = values->texts};
  }

  Result<RareNumbers> rare(FixedColumn column) {
    GANTRY_TRY(const DecodedColumn* const values, fixed(column));
    return RareNumbers{.rows = values->rows, .values = values->ids};
  }

  const BlockFile& file_;
  const std::uint32_t group_;
  const std::shared_ptr<const GroupDirectory> directory_;
  ColumnLoader loader_;
  std::array<ColumnPtr, kFixedColumnCount> fixed_;
  std::vector<ColumnPtr> attributes_;
  /// Of keys that were asked for, by the first of their attributes.
  std::map<std::size_t, std::vector<Column>> columns_;
  std::array<std::vector<std::string_view>, traceql::kTableCount> keys_;
  bool has_keys_ = false;
  std::uint64_t bytes_read_ = 0;
};

Result<ColumnContext> BlockGroup::context_for(FixedColumn column) {
  ColumnContext context;
  context.counts = counts();
  switch (column) {
    case FixedColumn::Parents: {
      GANTRY_TRY(context.trace_rows, trace_rows());
      GANTRY_TRY(context.span_ids, span_ids());
      break;
    }
    case FixedColumn::Starts:
    case FixedColumn::NestedSets: {
      GANTRY_TRY(context.traces, traces());
      break;
    }
    case FixedColumn::Ends: {
      GANTRY_TRY(context.starts, starts_ns());
      GANTRY_TRY(context.durations, durations_ns());
      break;
    }
    case FixedColumn::EventTimes: {
      GANTRY_TRY(context.starts, starts_ns());
      GANTRY_TRY(context.event_spans, event_spans());
      break;
    }
    default:  // The others stand for themselves.
      break;
  }
  return context;
}

Result<const DecodedColumn*> BlockGroup::fixed(FixedColumn column) {
  const auto index = static_cast<std::size_t>(column);
  if (!fixed_[index]) {
    ColumnPtr loaded = file_.find<DecodedColumn>(fixed_item(group_, column));
    if (!loaded) {
      GANTRY_TRY(const ColumnContext context, context_for(column));
      GANTRY_TRY(loaded, loader_.load_fixed(column, directory_->fixed[index], context));
      file_.keep(fixed_item(group_, column), loaded);
    }
    bytes_read_ += loaded->stored_bytes;
    fixed_[index] = std::move(loaded);
  }
  return fixed_[index].get();
}

Result<traceql::NestedSets> BlockGroup::nested_sets() {
  GANTRY_TRY(const DecodedColumn* const sets, fixed(FixedColumn::NestedSets));
  return traceql::NestedSets{.left = sets->left, .right = sets->right, .parent = sets->parent};
}

Result<std::span<const std::string_view>> BlockGroup::keys(Table table) {
  if (!has_keys_) {
    for (const AttributeEntry& entry : directory_->attributes) {
      auto& keys = keys_[static_cast<std::size_t>(entry.table)];
      if (keys.empty() || keys.back() != entry.key) keys.push_back(entry.key);
    }
    has_keys_ = true;
  }
  return keys_[static_cast<std::size_t>(table)];
}

Result<Column> BlockGroup::attribute(std::size_t index) {
  const AttributeEntry& entry = directory_->attributes[index];
  if (attributes_.empty()) attributes_.resize(directory_->attributes.size());
  ColumnPtr& values = attributes_[index];
  if (!values) {
    values = file_.find<DecodedColumn>(attribute_item(group_, index));
    if (!values) {
      GANTRY_TRY(values, loader_.load_attribute(entry, counts().rows(entry.table)));
      file_.keep(attribute_item(group_, index), values);
    }
    bytes_read_ += values->stored_bytes;
  }
  return Column{.type = entry.type,
                .is_dense = values->is_dense,
                .rows = values->rows,
                .ids = values->ids,
                .ints = values->ints,
                .doubles = values->doubles,
                .bools = values->bytes,
                .dictionary = values->texts};
}

Result<std::span<const Column>> BlockGroup::columns(const traceql::ColumnKey& key) {
  const auto& attributes = directory_->attributes;
  const auto order = [](const AttributeEntry& entry) { return std::pair(entry.table, entry.key); };
  const auto found = std::ranges::equal_range(attributes, std::pair(key.table, key.key), {}, order);
  const auto first = static_cast<std::size_t>(found.begin() - attributes.begin());
  if (found.empty()) return std::span<const Column>();
  const auto known = columns_.find(first);
  if (known != columns_.end()) return known->second;
  std::vector<Column> columns;
  for (std::size_t index = first; index < first + found.size(); ++index) {
    GANTRY_TRY(Column column, attribute(index));
    columns.push_back(column);
  }
  return columns_.emplace(first, std::move(columns)).first->second;
}

}  // namespace

std::unique_ptr<StoredGroup> make_block_group(const BlockFile& file, std::uint32_t group,
                                              std::shared_ptr<const GroupDirectory> directory) {
  return std::make_unique<BlockGroup>(file, group, std::move(directory));
}

}  // namespace gantry::traces
