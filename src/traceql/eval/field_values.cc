#include <utility>
#include <vector>

#include "traceql/eval/field_values_internal.h"
#include "traceql/eval/static_operations.h"
#include "traceql/eval/static_table.h"

namespace gantry::traceql {

namespace {

constexpr std::uint32_t kNil = DistinctValues::kNil;

/// Calls visit(span, row) for spans in `open` and the rows of the field that they refer to, until
/// it returns true: then the span has its value and leaves `open`.
template <class Visit>
Result<void> for_each_reference(FieldTable& table, Level level, RowSet& open, Visit&& visit) {
  SpanGroup& group = table.group();
  std::span<const std::uint32_t> of_span;
  std::span<const std::uint32_t> begins;
  switch (level) {
    case Level::Span:
      break;
    case Level::Resource: {
      GANTRY_TRY(of_span, group.resources());
      break;
    }
    case Level::Scope: {
      GANTRY_TRY(of_span, group.scopes());
      break;
    }
    case Level::Trace: {
      GANTRY_TRY(of_span, group.traces());
      break;
    }
    case Level::Event: {
      GANTRY_TRY(begins, table.event_begins());
      break;
    }
    case Level::Link: {
      GANTRY_TRY(begins, table.link_begins());
      break;
    }
  }
  RowSet done(open.size());
  open.for_each([&](std::uint32_t span) {
    if (begins.empty()) {
      if (visit(span, of_span.empty() ? span : of_span[span])) done.add(span);
      return;
    }
    for (std::uint32_t row = begins[span]; row < begins[span + 1]; ++row) {
      if (visit(span, row)) {
        done.add(span);
        return;
      }
    }
  });
  open -= done;
  return {};
}

/// Rows of the field's table that some span in `open` may refer to.
RowSet wanted_rows(const FieldTable& table, Level level, const RowSet& open) {
  return level == Level::Span ? open : RowSet(table.rows(level), true);
}

/// The number of each row's value, kNil where it has none.
std::vector<std::uint32_t> number_values(const Field& field, const RowSet& wanted,
                                         StaticTable& values) {
  std::vector<std::uint32_t> numbers(wanted.size(), kNil);
  for (const FieldColumn& column : field.columns) {
    const auto* held = std::get_if<DictionaryValues>(&column.values);
    std::vector<std::uint32_t> of_id(held != nullptr ? held->texts.size() : 0, kNil);
    for (std::size_t i = 0; i < column.size(); ++i) {
      const std::uint32_t row = column.row(i);
      if (!wanted.contains(row)) continue;
      std::uint32_t* known = held != nullptr ? &of_id[held->ids[i]] : nullptr;
      if (known != nullptr && *known != kNil) {
        numbers[row] = *known;
        continue;
      }
      const Static value = column.at(i);
      if (value.type == StaticType::Nil) continue;
      numbers[row] = values.add(value);
      if (known != nullptr) *known = numbers[row];
    }
  }
  return numbers;
}

struct Numbers {
  std::vector<double> values;
  RowSet present;
  RowSet has_value;  ///< Numbers and all others, which hide what comes after.
  bool has_float = false;
};

Numbers read_numbers(const Field& field, const RowSet& wanted) {
  Numbers out{.values = std::vector<double>(wanted.size(), 0),
              .present = RowSet(wanted.size()),
              .has_value = RowSet(wanted.size())};
  for (const FieldColumn& column : field.columns) {
    const auto add = [&](std::size_t i, double number) {
      const std::uint32_t row = column.row(i);
      if (!wanted.contains(row)) return;
      out.values[row] = number;
      out.present.add(row);
      out.has_value.add(row);
    };
    if (const auto* ints = std::get_if<std::span<const std::int64_t>>(&column.values)) {
      for (std::size_t i = 0; i < ints->size(); ++i) add(i, static_cast<double>((*ints)[i]));
    } else if (const auto* doubles = std::get_if<std::span<const double>>(&column.values)) {
      for (std::size_t i = 0; i < doubles->size(); ++i) add(i, (*doubles)[i]);
      out.has_float = out.has_float || !doubles->empty();
    } else {
      for (std::size_t i = 0; i < column.size(); ++i) {
        const std::uint32_t row = column.row(i);
        if (!wanted.contains(row)) continue;
        const auto* held = std::get_if<DictionaryValues>(&column.values);
        const bool is_nil = held != nullptr && held->decoded != nullptr &&
                            (*held->decoded)[held->ids[i]].type == StaticType::Nil;
        if (!is_nil) out.has_value.add(row);
      }
    }
  }
  return out;
}

}  // namespace

Result<DistinctValues> find_distinct_values(FieldTable& table, const Fields& fields,
                                            const RowSet& rows) {
  DistinctValues out;
  out.ids.assign(rows.size(), kNil);
  StaticTable values;
  RowSet open = rows;
  for (const Field* field : fields) {
    if (open.is_empty()) break;
    const std::vector<std::uint32_t> numbers =
        number_values(*field, wanted_rows(table, field->level, open), values);
    GANTRY_CHECK(
        for_each_reference(table, field->level, open, [&](std::uint32_t span, std::uint32_t row) {
          out.ids[span] = numbers[row];
          return numbers[row] != kNil;
        }));
  }
  out.values = values.take();
  return out;
}

Result<NumberValues> find_numbers(FieldTable& table, const Fields& fields, const RowSet& rows) {
  NumberValues out{.numbers = std::vector<double>(rows.size(), 0), .present = RowSet(rows.size())};
  RowSet open = rows;
  for (const Field* field : fields) {
    if (open.is_empty()) break;
    const Numbers numbers = read_numbers(*field, wanted_rows(table, field->level, open));
    out.has_float = out.has_float || numbers.has_float;
    out.is_duration = out.is_duration || field->is_duration;
    GANTRY_CHECK(
        for_each_reference(table, field->level, open, [&](std::uint32_t span, std::uint32_t row) {
          if (numbers.present.contains(row)) {
            out.numbers[span] = numbers.values[row];
            out.present.add(span);
          }
          return numbers.has_value.contains(row);
        }));
  }
  return out;
}

}  // namespace gantry::traceql
