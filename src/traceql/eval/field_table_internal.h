#pragma once

// Fields of a group as columns: attributes and intrinsics look the same from here on.

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "core/error.h"
#include "traceql/ast.h"
#include "traceql/eval/trace_facts.h"
#include "traceql/span_source.h"
#include "traceql/static_value.h"

namespace gantry::traceql {

inline constexpr std::uint32_t kNoRow = UINT32_MAX;

/// What a field's rows are.
enum class Level : std::uint8_t { Span, Resource, Event, Link, Scope, Trace };

/// The level that has the table's rows.
[[nodiscard]] Level level_of(Table table);

/// Values by dictionary. The dictionary may hold a text twice.
struct DictionaryValues {
  std::span<const std::uint32_t> ids;
  std::span<const std::string_view> texts;
  /// Of encoded values: what each text means; Nil is no value.
  const std::vector<Static>* decoded = nullptr;
};

/// Values of one type (encoded ones apart), of every row or of some.
struct FieldColumn {
  StaticType type =
      StaticType::Nil;  ///< Of Status, Kind and Bool the values are bytes. Nil: encoded.
  bool is_dense = true;
  std::span<const std::uint32_t> rows;  ///< Unless dense: ascending.
  std::variant<DictionaryValues, std::span<const std::int64_t>, std::span<const double>,
               std::span<const std::uint8_t>, std::span<const telemetry::SpanId>,
               std::span<const telemetry::TraceId>>
      values;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::optional<std::size_t> find(std::uint32_t row) const;
  [[nodiscard]] Static at(std::size_t index) const;  ///< Nil where an encoded value is none.

  [[nodiscard]] std::uint32_t row(std::size_t index) const {
    return is_dense ? static_cast<std::uint32_t>(index) : rows[index];
  }
};

/// A row is in one of the columns at most.
struct Field {
  Level level = Level::Span;
  bool is_duration = false;  ///< An intrinsic of nanoseconds.
  std::vector<FieldColumn> columns;

  [[nodiscard]] Static at(std::uint32_t row) const;  ///< Nil where the row has none.
};

/// Where to look for an attribute, first to last: what an earlier field has hides the later ones.
/// An attribute that no row has is in no field.
using Fields = std::vector<const Field*>;

[[nodiscard]] bool has_level(const Fields& fields, Level level);

/// 0x1F as "000000000000001f".
[[nodiscard]] std::string format_span_id(telemetry::SpanId id);

/// Hexadecimal without leading zeros.
[[nodiscard]] std::string format_trace_id(const telemetry::TraceId& id);

/// Loads what is asked for and keeps it. One thread. Errors: those of the group.
class FieldTable {
 public:
  explicit FieldTable(SpanGroup& group) : group_(group) {}

  FieldTable(const FieldTable&) = delete;
  FieldTable& operator=(const FieldTable&) = delete;

  [[nodiscard]] SpanGroup& group() const { return group_; }

  /// Valid as long as the table.
  Result<const Fields*> find(const Attribute& attribute);

  Result<const TraceFacts*> trace_facts();

  /// Of each resource, service.name; "" where it is missing or no text.
  Result<std::span<const std::string_view>> service_names();

  /// Where the events of each span begin: those of span s are [s], …, [s + 1] - 1.
  Result<std::span<const std::uint32_t>> event_begins();
  Result<std::span<const std::uint32_t>> link_begins();

  [[nodiscard]] std::uint32_t rows(Level level) const;

 private:
  using Key = std::tuple<AttributeScope, Intrinsic, std::string>;

  Result<void> add_attribute(Table table, std::string_view key, Fields& fields);
  Result<void> add_intrinsic(Intrinsic intrinsic, Fields& fields);
  Result<void> add_span_intrinsic(Intrinsic intrinsic, Fields& fields);
  Result<void> add_trace_intrinsic(Intrinsic intrinsic, Fields& fields);
  Result<void> add_nested_set(Intrinsic intrinsic, Fields& fields);
  Result<void> add_child_counts(Fields& fields);
  Result<void> add_event_times(Fields& fields);
  FieldColumn& add(Level level, StaticType type, Fields& fields);
  void add_text(Level level, const TextColumn& column, Fields& fields);
  Field& new_field(Level level, Fields& fields);
  void add_missing_service_names(Field& field);

  SpanGroup& group_;
  std::map<Key, Fields> found_;
  std::deque<Field> fields_;

  // What fields point into.
  std::deque<std::vector<Static>> decoded_;
  std::deque<std::vector<std::int64_t>> integers_;
  std::deque<std::vector<std::uint32_t>> numbers_;
  std::deque<std::vector<std::string_view>> texts_;

  std::optional<TraceFacts> trace_facts_;
  std::optional<std::vector<std::string_view>> service_names_;
  std::optional<std::vector<std::uint32_t>> event_begins_;
  std::optional<std::vector<std::uint32_t>> link_begins_;
};

}  // namespace gantry::traceql
