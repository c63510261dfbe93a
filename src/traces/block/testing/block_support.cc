#include "traces/block/testing/block_support.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "storage/checksummed_file.h"
#include "traces/block/block_format.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using traceql::Column;
using traceql::ColumnType;
using traceql::Table;
using traceql::TextColumn;

constexpr std::array kTables = {Table::Span, Table::Resource, Table::Event, Table::Link,
                                Table::Instrumentation};

template <class T>
void expect_same(const char* what, const Result<std::span<const T>>& expected,
                 const Result<std::span<const T>>& actual) {
  ASSERT_TRUE(expected) << what;
  ASSERT_TRUE(actual) << what << ": " << actual.error().message;
  EXPECT_TRUE(std::ranges::equal(*expected, *actual)) << what;
}

void expect_same(const char* what, const Result<TextColumn>& expected,
                 const Result<TextColumn>& actual) {
  ASSERT_TRUE(expected) << what;
  ASSERT_TRUE(actual) << what << ": " << actual.error().message;
  ASSERT_EQ(expected->ids.size(), actual->ids.size()) << what;
  for (std::uint32_t row = 0; row < expected->ids.size(); ++row) {
    EXPECT_EQ(expected->text(row), actual->text(row)) << what << " of row " << row;
  }
}

void expect_same(const char* what, const Result<RareNumbers>& expected,
                 const Result<RareNumbers>& actual) {
  ASSERT_TRUE(expected) << what;
  ASSERT_TRUE(actual) << what << ": " << actual.error().message;
  EXPECT_TRUE(std::ranges::equal(expected->rows, actual->rows)) << what;
  EXPECT_TRUE(std::ranges::equal(expected->values, actual->values)) << what;
}

/// Row and value, as text: the type is the column's.
std::vector<std::pair<std::uint32_t, std::string>> values_of(const Column& column) {
  std::vector<std::pair<std::uint32_t, std::string>> out;
  for (std::size_t i = 0; i < column.size(); ++i) {
    std::string value;
    switch (column.type) {
      case ColumnType::String:
      case ColumnType::Encoded:
        value = column.dictionary[column.ids[i]];
        break;
      case ColumnType::Int:
        value = std::to_string(column.ints[i]);
        break;
      case ColumnType::Double:
        value = std::to_string(std::bit_cast<std::uint64_t>(column.doubles[i]));
        break;
      case ColumnType::Bool:
        value = std::to_string(column.bools[i]);
        break;
    }
    const auto row = column.is_dense ? static_cast<std::uint32_t>(i) : column.rows[i];
    out.emplace_back(row, std::move(value));
  }
  return out;
}

using TypedColumns = std::map<ColumnType, std::vector<std::pair<std::uint32_t, std::string>>>;

std::map<std::string, TypedColumns> attributes_of(StoredGroup& group, Table table) {
  std::map<std::string, TypedColumns> out;
  const auto keys = group.keys(table);
  EXPECT_TRUE(keys);
  EXPECT_TRUE(std::ranges::is_sorted(*keys));
  for (const std::string_view key : *keys) {
    const auto columns = group.columns({.table = table, .key = key});
    EXPECT_TRUE(columns) << key;
    for (const Column& column : *columns) {
      if (column.size() == 0) continue;
      EXPECT_TRUE(out[std::string(key)].emplace(column.type, values_of(column)).second);
    }
  }
  return out;
}

void expect_same_events_and_links(StoredGroup& expected, StoredGroup& actual) {
  expect_same("event_spans", expected.event_spans(), actual.event_spans());
  expect_same("event_times", expected.event_times_ns(), actual.event_times_ns());
  expect_same("event_names", expected.event_names(), actual.event_names());
  expect_same("event_dropped", expected.event_dropped_attributes(),
              actual.event_dropped_attributes());
  expect_same("link_spans", expected.link_spans(), actual.link_spans());
  expect_same("link_trace_ids", expected.link_trace_ids(), actual.link_trace_ids());
  expect_same("link_span_ids", expected.link_span_ids(), actual.link_span_ids());
  expect_same("link_trace_states", expected.link_trace_states(), actual.link_trace_states());
  expect_same("link_flags", expected.link_flags(), actual.link_flags());
  expect_same("link_dropped", expected.link_dropped_attributes(), actual.link_dropped_attributes());
}

void expect_same_resources_and_scopes(StoredGroup& expected, StoredGroup& actual) {
  expect_same("resource_schema_urls", expected.resource_schema_urls(),
              actual.resource_schema_urls());
  expect_same("resource_dropped", expected.resource_dropped_attributes(),
              actual.resource_dropped_attributes());
  expect_same("scope_names", expected.scope_names(), actual.scope_names());
  expect_same("scope_versions", expected.scope_versions(), actual.scope_versions());
  expect_same("scope_schema_urls", expected.scope_schema_urls(), actual.scope_schema_urls());
  expect_same("scope_dropped", expected.scope_dropped_attributes(),
              actual.scope_dropped_attributes());
}

void expect_same_spans(StoredGroup& expected, StoredGroup& actual) {
  expect_same("traces", expected.traces(), actual.traces());
  expect_same("trace_ids", expected.trace_ids(), actual.trace_ids());
  expect_same("span_ids", expected.span_ids(), actual.span_ids());
  expect_same("parent_ids", expected.parent_ids(), actual.parent_ids());
  expect_same("starts", expected.starts_ns(), actual.starts_ns());
  expect_same("durations", expected.durations_ns(), actual.durations_ns());
  expect_same("ends", expected.ends_ns(), actual.ends_ns());
  expect_same("kinds", expected.kinds(), actual.kinds());
  expect_same("statuses", expected.statuses(), actual.statuses());
  expect_same("names", expected.names(), actual.names());
  expect_same("status_messages", expected.status_messages(), actual.status_messages());
  expect_same("trace_states", expected.trace_states(), actual.trace_states());
  expect_same("resources", expected.resources(), actual.resources());
  expect_same("scopes", expected.scopes(), actual.scopes());
  expect_same("flags", expected.flags(), actual.flags());
  expect_same("dropped_attributes", expected.dropped_attributes(), actual.dropped_attributes());
  expect_same("dropped_events", expected.dropped_events(), actual.dropped_events());
  expect_same("dropped_links", expected.dropped_links(), actual.dropped_links());
  const auto expected_sets = expected.nested_sets();
  const auto actual_sets = actual.nested_sets();
  ASSERT_TRUE(expected_sets);
  ASSERT_TRUE(actual_sets) << actual_sets.error().message;
  EXPECT_TRUE(std::ranges::equal(expected_sets->left, actual_sets->left));
  EXPECT_TRUE(std::ranges::equal(expected_sets->right, actual_sets->right));
  EXPECT_TRUE(std::ranges::equal(expected_sets->parent, actual_sets->parent));
}

}  // namespace

std::unique_ptr<SpanTable> make_table(const telemetry::SpanBatch& batch) {
  auto table = std::make_unique<SpanTable>();
  std::vector<std::uint32_t> spans(batch.spans.size());
  std::iota(spans.begin(), spans.end(), 0U);
  table->append(batch, spans);
  table->publish();
  return table;
}

void expect_same_group(StoredGroup& expected, StoredGroup& actual) {
  for (const Table table : kTables) {
    EXPECT_EQ(expected.counts().rows(table), actual.counts().rows(table));
    EXPECT_EQ(attributes_of(expected, table), attributes_of(actual, table));
  }
  EXPECT_EQ(expected.counts().traces, actual.counts().traces);
  expect_same_spans(expected, actual);
  expect_same_resources_and_scopes(expected, actual);
  expect_same_events_and_links(expected, actual);
}

std::unique_ptr<BlockReader> write_block(storage::FileSystem& files, const storage::Path& directory,
                                         storage::ItemCache& cache,
                                         const std::vector<const SpanTable*>& tables,
                                         const BlockWriterOptions& options) {
  EXPECT_TRUE(files.create_directories(directory));
  auto writer = BlockWriter::create(files, directory, options);
  EXPECT_TRUE(writer);
  for (const SpanTable* table : tables) {
    const auto added = (*writer)->add_group(*table->snapshot());
    EXPECT_TRUE(added) << added.error().message;
  }
  const auto summary = (*writer)->finish();
  EXPECT_TRUE(summary) << summary.error().message;
  auto reader = BlockReader::open(files, directory, cache);
  EXPECT_TRUE(reader) << reader.error().message;
  return reader ? *std::move(reader) : nullptr;
}

Result<void> read_everything(const BlockReader& block) {
  for (std::size_t i = 0; i < block.groups().size(); ++i) {
    GANTRY_TRY(const auto group, block.open_group(i));
    std::vector<std::uint32_t> rows(group->counts().spans);
    std::iota(rows.begin(), rows.end(), 0U);
    telemetry::SpanBatch batch;
    GANTRY_CHECK(read_spans(*group, rows, batch));
    GANTRY_CHECK(group->nested_sets());
    GANTRY_CHECK(group->ends_ns());
    GANTRY_CHECK(group->durations_ns());
    for (const Table table : kTables) {
      GANTRY_TRY(const auto keys, group->keys(table));
      for (const std::string_view key : keys) {
        GANTRY_CHECK(group->columns({.table = table, .key = key}));
      }
    }
    GANTRY_TRY(const auto ids, group->trace_ids());
    for (const telemetry::TraceId& id : ids) {
      GANTRY_TRY([[maybe_unused]] const auto place, block.find_trace(id));
    }
    const traceql::RequiredText required{.key = "http.method", .text = "GET"};
    GANTRY_CHECK(block.may_have(i, {&required, 1}));
  }
  for (std::size_t page = 0; page < block.trace_page_count(); ++page) {
    GANTRY_CHECK(block.trace_page(page));
  }
  return {};
}

FramesOfBlock FramesOfBlock::read(storage::FileSystem& files, const storage::Path& directory) {
  FramesOfBlock out;
  const auto reader = storage::FrameReader::open(files, directory / kBlockFileName, kBlockFormat);
  EXPECT_TRUE(reader);
  for (std::uint32_t frame = 0; frame < (*reader)->frame_count(); ++frame) {
    out.frames.push_back(*(*reader)->read(frame));
  }
  const auto footer = (*reader)->footer();
  out.footer.assign(footer.begin(), footer.end());
  return out;
}

void FramesOfBlock::write(storage::FileSystem& files, const storage::Path& directory) const {
  EXPECT_TRUE(files.create_directories(directory));
  const auto writer = storage::FrameWriter::create(files, directory / kBlockFileName, kBlockFormat);
  EXPECT_TRUE(writer);
  for (const auto& frame : frames) EXPECT_TRUE((*writer)->add(frame, 0));
  EXPECT_TRUE((*writer)->finish(footer));
}

SpansByTrace spans_of(const BlockReader& block) {
  SpansByTrace out;
  for (std::size_t i = 0; i < block.groups().size(); ++i) {
    const auto group = block.open_group(i);
    EXPECT_TRUE(group) << group.error().message;
    const auto ids = (*group)->trace_ids();
    const auto traces = (*group)->traces();
    EXPECT_TRUE(ids && traces);
    const std::vector<std::string> spans = describe_group(**group);
    std::map<telemetry::TraceId, std::vector<std::string>> here;
    for (std::size_t row = 0; row < spans.size(); ++row) {
      here[(*ids)[(*traces)[row]]].push_back(spans[row]);
    }
    for (auto& [id, texts] : here) {
      EXPECT_TRUE(out.emplace(id, std::move(texts)).second) << "a trace in two groups";
    }
  }
  return out;
}

SpansByTrace spans_of(const telemetry::SpanBatch& batch) {
  SpansByTrace out;
  const auto table = make_table(batch);
  const auto group = table->snapshot();
  const auto ids = group->trace_ids();
  const auto traces = group->traces();
  EXPECT_TRUE(ids && traces);
  const std::vector<std::string> spans = describe_group(*group);
  for (std::size_t row = 0; row < spans.size(); ++row) {
    out[(*ids)[(*traces)[row]]].push_back(spans[row]);
  }
  return out;
}

}  // namespace gantry::traces
