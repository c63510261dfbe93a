#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "traceql/eval/any_value.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/nested_sets.h"

namespace gantry::traceql {

namespace {

constexpr std::array<std::pair<AttributeScope, Table>, kTableCount> kLookupOrder = {{
    {AttributeScope::Span, Table::Span},
    {AttributeScope::Resource, Table::Resource},
    {AttributeScope::Event, Table::Event},
    {AttributeScope::Link, Table::Link},
    {AttributeScope::Instrumentation, Table::Instrumentation},
}};

/// Clocks may say anything; sums must not overflow.
std::int64_t end_of(std::int64_t start_ns, std::int64_t duration_ns) {
  constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max();
  return start_ns > kLatest - duration_ns ? kLatest : start_ns + duration_ns;
}

std::vector<std::uint32_t> begins(std::span<const std::uint32_t> owners, std::uint32_t spans) {
  std::vector<std::uint32_t> begin(spans + 1, 0);
  for (const std::uint32_t span : owners) ++begin[span + 1];
  for (std::size_t s = 1; s < begin.size(); ++s) begin[s] += begin[s - 1];
  return begin;
}

}  // namespace

Level level_of(Table table) {
  switch (table) {
    case Table::Span:
      return Level::Span;
    case Table::Resource:
      return Level::Resource;
    case Table::Event:
      return Level::Event;
    case Table::Link:
      return Level::Link;
    case Table::Instrumentation:
      return Level::Scope;
  }
  return Level::Span;
}

std::size_t FieldColumn::size() const {
  return std::visit(
      [](const auto& held) -> std::size_t {
        if constexpr (requires { held.ids; }) {
          return held.ids.size();
        } else {
          return held.size();
        }
      },
      values);
}

std::optional<std::size_t> FieldColumn::find(std::uint32_t row) const {
  if (is_dense) return row;
  const auto found = std::ranges::lower_bound(rows, row);
  if (found == rows.end() || *found != row) return std::nullopt;
  return static_cast<std::size_t>(found - rows.begin());
}

namespace {

struct ValueAt {
  StaticType type;
  std::size_t index;

  Static operator()(const DictionaryValues& held) const {
    const std::uint32_t id = held.ids[index];
    if (held.decoded != nullptr) return (*held.decoded)[id];
    return Static::of_string(std::string(held.texts[id]));
  }

  Static operator()(std::span<const std::int64_t> held) const {
    return type == StaticType::Duration ? Static::of_duration(held[index])
                                        : Static::of_int(held[index]);
  }

  Static operator()(std::span<const double> held) const { return Static::of_float(held[index]); }

  Static operator()(std::span<const std::uint8_t> held) const {
    if (type == StaticType::Status) return Static::of_status(held[index]);
    if (type == StaticType::Kind) return Static::of_kind(held[index]);
    return Static::of_bool(held[index] != 0);
  }

  Static operator()(std::span<const telemetry::SpanId> held) const {
    return Static::of_string(format_span_id(held[index]));
  }

  Static operator()(std::span<const telemetry::TraceId> held) const {
    return Static::of_string(format_trace_id(held[index]));
  }
};

}  // namespace

Static FieldColumn::at(std::size_t index) const {
  return std::visit(ValueAt{.type = type, .index = index}, values);
}

Static Field::at(std::uint32_t row) const {
  for (const FieldColumn& column : columns) {
    if (const std::optional<std::size_t> index = column.find(row)) return column.at(*index);
  }
  return Static::nil();
}

bool has_level(const Fields& fields, Level level) {
  return std::ranges::any_of(fields, [&](const Field* field) { return field->level == level; });
}

std::string format_span_id(telemetry::SpanId id) {
  std::string text(16, '0');
  for (std::size_t i = 0; i < text.size(); ++i) {
    text[15 - i] = "0123456789abcdef"[id >> (4 * i) & 0xF];
  }
  return text;
}

std::string format_trace_id(const telemetry::TraceId& id) {
  std::string text;
  for (const std::uint8_t byte : id.bytes) {
    for (const int digit : {byte >> 4, byte & 0xF}) {
      if (digit != 0 || !text.empty()) text += "0123456789abcdef"[digit];
    }
  }
  return text;
}

std::uint32_t FieldTable::rows(Level level) const {
  const GroupCounts& counts = group_.counts();
  switch (level) {
    case Level::Span:
      return counts.spans;
    case Level::Resource:
      return counts.resources;
    case Level::Event:
      return counts.events;
    case Level::Link:
      return counts.links;
    case Level::Scope:
      return counts.scopes;
    case Level::Trace:
      return counts.traces;
  }
  return 0;
}

Result<const Fields*> FieldTable::find(const Attribute& attribute) {
  Key key{attribute.scope, attribute.intrinsic, attribute.name};
  if (attribute.intrinsic != Intrinsic::None) std::get<0>(key) = AttributeScope::None;
  const auto found = found_.find(key);
  if (found != found_.end()) return &found->second;
  Fields fields;
  if (attribute.intrinsic != Intrinsic::None) {
    GANTRY_CHECK(add_intrinsic(attribute.intrinsic, fields));
  } else {
    for (const auto& [scope, table] : kLookupOrder) {
      if (attribute.scope == AttributeScope::None || attribute.scope == scope) {
        GANTRY_CHECK(add_attribute(table, attribute.name, fields));
      }
    }
  }
  return &found_.emplace(std::move(key), std::move(fields)).first->second;
}

Field& FieldTable::new_field(Level level, Fields& fields) {
  Field& field = fields_.emplace_back();
  field.level = level;
  fields.push_back(&field);
  return field;
}

FieldColumn& FieldTable::add(Level level, StaticType type, Fields& fields) {
  Field& field = new_field(level, fields);
  field.is_duration = type == StaticType::Duration;
  FieldColumn& column = field.columns.emplace_back();
  column.type = type;
  return column;
}

void FieldTable::add_text(Level level, const TextColumn& column, Fields& fields) {
  add(level, StaticType::String, fields).values =
      DictionaryValues{.ids = column.ids, .texts = column.dictionary};
}

Result<void> FieldTable::add_attribute(Table table, std::string_view key, Fields& fields) {
  GANTRY_TRY(const std::span<const Column> columns, group_.columns({.table = table, .key = key}));
  const bool is_service = table == Table::Resource && key == "service.name";
  if (columns.empty() && !is_service) return {};
  Field field{.level = level_of(table)};
  for (const Column& from : columns) {
    if (from.size() == 0) continue;
    FieldColumn column{.is_dense = from.is_dense, .rows = from.rows};
    switch (from.type) {
      case ColumnType::String:
        column.type = StaticType::String;
        column.values = DictionaryValues{.ids = from.ids, .texts = from.dictionary};
        break;
      case ColumnType::Int:
        column.type = StaticType::Int;
        column.values = from.ints;
        break;
      case ColumnType::Double:
        column.type = StaticType::Float;
        column.values = from.doubles;
        break;
      case ColumnType::Bool:
        column.type = StaticType::Bool;
        column.values = from.bools;
        break;
      case ColumnType::Encoded: {
        std::vector<Static>& decoded = decoded_.emplace_back();
        decoded.reserve(from.dictionary.size());
        for (const std::string_view bytes : from.dictionary) {
          decoded.push_back(decode_any_value(bytes));
        }
        column.values =
            DictionaryValues{.ids = from.ids, .texts = from.dictionary, .decoded = &decoded};
        break;
      }
    }
    field.columns.push_back(column);
  }
  if (is_service) add_missing_service_names(field);
  if (!field.columns.empty()) fields.push_back(&fields_.emplace_back(std::move(field)));
  return {};
}

/// Tempo stores "" for a resource without a name, and so every span has one.
void FieldTable::add_missing_service_names(Field& field) {
  std::vector<std::uint32_t> missing;
  for (std::uint32_t row = 0; row < group_.counts().resources; ++row) {
    const bool has_value = std::ranges::any_of(
        field.columns, [&](const FieldColumn& column) { return column.find(row).has_value(); });
    if (!has_value) missing.push_back(row);
  }
  if (missing.empty()) return;
  const std::vector<std::uint32_t>& ids = numbers_.emplace_back(missing.size(), 0);
  const std::vector<std::string_view>& texts = texts_.emplace_back(1, std::string_view());
  FieldColumn column{.type = StaticType::String, .is_dense = false};
  column.rows = numbers_.emplace_back(std::move(missing));
  column.values = DictionaryValues{.ids = ids, .texts = texts};
  field.columns.push_back(column);
}

Result<void> FieldTable::add_intrinsic(Intrinsic intrinsic, Fields& fields) {
  switch (intrinsic) {
    case Intrinsic::NestedSetLeft:
    case Intrinsic::NestedSetRight:
    case Intrinsic::NestedSetParent:
      return add_nested_set(intrinsic, fields);
    case Intrinsic::ChildCount:
      return add_child_counts(fields);
    case Intrinsic::TraceId:
    case Intrinsic::TraceDuration:
    case Intrinsic::RootName:
    case Intrinsic::RootServiceName:
      return add_trace_intrinsic(intrinsic, fields);
    case Intrinsic::EventTimeSinceStart:
      return add_event_times(fields);
    case Intrinsic::EventName: {
      GANTRY_TRY(const TextColumn names, group_.event_names());
      add_text(Level::Event, names, fields);
      return {};
    }
    case Intrinsic::LinkTraceId: {
      GANTRY_TRY(const auto ids, group_.link_trace_ids());
      add(Level::Link, StaticType::String, fields).values = ids;
      return {};
    }
    case Intrinsic::LinkSpanId: {
      GANTRY_TRY(const auto ids, group_.link_span_ids());
      add(Level::Link, StaticType::String, fields).values = ids;
      return {};
    }
    case Intrinsic::InstrumentationName: {
      GANTRY_TRY(const TextColumn names, group_.scope_names());
      add_text(Level::Scope, names, fields);
      return {};
    }
    case Intrinsic::InstrumentationVersion: {
      GANTRY_TRY(const TextColumn versions, group_.scope_versions());
      add_text(Level::Scope, versions, fields);
      return {};
    }
    default:
      return add_span_intrinsic(intrinsic, fields);
  }
}

Result<void> FieldTable::add_span_intrinsic(Intrinsic intrinsic, Fields& fields) {
  switch (intrinsic) {
    case Intrinsic::Name: {
      GANTRY_TRY(const TextColumn names, group_.names());
      add_text(Level::Span, names, fields);
      return {};
    }
    case Intrinsic::StatusMessage: {
      GANTRY_TRY(const TextColumn messages, group_.status_messages());
      add_text(Level::Span, messages, fields);
      return {};
    }
    case Intrinsic::Duration: {
      GANTRY_TRY(const auto durations, group_.durations_ns());
      add(Level::Span, StaticType::Duration, fields).values = durations;
      return {};
    }
    case Intrinsic::Status: {
      GANTRY_TRY(const auto statuses, group_.statuses());
      add(Level::Span, StaticType::Status, fields).values = statuses;
      return {};
    }
    case Intrinsic::Kind: {
      GANTRY_TRY(const auto kinds, group_.kinds());
      add(Level::Span, StaticType::Kind, fields).values = kinds;
      return {};
    }
    case Intrinsic::SpanId: {
      GANTRY_TRY(const auto ids, group_.span_ids());
      add(Level::Span, StaticType::String, fields).values = ids;
      return {};
    }
    case Intrinsic::ParentId: {
      GANTRY_TRY(const auto ids, group_.parent_ids());
      add(Level::Span, StaticType::String, fields).values = ids;
      return {};
    }
    default:
      return fail(Code::Internal, "no field for an intrinsic");
  }
}

Result<void> FieldTable::add_nested_set(Intrinsic intrinsic, Fields& fields) {
  GANTRY_TRY(const NestedSets sets, group_.nested_sets());
  std::span<const std::int32_t> from = sets.left;
  if (intrinsic == Intrinsic::NestedSetRight) from = sets.right;
  if (intrinsic == Intrinsic::NestedSetParent) from = sets.parent;
  add(Level::Span, StaticType::Int, fields).values =
      std::span<const std::int64_t>(integers_.emplace_back(from.begin(), from.end()));
  return {};
}

Result<void> FieldTable::add_child_counts(Fields& fields) {
  GANTRY_TRY(const SpanGroup::TraceRows traces, group_.trace_rows());
  GANTRY_TRY(const auto ids, group_.span_ids());
  GANTRY_TRY(const auto parents, group_.parent_ids());
  GANTRY_TRY(const auto kinds, group_.kinds());
  std::vector<std::int64_t>& counts = integers_.emplace_back(ids.size(), 0);
  NestedSetNumbering numbering;
  for (std::uint32_t trace = 0; trace < group_.counts().traces; ++trace) {
    numbering.count_children(traces.of(trace), ids, parents, kinds, counts);
  }
  add(Level::Span, StaticType::Int, fields).values = std::span<const std::int64_t>(counts);
  return {};
}

Result<void> FieldTable::add_event_times(Fields& fields) {
  GANTRY_TRY(const auto times, group_.event_times_ns());
  GANTRY_TRY(const auto spans, group_.event_spans());
  GANTRY_TRY(const auto starts, group_.starts_ns());
  std::vector<std::int64_t>& since = integers_.emplace_back(times.begin(), times.end());
  for (std::size_t e = 0; e < since.size(); ++e) since[e] -= starts[spans[e]];
  add(Level::Event, StaticType::Duration, fields).values = std::span<const std::int64_t>(since);
  return {};
}

Result<void> FieldTable::add_trace_intrinsic(Intrinsic intrinsic, Fields& fields) {
  if (intrinsic == Intrinsic::TraceId) {
    GANTRY_TRY(const auto ids, group_.trace_ids());
    add(Level::Trace, StaticType::String, fields).values = ids;
    return {};
  }
  GANTRY_TRY(const TraceFacts* facts, trace_facts());
  if (intrinsic == Intrinsic::TraceDuration) {
    add(Level::Trace, StaticType::Duration, fields).values =
        std::span<const std::int64_t>(facts->durations_ns);
    return {};
  }
  std::vector<std::uint32_t>& ids = numbers_.emplace_back();
  std::vector<std::string_view>& texts = texts_.emplace_back();
  std::span<const std::uint32_t> text_of_span;
  if (intrinsic == Intrinsic::RootName) {
    GANTRY_TRY(const TextColumn names, group_.names());
    texts.assign(names.dictionary.begin(), names.dictionary.end());
    text_of_span = names.ids;
  } else {
    GANTRY_TRY(const std::span<const std::string_view> names, service_names());
    GANTRY_TRY(text_of_span, group_.resources());
    texts.assign(names.begin(), names.end());
  }
  texts.emplace_back();  // of a trace without root
  const auto none = static_cast<std::uint32_t>(texts.size() - 1);
  for (const std::uint32_t root : facts->roots) {
    ids.push_back(root == TraceFacts::kNoRoot ? none : text_of_span[root]);
  }
  add(Level::Trace, StaticType::String, fields).values =
      DictionaryValues{.ids = ids, .texts = texts};
  return {};
}

Result<const TraceFacts*> FieldTable::trace_facts() {
  if (trace_facts_) return &*trace_facts_;
  GANTRY_TRY(const auto traces, group_.traces());
  GANTRY_TRY(const auto starts, group_.starts_ns());
  GANTRY_TRY(const auto durations, group_.durations_ns());
  GANTRY_TRY(const auto parents, group_.parent_ids());
  const std::uint32_t count = group_.counts().traces;
  TraceFacts facts;
  facts.starts_ns.assign(count, std::numeric_limits<std::int64_t>::max());
  facts.roots.assign(count, TraceFacts::kNoRoot);
  std::vector<std::int64_t> ends(count, std::numeric_limits<std::int64_t>::min());
  for (std::uint32_t row = 0; row < traces.size(); ++row) {
    const std::uint32_t trace = traces[row];
    facts.starts_ns[trace] = std::min(facts.starts_ns[trace], starts[row]);
    ends[trace] = std::max(ends[trace], end_of(starts[row], durations[row]));
    if (parents[row] == 0 && facts.roots[trace] == TraceFacts::kNoRoot) facts.roots[trace] = row;
  }
  for (std::uint32_t trace = 0; trace < count; ++trace) {
    facts.durations_ns.push_back(ends[trace] - facts.starts_ns[trace]);
  }
  trace_facts_ = std::move(facts);
  return &*trace_facts_;
}

Result<std::span<const std::string_view>> FieldTable::service_names() {
  if (!service_names_) {
    GANTRY_TRY(const Fields* fields,
               find({.scope = AttributeScope::Resource, .name = "service.name"}));
    std::vector<std::string_view> names(group_.counts().resources);
    for (const Field* field : *fields) {
      for (const FieldColumn& column : field->columns) {
        const auto* held = std::get_if<DictionaryValues>(&column.values);
        if (held == nullptr || held->decoded != nullptr) continue;
        for (std::size_t i = 0; i < held->ids.size(); ++i) {
          names[column.row(i)] = held->texts[held->ids[i]];
        }
      }
    }
    service_names_ = std::move(names);
  }
  return std::span<const std::string_view>(*service_names_);
}

Result<std::span<const std::uint32_t>> FieldTable::event_begins() {
  if (!event_begins_) {
    GANTRY_TRY(const auto spans, group_.event_spans());
    event_begins_ = begins(spans, group_.counts().spans);
  }
  return std::span<const std::uint32_t>(*event_begins_);
}

Result<std::span<const std::uint32_t>> FieldTable::link_begins() {
  if (!link_begins_) {
    GANTRY_TRY(const auto spans, group_.link_spans());
    link_begins_ = begins(spans, group_.counts().spans);
  }
  return std::span<const std::uint32_t>(*link_begins_);
}

}  // namespace gantry::traceql
