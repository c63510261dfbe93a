#include "traces/stored_group.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gantry::traces {
namespace {

using telemetry::AttributeValue;
using telemetry::BatchSlice;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;
using traceql::Column;
using traceql::ColumnType;
using traceql::Table;

/// Copies the texts of one dictionary into the batch, each once.
class CopiedTexts {
 public:
  CopiedTexts(std::span<const std::string_view> dictionary, core::Arena& arena)
      : dictionary_(dictionary), arena_(arena) {}

  std::string_view at(std::uint32_t id) {
    if (dictionary_[id].empty()) return {};
    const auto [copy, is_new] = copies_.try_emplace(id);
    if (is_new) copy->second = arena_.copy(dictionary_[id]);
    return copy->second;
  }

 private:
  std::span<const std::string_view> dictionary_;
  core::Arena& arena_;
  std::unordered_map<std::uint32_t, std::string_view> copies_;
};

std::uint32_t value_of(const RareNumbers& numbers, std::uint32_t row) {
  const auto found = std::ranges::lower_bound(numbers.rows, row);
  if (found == numbers.rows.end() || *found != row) return 0;
  return numbers.values[static_cast<std::size_t>(found - numbers.rows.begin())];
}

AttributeValue value_of(const Column& column, std::size_t at, CopiedTexts& texts) {
  switch (column.type) {
    case ColumnType::String:
      return {.kind = AttributeValue::Kind::String, .text = texts.at(column.ids[at])};
    case ColumnType::Encoded:
      return {.kind = AttributeValue::Kind::Encoded, .text = texts.at(column.ids[at])};
    case ColumnType::Int:
      return {.kind = AttributeValue::Kind::Int, .integer = column.ints[at]};
    case ColumnType::Double:
      return {.kind = AttributeValue::Kind::Double, .number = column.doubles[at]};
    case ColumnType::Bool:
      return {.kind = AttributeValue::Kind::Bool, .boolean = column.bools[at] != 0};
  }
  return {};
}

/// Reads the spans of one call. The tables go one after another.
class SpanReader {
 public:
  SpanReader(StoredGroup& group, std::span<const std::uint32_t> rows, SpanBatch& batch)
      : group_(group),
        rows_(rows),
        batch_(batch),
        first_span_(batch.spans.size()),
        first_event_(batch.events.size()),
        first_link_(batch.links.size()) {}

  Result<void> read() {
    batch_.spans.resize(first_span_ + rows_.size());
    GANTRY_CHECK(read_numbers());
    GANTRY_CHECK(read_texts());
    GANTRY_CHECK(read_rare());
    GANTRY_CHECK(read_attributes(Table::Span, rows_,
                                 [&](std::size_t i) -> BatchSlice& { return span(i).attributes; }));
    GANTRY_CHECK(read_resources());
    GANTRY_CHECK(read_scopes());
    GANTRY_CHECK(read_events());
    return read_links();
  }

 private:
  telemetry::BatchSpan& span(std::size_t i) { return batch_.spans[first_span_ + i]; }

  Result<void> read_numbers();
  Result<void> read_texts();
  Result<void> read_rare();
  Result<void> read_resources();
  Result<void> read_scopes();
  Result<void> read_events();
  Result<void> read_links();

  /// Puts the attributes of `rows` into the batch, those of one row together and by key;
  /// `slice_of(i)` is where their place goes.
  template <class SliceOf>
  Result<void> read_attributes(Table table, std::span<const std::uint32_t> rows,
                               const SliceOf& slice_of);

  /// Numbers the different rows of `column` that the spans refer to, in order of sight, from
  /// `first`; `set(span, number)`.
  template <class Set>
  std::vector<std::uint32_t> number_rows(std::span<const std::uint32_t> column, std::size_t first,
                                         const Set& set);

  StoredGroup& group_;
  const std::span<const std::uint32_t> rows_;
  SpanBatch& batch_;
  const std::size_t first_span_;
  const std::size_t first_event_;
  const std::size_t first_link_;
};

template <class SliceOf>
Result<void> SpanReader::read_attributes(Table table, std::span<const std::uint32_t> rows,
                                         const SliceOf& slice_of) {
  if (rows.empty()) return {};

  struct Found {
    std::uint32_t list = 0;
    SpanAttribute attribute;
  };

  std::vector<Found> found;
  std::vector<std::uint32_t> ends(rows.size() + 1, 0);
  GANTRY_TRY(const auto keys, group_.keys(table));
  for (const std::string_view key : keys) {
    GANTRY_TRY(const auto columns, group_.columns({.table = table, .key = key}));
    std::string_view copied_key;
    for (const Column& column : columns) {
      CopiedTexts texts(column.dictionary, batch_.arena);
      for (std::uint32_t list = 0; list < rows.size(); ++list) {
        const auto at = column.find(rows[list]);
        if (!at) continue;
        if (copied_key.data() == nullptr) copied_key = batch_.arena.copy(key);
        found.push_back({.list = list,
                         .attribute = {.key = copied_key, .value = value_of(column, *at, texts)}});
        ++ends[list + 1];
      }
    }
  }
  // A counting sort by list; stable, so that attributes stay sorted by key.
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  const auto first = static_cast<std::uint32_t>(batch_.attributes.size());
  for (std::size_t list = 0; list < rows.size(); ++list) {
    slice_of(list) = {.begin = first + ends[list], .count = ends[list + 1] - ends[list]};
  }
  batch_.attributes.resize(first + found.size());
  for (const Found& one : found) batch_.attributes[first + ends[one.list]++] = one.attribute;
  return {};
}

template <class Set>
std::vector<std::uint32_t> SpanReader::number_rows(std::span<const std::uint32_t> column,
                                                   std::size_t first, const Set& set) {
  std::vector<std::uint32_t> rows;
  std::unordered_map<std::uint32_t, std::uint32_t> numbers;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const std::uint32_t row = column[rows_[i]];
    const auto [number, is_new] =
        numbers.try_emplace(row, static_cast<std::uint32_t>(first + rows.size()));
    if (is_new) rows.push_back(row);
    set(span(i), number->second);
  }
  return rows;
}

Result<void> SpanReader::read_numbers() {
  GANTRY_TRY(const auto traces, group_.traces());
  GANTRY_TRY(const auto trace_ids, group_.trace_ids());
  GANTRY_TRY(const auto ids, group_.span_ids());
  GANTRY_TRY(const auto parents, group_.parent_ids());
  GANTRY_TRY(const auto starts_ns, group_.starts_ns());
  GANTRY_TRY(const auto ends_ns, group_.ends_ns());
  GANTRY_TRY(const auto kinds, group_.kinds());
  GANTRY_TRY(const auto statuses, group_.statuses());
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const std::uint32_t row = rows_[i];
    telemetry::BatchSpan& out = span(i);
    out.trace_id = trace_ids[traces[row]];
    out.span_id = ids[row];
    out.parent_id = parents[row];
    out.start_ns = static_cast<std::uint64_t>(starts_ns[row]);
    out.end_ns = ends_ns[row];
    out.kind = static_cast<telemetry::SpanKind>(kinds[row]);
    out.status = static_cast<telemetry::SpanStatus>(statuses[row]);
  }
  return {};
}

Result<void> SpanReader::read_texts() {
  const auto copy = [&](const traceql::TextColumn& column,
                        std::string_view telemetry::BatchSpan::* field) {
    CopiedTexts texts(column.dictionary, batch_.arena);
    for (std::size_t i = 0; i < rows_.size(); ++i) span(i).*field = texts.at(column.ids[rows_[i]]);
  };
  GANTRY_TRY(const traceql::TextColumn names, group_.names());
  GANTRY_TRY(const traceql::TextColumn messages, group_.status_messages());
  GANTRY_TRY(const traceql::TextColumn states, group_.trace_states());
  copy(names, &telemetry::BatchSpan::name);
  copy(messages, &telemetry::BatchSpan::status_message);
  copy(states, &telemetry::BatchSpan::trace_state);
  return {};
}

Result<void> SpanReader::read_rare() {
  GANTRY_TRY(const RareNumbers flags, group_.flags());
  GANTRY_TRY(const RareNumbers attributes, group_.dropped_attributes());
  GANTRY_TRY(const RareNumbers events, group_.dropped_events());
  GANTRY_TRY(const RareNumbers links, group_.dropped_links());
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    telemetry::BatchSpan& out = span(i);
    out.flags = value_of(flags, rows_[i]);
    out.dropped_attributes = value_of(attributes, rows_[i]);
    out.dropped_events = value_of(events, rows_[i]);
    out.dropped_links = value_of(links, rows_[i]);
  }
  return {};
}

Result<void> SpanReader::read_resources() {
  GANTRY_TRY(const auto column, group_.resources());
  const std::size_t first = batch_.resources.size();
  const std::vector<std::uint32_t> rows =
      number_rows(column, first,
                  [](telemetry::BatchSpan& out, std::uint32_t number) { out.resource = number; });
  GANTRY_TRY(const traceql::TextColumn urls, group_.resource_schema_urls());
  GANTRY_TRY(const RareNumbers dropped, group_.resource_dropped_attributes());
  CopiedTexts texts(urls.dictionary, batch_.arena);
  for (const std::uint32_t row : rows) {
    batch_.resources.push_back({.attributes = {},
                                .dropped_attributes = value_of(dropped, row),
                                .schema_url = texts.at(urls.ids[row])});
  }
  return read_attributes(Table::Resource, rows, [&](std::size_t i) -> BatchSlice& {
    return batch_.resources[first + i].attributes;
  });
}

Result<void> SpanReader::read_scopes() {
  GANTRY_TRY(const auto column, group_.scopes());
  const std::size_t first = batch_.scopes.size();
  const std::vector<std::uint32_t> rows = number_rows(
      column, first, [](telemetry::BatchSpan& out, std::uint32_t number) { out.scope = number; });
  GANTRY_TRY(const traceql::TextColumn names, group_.scope_names());
  GANTRY_TRY(const traceql::TextColumn versions, group_.scope_versions());
  GANTRY_TRY(const traceql::TextColumn urls, group_.scope_schema_urls());
  GANTRY_TRY(const RareNumbers dropped, group_.scope_dropped_attributes());
  for (const std::uint32_t row : rows) {
    batch_.scopes.push_back({.name = batch_.arena.copy(names.text(row)),
                             .version = batch_.arena.copy(versions.text(row)),
                             .attributes = {},
                             .dropped_attributes = value_of(dropped, row),
                             .schema_url = batch_.arena.copy(urls.text(row))});
  }
  return read_attributes(Table::Instrumentation, rows, [&](std::size_t i) -> BatchSlice& {
    return batch_.scopes[first + i].attributes;
  });
}

/// The rows of a child table that belong to each of the spans, and their places in the batch.
template <class SliceOf>
std::vector<std::uint32_t> child_rows(std::span<const std::uint32_t> spans,
                                      std::span<const std::uint32_t> rows, std::size_t first,
                                      const SliceOf& slice_of) {
  std::vector<std::uint32_t> children;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto of_span = std::ranges::equal_range(spans, rows[i]);
    slice_of(i) = {.begin = static_cast<std::uint32_t>(first + children.size()),
                   .count = static_cast<std::uint32_t>(of_span.size())};
    const auto begin = static_cast<std::uint32_t>(of_span.begin() - spans.begin());
    for (std::uint32_t k = 0; k < of_span.size(); ++k) children.push_back(begin + k);
  }
  return children;
}

Result<void> SpanReader::read_events() {
  if (group_.counts().events == 0) return {};
  GANTRY_TRY(const auto spans, group_.event_spans());
  const std::vector<std::uint32_t> rows = child_rows(
      spans, rows_, first_event_, [&](std::size_t i) -> BatchSlice& { return span(i).events; });
  if (rows.empty()) return {};
  GANTRY_TRY(const auto times_ns, group_.event_times_ns());
  GANTRY_TRY(const traceql::TextColumn names, group_.event_names());
  GANTRY_TRY(const RareNumbers dropped, group_.event_dropped_attributes());
  CopiedTexts texts(names.dictionary, batch_.arena);
  for (const std::uint32_t row : rows) {
    batch_.events.push_back({.time_ns = static_cast<std::uint64_t>(times_ns[row]),
                             .name = texts.at(names.ids[row]),
                             .attributes = {},
                             .dropped_attributes = value_of(dropped, row)});
  }
  return read_attributes(Table::Event, rows, [&](std::size_t i) -> BatchSlice& {
    return batch_.events[first_event_ + i].attributes;
  });
}

Result<void> SpanReader::read_links() {
  if (group_.counts().links == 0) return {};
  GANTRY_TRY(const auto spans, group_.link_spans());
  const std::vector<std::uint32_t> rows = child_rows(
      spans, rows_, first_link_, [&](std::size_t i) -> BatchSlice& { return span(i).links; });
  if (rows.empty()) return {};
  GANTRY_TRY(const auto trace_ids, group_.link_trace_ids());
  GANTRY_TRY(const auto span_ids, group_.link_span_ids());
  GANTRY_TRY(const traceql::TextColumn states, group_.link_trace_states());
  GANTRY_TRY(const RareNumbers flags, group_.link_flags());
  GANTRY_TRY(const RareNumbers dropped, group_.link_dropped_attributes());
  CopiedTexts texts(states.dictionary, batch_.arena);
  for (const std::uint32_t row : rows) {
    batch_.links.push_back({.trace_id = trace_ids[row],
                            .span_id = span_ids[row],
                            .trace_state = texts.at(states.ids[row]),
                            .attributes = {},
                            .dropped_attributes = value_of(dropped, row),
                            .flags = value_of(flags, row)});
  }
  return read_attributes(Table::Link, rows, [&](std::size_t i) -> BatchSlice& {
    return batch_.links[first_link_ + i].attributes;
  });
}

}  // namespace

Result<void> read_spans(StoredGroup& group, std::span<const std::uint32_t> rows, SpanBatch& batch) {
  return SpanReader(group, rows, batch).read();
}

}  // namespace gantry::traces
