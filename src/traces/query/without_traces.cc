#include "traces/query/without_traces.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace gantry::traces {
namespace {

using telemetry::SpanId;
using telemetry::TraceId;
using traceql::Column;
using traceql::Table;
using traceql::TextColumn;

constexpr std::uint32_t kGone = ~std::uint32_t{0};

/// Which rows of a table stay, and where they are then.
struct RowMap {
  std::vector<std::uint32_t> kept;  ///< Ascending.
  std::vector<std::uint32_t> now;   ///< By the row before; kGone: not kept.

  template <class IsKept>
  static RowMap make(std::uint32_t rows, const IsKept& is_kept) {
    RowMap map;
    map.now.assign(rows, kGone);
    for (std::uint32_t row = 0; row < rows; ++row) {
      if (!is_kept(row)) continue;
      map.now[row] = static_cast<std::uint32_t>(map.kept.size());
      map.kept.push_back(row);
    }
    return map;
  }

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(kept.size()); }
};

struct RowMaps {
  RowMap traces;
  RowMap spans;
  RowMap resources;
  RowMap scopes;
  RowMap events;
  RowMap links;

  [[nodiscard]] const RowMap& of(Table table) const {
    switch (table) {
      case Table::Span:
        break;
      case Table::Resource:
        return resources;
      case Table::Event:
        return events;
      case Table::Link:
        return links;
      case Table::Instrumentation:
        return scopes;
    }
    return spans;
  }
};

/// The rows of a table that kept spans refer to.
RowMap referred_rows(std::uint32_t rows, std::span<const std::uint32_t> column,
                     const RowMap& spans) {
  std::vector<bool> is_used(rows);
  for (const std::uint32_t span : spans.kept) is_used[column[span]] = true;
  return RowMap::make(rows, [&](std::uint32_t row) { return is_used[row]; });
}

Result<RowMaps> make_maps(StoredGroup& group, std::span<const std::uint32_t> hidden) {
  const traceql::GroupCounts& counts = group.counts();
  RowMaps maps;
  maps.traces = RowMap::make(counts.traces, [&](std::uint32_t trace) {
    return !std::ranges::binary_search(hidden, trace);
  });
  GANTRY_TRY(const auto traces, group.traces());
  maps.spans = RowMap::make(
      counts.spans, [&](std::uint32_t row) { return maps.traces.now[traces[row]] != kGone; });
  GANTRY_TRY(const auto resources, group.resources());
  maps.resources = referred_rows(counts.resources, resources, maps.spans);
  GANTRY_TRY(const auto scopes, group.scopes());
  maps.scopes = referred_rows(counts.scopes, scopes, maps.spans);
  GANTRY_TRY(const auto events, group.event_spans());
  maps.events = RowMap::make(
      counts.events, [&](std::uint32_t row) { return maps.spans.now[events[row]] != kGone; });
  GANTRY_TRY(const auto links, group.link_spans());
  maps.links = RowMap::make(counts.links,
                            [&](std::uint32_t row) { return maps.spans.now[links[row]] != kGone; });
  return maps;
}

template <class T>
std::vector<T> gather(std::span<const T> column, const RowMap& map) {
  std::vector<T> out(map.kept.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = column[map.kept[i]];
  return out;
}

/// The values of a sparse column that stay: positions in it, with their new rows.
struct KeptValues {
  std::vector<std::uint32_t> rows;
  std::vector<std::size_t> at;

  KeptValues(std::span<const std::uint32_t> column_rows, const RowMap& map) {
    for (std::size_t i = 0; i < column_rows.size(); ++i) {
      const std::uint32_t row = map.now[column_rows[i]];
      if (row == kGone) continue;
      rows.push_back(row);
      at.push_back(i);
    }
  }

  template <class T>
  [[nodiscard]] std::vector<T> pick(std::span<const T> values) const {
    std::vector<T> out;
    if (values.empty()) return out;
    out.reserve(at.size());
    for (const std::size_t i : at) out.push_back(values[i]);
    return out;
  }
};

/// What a copied attribute column consists of.
struct CopiedColumn {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> ids;
  std::vector<std::int64_t> ints;
  std::vector<double> doubles;
  std::vector<std::uint8_t> bools;

  CopiedColumn(const Column& column, const RowMap& map) {
    if (column.is_dense) {
      const auto copy = [&]<class T>(std::span<const T> values, std::vector<T>& out) {
        if (!values.empty()) out = gather(values, map);
      };
      copy(column.ids, ids);
      copy(column.ints, ints);
      copy(column.doubles, doubles);
      copy(column.bools, bools);
      return;
    }
    KeptValues kept(column.rows, map);
    ids = kept.pick(column.ids);
    ints = kept.pick(column.ints);
    doubles = kept.pick(column.doubles);
    bools = kept.pick(column.bools);
    rows = std::move(kept.rows);
  }
};

enum class Slot : std::uint8_t {
  Traces,
  SpanIds,
  ParentIds,
  Starts,
  Durations,
  Ends,
  Kinds,
  Statuses,
  Names,
  StatusMessages,
  TraceStates,
  Resources,
  Scopes,
  Flags,
  DroppedAttributes,
  DroppedEvents,
  DroppedLinks,
  Left,
  Right,
  Parent,
  TraceIds,
  ResourceSchemaUrls,
  ResourceDropped,
  ScopeNames,
  ScopeVersions,
  ScopeSchemaUrls,
  ScopeDropped,
  EventSpans,
  EventTimes,
  EventNames,
  EventDropped,
  LinkSpans,
  LinkTraceIds,
  LinkSpanIds,
  LinkTraceStates,
  LinkFlags,
  LinkDropped,
};

class GroupWithoutTraces final : public StoredGroup {
 public:
  GroupWithoutTraces(std::unique_ptr<StoredGroup> group, RowMaps maps)
      : group_(std::move(group)),
        maps_(std::move(maps)),
        counts_{.spans = maps_.spans.size(),
                .traces = maps_.traces.size(),
                .resources = maps_.resources.size(),
                .scopes = maps_.scopes.size(),
                .events = maps_.events.size(),
                .links = maps_.links.size()} {}

  [[nodiscard]] const traceql::GroupCounts& counts() const override { return counts_; }

  [[nodiscard]] std::uint64_t bytes_read() const override { return group_->bytes_read(); }

  Result<std::span<const std::uint32_t>> traces() override {
    return references(Slot::Traces, &StoredGroup::traces, maps_.spans, maps_.traces);
  }

  Result<std::span<const SpanId>> span_ids() override {
    return numbers(Slot::SpanIds, &StoredGroup::span_ids, maps_.spans);
  }

  Result<std::span<const SpanId>> parent_ids() override {
    return numbers(Slot::ParentIds, &StoredGroup::parent_ids, maps_.spans);
  }

  Result<std::span<const std::int64_t>> starts_ns() override {
    return numbers(Slot::Starts, &StoredGroup::starts_ns, maps_.spans);
  }

  Result<std::span<const std::int64_t>> durations_ns() override {
    return numbers(Slot::Durations, &StoredGroup::durations_ns, maps_.spans);
  }

  Result<std::span<const std::uint64_t>> ends_ns() override {
    return numbers(Slot::Ends, &StoredGroup::ends_ns, maps_.spans);
  }

  Result<std::span<const std::uint8_t>> kinds() override {
    return numbers(Slot::Kinds, &StoredGroup::kinds, maps_.spans);
  }

  Result<std::span<const std::uint8_t>> statuses() override {
    return numbers(Slot::Statuses, &StoredGroup::statuses, maps_.spans);
  }

  Result<TextColumn> names() override {
    return texts(Slot::Names, &StoredGroup::names, maps_.spans);
  }

  Result<TextColumn> status_messages() override {
    return texts(Slot::StatusMessages, &StoredGroup::status_messages, maps_.spans);
  }

  Result<TextColumn> trace_states() override {
    return texts(Slot::TraceStates, &StoredGroup::trace_states, maps_.spans);
  }

  Result<std::span<const std::uint32_t>> resources() override {
    return references(Slot::Resources, &StoredGroup::resources, maps_.spans, maps_.resources);
  }

  Result<std::span<const std::uint32_t>> scopes() override {
    return references(Slot::Scopes, &StoredGroup::scopes, maps_.spans, maps_.scopes);
  }

  Result<RareNumbers> flags() override {
    return rare(Slot::Flags, &StoredGroup::flags, maps_.spans);
  }

  Result<RareNumbers> dropped_attributes() override {
    return rare(Slot::DroppedAttributes, &StoredGroup::dropped_attributes, maps_.spans);
  }

  Result<RareNumbers> dropped_events() override {
    return rare(Slot::DroppedEvents, &StoredGroup::dropped_events, maps_.spans);
  }

  Result<RareNumbers> dropped_links() override {
    return rare(Slot::DroppedLinks, &StoredGroup::dropped_links, maps_.spans);
  }

  /// Traces stay whole, and the numbers are those of one trace.
  Result<traceql::NestedSets> nested_sets() override {
    auto& kept = std::get<std::map<Slot, std::vector<std::int32_t>>>(kept_);
    if (!kept.contains(Slot::Left)) {
      GANTRY_TRY(const traceql::NestedSets sets, group_->nested_sets());
      kept[Slot::Left] = gather(sets.left, maps_.spans);
      kept[Slot::Right] = gather(sets.right, maps_.spans);
      kept[Slot::Parent] = gather(sets.parent, maps_.spans);
    }
    return traceql::NestedSets{
        .left = kept[Slot::Left], .right = kept[Slot::Right], .parent = kept[Slot::Parent]};
  }

  Result<std::span<const TraceId>> trace_ids() override {
    return numbers(Slot::TraceIds, &StoredGroup::trace_ids, maps_.traces);
  }

  Result<TextColumn> resource_schema_urls() override {
    return texts(Slot::ResourceSchemaUrls, &StoredGroup::resource_schema_urls, maps_.resources);
  }

  Result<RareNumbers> resource_dropped_attributes() override {
    return rare(Slot::ResourceDropped, &StoredGroup::resource_dropped_attributes, maps_.resources);
  }

  Result<TextColumn> scope_names() override {
    return texts(Slot::ScopeNames, &StoredGroup::scope_names, maps_.scopes);
  }

  Result<TextColumn> scope_versions() override {
    return texts(Slot::ScopeVersions, &StoredGroup::scope_versions, maps_.scopes);
  }

  Result<TextColumn> scope_schema_urls() override {
    return texts(Slot::ScopeSchemaUrls, &StoredGroup::scope_schema_urls, maps_.scopes);
  }

  Result<RareNumbers> scope_dropped_attributes() override {
    return rare(Slot::ScopeDropped, &StoredGroup::scope_dropped_attributes, maps_.scopes);
  }

  Result<std::span<const std::uint32_t>> event_spans() override {
    return references(Slot::EventSpans, &StoredGroup::event_spans, maps_.events, maps_.spans);
  }

  Result<std::span<const std::int64_t>> event_times_ns() override {
    return numbers(Slot::EventTimes, &StoredGroup::event_times_ns, maps_.events);
  }

  Result<TextColumn> event_names() override {
    return texts(Slot::EventNames, &StoredGroup::event_names, maps_.events);
  }

  Result<RareNumbers> event_dropped_attributes() override {
    return rare(Slot::EventDropped, &StoredGroup::event_dropped_attributes, maps_.events);
  }

  Result<std::span<const std::uint32_t>> link_spans() override {
    return references(Slot::LinkSpans, &StoredGroup::link_spans, maps_.links, maps_.spans);
  }

  Result<std::span<const TraceId>> link_trace_ids() override {
    return numbers(Slot::LinkTraceIds, &StoredGroup::link_trace_ids, maps_.links);
  }

  Result<std::span<const SpanId>> link_span_ids() override {
    return numbers(Slot::LinkSpanIds, &StoredGroup::link_span_ids, maps_.links);
  }

  Result<TextColumn> link_trace_states() override {
    return texts(Slot::LinkTraceStates, &StoredGroup::link_trace_states, maps_.links);
  }

  Result<RareNumbers> link_flags() override {
    return rare(Slot::LinkFlags, &StoredGroup::link_flags, maps_.links);
  }

  Result<RareNumbers> link_dropped_attributes() override {
    return rare(Slot::LinkDropped, &StoredGroup::link_dropped_attributes, maps_.links);
  }

  Result<std::span<const std::string_view>> keys(Table table) override {
    return group_->keys(table);
  }

  Result<std::span<const Column>> columns(const traceql::ColumnKey& key) override;

 private:
  template <class T>
  using Accessor = Result<T> (StoredGroup::*)();

  /// `convert` makes the copy of the group's column.
  template <class T, class Convert>
  Result<std::span<const T>> kept(Slot slot, Accessor<std::span<const T>> accessor,
                                  const Convert& convert) {
    auto& kept = std::get<std::map<Slot, std::vector<T>>>(kept_);
    const auto found = kept.find(slot);
    if (found != kept.end()) return found->second;
    GANTRY_TRY(const std::span<const T> column, ((*group_).*accessor)());
    return kept[slot] = convert(column);
  }

  template <class T, class Owner>
  Result<std::span<const T>> numbers(Slot slot, Result<std::span<const T>> (Owner::*accessor)(),
                                     const RowMap& map) {
    return kept<T>(slot, accessor, [&](std::span<const T> column) { return gather(column, map); });
  }

  /// A column of row numbers of another table.
  Result<std::span<const std::uint32_t>> references(
      Slot slot, Accessor<std::span<const std::uint32_t>> accessor, const RowMap& map,
      const RowMap& target) {
    return kept<std::uint32_t>(slot, accessor, [&](std::span<const std::uint32_t> column) {
      std::vector<std::uint32_t> rows = gather(column, map);
      for (std::uint32_t& row : rows) row = target.now[row];
      return rows;
    });
  }

  Result<TextColumn> texts(Slot slot, Accessor<TextColumn> accessor, const RowMap& map) {
    GANTRY_TRY(const TextColumn column, ((*group_).*accessor)());
    auto& kept = std::get<std::map<Slot, std::vector<std::uint32_t>>>(kept_);
    const auto [ids, is_new] = kept.try_emplace(slot);
    if (is_new) ids->second = gather(column.ids, map);
    return TextColumn{.ids = ids->second, .dictionary = column.dictionary};
  }

  Result<RareNumbers> rare(Slot slot, Accessor<RareNumbers> accessor, const RowMap& map) {
    GANTRY_TRY(const RareNumbers numbers, ((*group_).*accessor)());
    const auto [copy, is_new] = rare_.try_emplace(slot);
    if (is_new) {
      KeptValues kept(numbers.rows, map);
      copy->second.second = kept.pick(numbers.values);
      copy->second.first = std::move(kept.rows);
    }
    return RareNumbers{.rows = copy->second.first, .values = copy->second.second};
  }

  struct Copies {
    std::vector<CopiedColumn> copied;
    std::vector<Column> columns;
  };

  const std::unique_ptr<StoredGroup> group_;
  const RowMaps maps_;
  const traceql::GroupCounts counts_;
  std::tuple<std::map<Slot, std::vector<std::uint8_t>>, std::map<Slot, std::vector<std::int32_t>>,
             std::map<Slot, std::vector<std::uint32_t>>, std::map<Slot, std::vector<std::int64_t>>,
             std::map<Slot, std::vector<std::uint64_t>>, std::map<Slot, std::vector<TraceId>>>
      kept_;
  std::map<Slot, std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>>> rare_;
  std::array<std::map<std::string, Copies, std::less<>>, traceql::kTableCount> attributes_;
};

Result<std::span<const Column>> GroupWithoutTraces::columns(const traceql::ColumnKey& key) {
  auto& opened = attributes_[static_cast<std::size_t>(key.table)];
  const auto found = opened.find(key.key);
  if (found != opened.end()) return found->second.columns;
  GANTRY_TRY(const auto columns, group_->columns(key));
  const RowMap& map = maps_.of(key.table);
  Copies copies;
  copies.copied.reserve(columns.size());
  for (const Column& column : columns) {
    const CopiedColumn& copy = copies.copied.emplace_back(column, map);
    Column out{.type = column.type,
               .rows = copy.rows,
               .ids = copy.ids,
               .ints = copy.ints,
               .doubles = copy.doubles,
               .bools = copy.bools,
               .dictionary = column.dictionary};
    if (out.size() == 0) continue;
    out.is_dense = out.size() == map.size();
    if (out.is_dense) out.rows = {};
    copies.columns.push_back(out);
  }
  return opened.emplace(key.key, std::move(copies)).first->second.columns;
}

}  // namespace

Result<std::unique_ptr<StoredGroup>> without_traces(std::unique_ptr<StoredGroup> group,
                                                    std::span<const std::uint32_t> hidden) {
  if (hidden.empty()) return group;
  GANTRY_TRY(RowMaps maps, make_maps(*group, hidden));
  return std::make_unique<GroupWithoutTraces>(std::move(group), std::move(maps));
}

Result<std::vector<std::uint32_t>> rows_of_traces(StoredGroup& group,
                                                  std::span<const std::uint32_t> traces) {
  std::vector<bool> is_wanted(group.counts().traces);
  for (const std::uint32_t trace : traces) is_wanted[trace] = true;
  GANTRY_TRY(const auto column, group.traces());
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < column.size(); ++row) {
    if (is_wanted[column[row]]) rows.push_back(row);
  }
  return rows;
}

}  // namespace gantry::traces
