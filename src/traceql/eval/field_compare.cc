#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "traceql/eval/field_compare_internal.h"

namespace gantry::traceql {

namespace {

/// Hot: per value. Adds the rows of the column for whose index `holds` is true.
template <class Predicate>
void select(const FieldColumn& column, std::size_t size, RowSet& out, Predicate&& holds) {
  const std::span<std::uint64_t> words = out.words();
  if (column.is_dense) {
    for (std::size_t begin = 0; begin < size; begin += 64) {
      const std::size_t end = std::min(begin + 64, size);
      std::uint64_t word = 0;
      for (std::size_t i = begin; i < end; ++i) {
        word |= static_cast<std::uint64_t>(holds(i)) << (i - begin);
      }
      words[begin / 64] |= word;
    }
    return;
  }
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint32_t row = column.rows[i];
    words[row / 64] |= static_cast<std::uint64_t>(holds(i)) << (row % 64);
  }
}

/// The comparison is chosen once, not per value.
template <class Visit>
void with_comparison(FieldOp op, Visit&& visit) {
  switch (op) {
    case FieldOp::Equal:
      return visit([](const auto& a, const auto& b) { return a == b; });
    case FieldOp::NotEqual:
      return visit([](const auto& a, const auto& b) { return a != b; });
    case FieldOp::Less:
      return visit([](const auto& a, const auto& b) { return a < b; });
    case FieldOp::LessOrEqual:
      return visit([](const auto& a, const auto& b) { return a <= b; });
    case FieldOp::Greater:
      return visit([](const auto& a, const auto& b) { return a > b; });
    case FieldOp::GreaterOrEqual:
      return visit([](const auto& a, const auto& b) { return a >= b; });
    default:  // Texts only; no other type matches them.
      return;
  }
}

bool holds(const Condition& condition, const Static& value) {
  const std::optional<Static> outcome =
      apply(condition.op, value, condition.literal, condition.pattern);
  return outcome && outcome->boolean;
}

/// An id in lower-case hexadecimal, with or without leading zeros; nothing if the text is none.
std::optional<telemetry::TraceId> parse_id(std::string_view text) {
  const std::size_t digits_at = std::min(text.find_first_not_of('0'), text.size());
  text.remove_prefix(digits_at);
  telemetry::TraceId id;
  if (text.size() > 2 * id.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[text.size() - 1 - i];
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    id.bytes[15 - i / 2] |= static_cast<std::uint8_t>(digit << (i % 2 * 4));
  }
  return id;
}

/// Matches one column; a visitor over its values.
struct ColumnMatcher {
  const FieldColumn& column;
  const Condition& condition;
  RowSet& out;

  void operator()(const DictionaryValues& held) const {
    if (held.decoded == nullptr && condition.literal.type != StaticType::String) return;
    std::vector<std::uint8_t> matches(held.texts.size());
    bool has_match = false;
    for (std::size_t id = 0; id < matches.size(); ++id) {
      matches[id] = matches_entry(held, id) ? 1 : 0;
      has_match = has_match || matches[id] != 0;
    }
    if (!has_match) return;
    select(column, held.ids.size(), out, [&](std::size_t i) { return matches[held.ids[i]] != 0; });
  }

  void operator()(std::span<const std::int64_t> held) const {
    const Static& literal = condition.literal;
    if (!is_number(literal.type)) return;
    with_comparison(condition.op, [&](auto holds_for) {
      if (column.type == StaticType::Int && literal.type == StaticType::Int) {
        select(column, held.size(), out,
               [&](std::size_t i) { return holds_for(held[i], literal.integer); });
      } else {
        const double number = to_double(literal);
        select(column, held.size(), out,
               [&](std::size_t i) { return holds_for(static_cast<double>(held[i]), number); });
      }
    });
  }

  void operator()(std::span<const double> held) const {
    if (!is_number(condition.literal.type)) return;
    const double number = to_double(condition.literal);
    with_comparison(condition.op, [&](auto holds_for) {
      select(column, held.size(), out, [&](std::size_t i) { return holds_for(held[i], number); });
    });
  }

  void operator()(std::span<const std::uint8_t> held) const {
    const Static& literal = condition.literal;
    if (literal.type != column.type) return;
    if (condition.op != FieldOp::Equal && condition.op != FieldOp::NotEqual) return;
    const auto wanted = static_cast<std::uint8_t>(
        literal.type == StaticType::Bool ? (literal.boolean ? 1 : 0) : literal.integer);
    const bool wants_equal = condition.op == FieldOp::Equal;
    select(column, held.size(), out,
           [&](std::size_t i) { return (held[i] == wanted) == wants_equal; });
  }

  /// Stores know span ids as numbers. As texts they have 16 digits.
  void operator()(std::span<const telemetry::SpanId> held) const {
    if (condition.literal.type != StaticType::String) return;
    if (!is_equality()) return match_each(held.size());
    const std::optional<telemetry::TraceId> id = parse_id(condition.literal.text);
    const bool is_id = id && condition.literal.text.size() == 16;
    telemetry::SpanId wanted = 0;
    for (std::size_t i = 8; is_id && i < 16; ++i) wanted = wanted << 8 | id->bytes[i];
    const bool wants_equal = condition.op == FieldOp::Equal;
    select(column, held.size(), out,
           [&](std::size_t i) { return (is_id && held[i] == wanted) == wants_equal; });
  }

  /// Leading zeros count on neither side.
  void operator()(std::span<const telemetry::TraceId> held) const {
    if (condition.literal.type != StaticType::String) return;
    if (!is_equality()) return match_each(held.size());
    const std::optional<telemetry::TraceId> wanted = parse_id(condition.literal.text);
    const bool wants_equal = condition.op == FieldOp::Equal;
    select(column, held.size(), out,
           [&](std::size_t i) { return (wanted && held[i] == *wanted) == wants_equal; });
  }

 private:
  [[nodiscard]] bool is_equality() const {
    return condition.op == FieldOp::Equal || condition.op == FieldOp::NotEqual;
  }

  [[nodiscard]] bool matches_entry(const DictionaryValues& held, std::size_t id) const {
    if (held.decoded != nullptr) return holds(condition, (*held.decoded)[id]);
    const std::string_view text = held.texts[id];
    if (condition.pattern == nullptr) {
      return compare(condition.op, text, std::string_view(condition.literal.text));
    }
    return condition.pattern->matches(text) == (condition.op == FieldOp::Regex);
  }

  void match_each(std::size_t size) const {
    select(column, size, out, [&](std::size_t i) { return holds(condition, column.at(i)); });
  }
};

}  // namespace

RowSet match(const Field& field, std::uint32_t rows, const Condition& condition) {
  RowSet out(rows);
  for (const FieldColumn& column : field.columns) {
    std::visit(ColumnMatcher{.column = column, .condition = condition, .out = out}, column.values);
  }
  return out;
}

RowSet present(const Field& field, std::uint32_t rows) {
  RowSet out(rows);
  for (const FieldColumn& column : field.columns) {
    const auto* held = std::get_if<DictionaryValues>(&column.values);
    if (held != nullptr && held->decoded != nullptr) {
      select(column, column.size(), out,
             [&](std::size_t i) { return (*held->decoded)[held->ids[i]].type != StaticType::Nil; });
    } else if (column.is_dense) {
      return RowSet(rows, true);
    } else {
      for (const std::uint32_t row : column.rows) out.add(row);
    }
  }
  return out;
}

RowSet match_bool(const Field& field, std::uint32_t rows, bool wanted) {
  RowSet out(rows);
  for (const FieldColumn& column : field.columns) {
    if (column.type == StaticType::Bool) {
      const auto& held = std::get<std::span<const std::uint8_t>>(column.values);
      select(column, held.size(), out, [&](std::size_t i) { return (held[i] != 0) == wanted; });
    } else if (column.type == StaticType::Nil) {
      select(column, column.size(), out, [&](std::size_t i) {
        const Static value = column.at(i);
        return value.type == StaticType::Bool && value.boolean == wanted;
      });
    }
  }
  return out;
}

}  // namespace gantry::traceql
