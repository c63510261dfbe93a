#include "traceql/testing/group_dump.h"

#include <array>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace gantry::traceql::testing {
namespace {

constexpr std::array kTables = {Table::Span, Table::Resource, Table::Event, Table::Link,
                                Table::Instrumentation};

template <class T>
T read(Result<T> column, std::size_t rows) {
  EXPECT_TRUE(column) << (column ? "" : column.error().message);
  if (!column) return T{};
  if constexpr (requires { column->ids; }) {
    EXPECT_EQ(column->ids.size(), rows);
  } else {
    EXPECT_EQ(column->size(), rows);
  }
  return *column;
}

std::string value_text(const Column& column, std::size_t i) {
  switch (column.type) {
    case ColumnType::String:
      return fmt::format("\"{}\"", column.dictionary[column.ids[i]]);
    case ColumnType::Encoded:
      return fmt::format("<{}>", fmt::join(column.dictionary[column.ids[i]], " "));
    case ColumnType::Int:
      return fmt::format("{}i", column.ints[i]);
    case ColumnType::Double:
      return fmt::format("{}d", column.doubles[i]);
    case ColumnType::Bool:
      return column.bools[i] != 0 ? "true" : "false";
  }
  return "";
}

/// What each row of the table has, by key.
std::vector<std::string> attribute_texts(SpanGroup& group, Table table, std::string& keys) {
  std::vector<std::map<std::string, std::string, std::less<>>> rows(group.counts().rows(table));
  const auto all = group.keys(table);
  EXPECT_TRUE(all);
  for (const std::string_view key : *all) {
    const auto columns = group.columns({.table = table, .key = key});
    EXPECT_TRUE(columns);
    bool has_value = false;
    for (const Column& column : *columns) {
      EXPECT_EQ(column.size(), column.is_dense ? rows.size() : column.rows.size());
      for (std::size_t i = 0; i < column.size(); ++i) {
        const std::size_t row = column.is_dense ? i : column.rows[i];
        const bool is_new = rows[row].emplace(key, value_text(column, i)).second;
        EXPECT_TRUE(is_new) << key << " has two values in row " << row;
        has_value = true;
      }
    }
    if (has_value) keys += fmt::format("key {} {}\n", static_cast<int>(table), key);
  }
  std::vector<std::string> texts;
  for (const auto& row : rows) texts.push_back(fmt::format("{}", fmt::join(row, ",")));
  return texts;
}

std::string id_text(const telemetry::TraceId& id) {
  return fmt::format("{:02x}", fmt::join(id.bytes, ""));
}

}  // namespace

std::string dump(SpanGroup& group) {
  const GroupCounts counts = group.counts();
  std::string keys;
  std::map<Table, std::vector<std::string>> attributes;
  for (const Table table : kTables) attributes[table] = attribute_texts(group, table, keys);

  const auto traces = read(group.traces(), counts.spans);
  const auto ids = read(group.span_ids(), counts.spans);
  const auto parents = read(group.parent_ids(), counts.spans);
  const auto starts = read(group.starts_ns(), counts.spans);
  const auto durations = read(group.durations_ns(), counts.spans);
  const auto kinds = read(group.kinds(), counts.spans);
  const auto statuses = read(group.statuses(), counts.spans);
  const auto names = read(group.names(), counts.spans);
  const auto messages = read(group.status_messages(), counts.spans);
  const auto states = read(group.trace_states(), counts.spans);
  const auto resources = read(group.resources(), counts.spans);
  const auto scopes = read(group.scopes(), counts.spans);
  const auto trace_ids = read(group.trace_ids(), counts.traces);
  const auto scope_names = read(group.scope_names(), counts.scopes);
  const auto scope_versions = read(group.scope_versions(), counts.scopes);
  const auto event_spans = read(group.event_spans(), counts.events);
  const auto event_times = read(group.event_times_ns(), counts.events);
  const auto event_names = read(group.event_names(), counts.events);
  const auto link_spans = read(group.link_spans(), counts.links);
  const auto link_traces = read(group.link_trace_ids(), counts.links);
  const auto link_ids = read(group.link_span_ids(), counts.links);
  const auto nested = group.nested_sets();
  EXPECT_TRUE(nested);

  const auto trace_rows = group.trace_rows();
  EXPECT_TRUE(trace_rows);
  std::map<telemetry::TraceId, std::uint32_t> by_id;
  for (std::uint32_t trace = 0; trace < counts.traces; ++trace)
    by_id.emplace(trace_ids[trace], trace);
  EXPECT_EQ(by_id.size(), counts.traces) << "a trace is there twice";
  std::vector<std::uint32_t> rows;
  for (const auto& [id, trace] : by_id) {
    for (const std::uint32_t row : trace_rows->of(trace)) {
      EXPECT_EQ(traces[row], trace);
      rows.push_back(row);
    }
  }
  EXPECT_EQ(rows.size(), counts.spans);

  std::string out;
  for (const std::uint32_t row : rows) {
    out += fmt::format(
        "{} {:016x} {:016x} {}+{} kind {} status {} \"{}\" \"{}\" \"{}\" [{}] resource [{}] scope "
        "\"{}\" \"{}\" [{}] nested {} {} {}\n",
        id_text(trace_ids[traces[row]]), ids[row], parents[row], starts[row], durations[row],
        kinds[row], statuses[row], names.text(row), messages.text(row), states.text(row),
        attributes[Table::Span][row], attributes[Table::Resource][resources[row]],
        scope_names.text(scopes[row]), scope_versions.text(scopes[row]),
        attributes[Table::Instrumentation][scopes[row]], nested->left[row], nested->right[row],
        nested->parent[row]);
    for (std::uint32_t event = 0; event < counts.events; ++event) {
      if (event_spans[event] == row)
        out += fmt::format("  event {} \"{}\" [{}]\n", event_times[event], event_names.text(event),
                           attributes[Table::Event][event]);
    }
    for (std::uint32_t link = 0; link < counts.links; ++link) {
      if (link_spans[link] == row)
        out += fmt::format("  link {} {:016x} [{}]\n", id_text(link_traces[link]), link_ids[link],
                           attributes[Table::Link][link]);
    }
  }
  return out + keys;
}

}  // namespace gantry::traceql::testing
