#include "traces/block/group_encoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "storage/byte_order.h"

namespace gantry::traces {
namespace {

using storage::ByteWriter;
using traceql::Column;
using traceql::ColumnType;
using traceql::Table;

/// A column with more has a frame for itself.
constexpr std::size_t kOwnFrameBytes = 4 << 10;
constexpr std::size_t kTextFrameBytes = 128 << 10;
constexpr std::uint32_t kUnused = std::numeric_limits<std::uint32_t>::max();

constexpr std::array kTables = {Table::Span, Table::Resource, Table::Event, Table::Link,
                                Table::Instrumentation};

std::unexpected<Error> contradiction(std::string_view what) {
  return fail(Code::DataLoss, fmt::format("a group of spans contradicts itself: {}", what));
}

// Modulo 2^64, so that every difference comes back.
std::int64_t subtract(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

std::int64_t zigzag(std::int64_t value) {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

std::int64_t end_of(std::int64_t start, std::int64_t duration) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  return start > kMax - duration ? kMax : start + duration;
}

/// Where the spans of one trace are, by id.
class Positions {
 public:
  void assign(std::span<const std::uint32_t> rows, std::span<const telemetry::SpanId> ids) {
    entries_.clear();
    for (std::uint32_t at = 0; at < rows.size(); ++at) entries_.emplace_back(ids[rows[at]], at);
    std::ranges::sort(entries_);
  }

  /// The first with this id.
  [[nodiscard]] std::optional<std::uint32_t> find(telemetry::SpanId id) const {
    const auto found = std::ranges::lower_bound(entries_, std::pair(id, 0U));
    if (found == entries_.end() || found->first != id) return std::nullopt;
    return found->second;
  }

 private:
  std::vector<std::pair<telemetry::SpanId, std::uint32_t>> entries_;
};

}  // namespace

template <class T>
void GroupEncoder::append_numbers(std::span<const T> values) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    encoder_.numbers(values, bytes_);
  } else {
    std::vector<std::int64_t> wide(values.size());
    std::ranges::transform(values, wide.begin(),
                           [](T value) { return static_cast<std::int64_t>(value); });
    encoder_.numbers(wide, bytes_);
  }
}

Result<void> GroupEncoder::place(ColumnPlace& place) {
  if (bytes_.size() > storage::kFrameBytesMax) {
    return fail(Code::ResourceExhausted,
                fmt::format("a column of a group of spans takes {} bytes, the limit is {}",
                            bytes_.size(), storage::kFrameBytesMax));
  }
  place.bytes = static_cast<std::uint32_t>(bytes_.size());
  if (bytes_.size() >= kOwnFrameBytes) {
    // Its pieces are compressed already.
    GANTRY_TRY(place.frame, file_.add(bytes_, 0));
    bytes_.clear();
    return {};
  }
  if (shared_.empty()) shared_frame_ = file_.reserve();
  place.frame = shared_frame_;
  place.offset = static_cast<std::uint32_t>(shared_.size());
  shared_.insert(shared_.end(), bytes_.begin(), bytes_.end());
  // An empty column needs no byte, but the frame needs one to count as open.
  if (shared_.empty()) shared_.push_back(std::byte{0});
  bytes_.clear();
  return shared_.size() < storage::kFrameBytesTarget ? Result<void>() : close_shared_frame();
}

Result<void> GroupEncoder::place(FixedColumn column) {
  return place(directory_.fixed[static_cast<std::size_t>(column)]);
}

Result<void> GroupEncoder::close_shared_frame() {
  if (shared_.empty()) return {};
  GANTRY_CHECK(file_.write(shared_frame_, shared_, level_));
  shared_.clear();
  return {};
}

template <class T>
Result<void> GroupEncoder::add_numbers(FixedColumn column, const Result<std::span<const T>>& values,
                                       std::size_t count) {
  if (!values) return std::unexpected(values.error());
  if (values->size() != count) return contradiction("a column has too many or too few values");
  append_numbers(*values);
  return place(column);
}

Result<void> GroupEncoder::add_ids(FixedColumn column,
                                   const Result<std::span<const telemetry::TraceId>>& values,
                                   std::size_t count) {
  if (!values) return std::unexpected(values.error());
  if (values->size() != count) return contradiction("a column has too many or too few ids");
  for (const std::size_t half : {std::size_t{0}, sizeof(std::uint64_t)}) {
    numbers_.clear();
    for (const telemetry::TraceId& id : *values) {
      numbers_.push_back(std::bit_cast<std::int64_t>(
          storage::load_le<std::uint64_t>(std::as_bytes(std::span(id.bytes)).data() + half)));
    }
    encoder_.numbers(numbers_, bytes_);
  }
  return place(column);
}

Result<void> GroupEncoder::add_texts(FixedColumn column, const Result<traceql::TextColumn>& texts,
                                     std::size_t count) {
  if (!texts) return std::unexpected(texts.error());
  if (texts->ids.size() != count) return contradiction("a column has too many or too few texts");
  ColumnPlace& to = directory_.fixed[static_cast<std::size_t>(column)];
  GANTRY_CHECK(append_texts(texts->ids, texts->dictionary, to));
  return place(to);
}

Result<void> GroupEncoder::add_rare(FixedColumn column, const Result<RareNumbers>& numbers,
                                    std::uint32_t row_count) {
  if (!numbers) return std::unexpected(numbers.error());
  if (numbers->rows.size() != numbers->values.size() || numbers->rows.size() > row_count) {
    return contradiction("a column has too many or too few rows");
  }
  encoder_.rows(numbers->rows, row_count, bytes_);
  append_numbers(numbers->values);
  return place(column);
}

Result<void> GroupEncoder::write_long_texts(std::span<const std::string_view> texts,
                                            ColumnPlace& place) {
  std::vector<std::byte> frame;
  const auto write = [&]() -> Result<void> {
    GANTRY_TRY(const std::uint32_t number, file_.add(frame, level_));
    if (place.text_frame_count++ == 0) place.first_text_frame = number;
    frame.clear();
    return {};
  };
  std::size_t total = 0;
  for (const std::string_view text : texts) {
    total += text.size();
    if (total > kColumnTextBytesMax || text.size() > storage::kFrameBytesMax / 2) {
      return fail(Code::ResourceExhausted, "the texts of one column of spans are too large");
    }
    ByteWriter(frame).raw(text.data(), text.size());
    if (frame.size() >= kTextFrameBytes) GANTRY_CHECK(write());
  }
  return frame.empty() ? Result<void>() : write();
}

Result<void> GroupEncoder::append_texts(std::span<const std::uint32_t> ids,
                                        std::span<const std::string_view> dictionary,
                                        ColumnPlace& place) {
  std::vector<std::uint32_t> used;
  std::vector<std::uint32_t> new_id(dictionary.size(), kUnused);
  for (const std::uint32_t id : ids) {
    if (id >= dictionary.size()) return contradiction("a text is not in its dictionary");
    if (new_id[id] != kUnused) continue;
    new_id[id] = 0;
    used.push_back(id);
  }
  const auto is_short = [&](std::uint32_t id) {
    return dictionary[id].size() <= kShortTextBytesMax;
  };
  const auto long_ones = std::ranges::partition(used, is_short);
  const auto by_text = [&](std::uint32_t id) { return dictionary[id]; };
  std::ranges::sort(used.begin(), long_ones.begin(), {}, by_text);
  std::ranges::sort(long_ones, {}, by_text);
  used_texts_.clear();
  for (std::uint32_t next = 0; next < used.size(); ++next) {
    new_id[used[next]] = next;
    used_texts_.push_back(dictionary[used[next]]);
  }
  const auto short_count = used.size() - long_ones.size();
  const std::span<const std::string_view> texts(used_texts_);
  GANTRY_CHECK(write_long_texts(texts.subspan(short_count), place));
  ByteWriter writer(bytes_);
  writer.varint(short_count);
  writer.varint(long_ones.size());
  encoder_.texts(texts.first(short_count), bytes_);
  numbers_.clear();
  for (const std::string_view text : texts.subspan(short_count)) {
    numbers_.push_back(static_cast<std::int64_t>(text.size()));
  }
  encoder_.numbers(numbers_, bytes_);
  numbers_.clear();
  for (const std::uint32_t id : ids) numbers_.push_back(new_id[id]);
  encoder_.numbers(numbers_, bytes_);
  return {};
}

Result<void> GroupEncoder::add_traces(StoredGroup& group, EncodedGroup& out) {
  const traceql::GroupCounts& counts = directory_.counts;
  GANTRY_TRY(const auto traces, group.traces());
  std::vector<bool> has_spans(counts.traces);
  for (const std::uint32_t trace : traces) {
    if (trace >= counts.traces) return contradiction("a span is in no trace");
    has_spans[trace] = true;
  }
  if (std::ranges::find(has_spans, false) != has_spans.end()) {
    return contradiction("a trace has no span");
  }
  GANTRY_CHECK(add_numbers<std::uint32_t>(FixedColumn::Traces, traces, counts.spans));
  GANTRY_TRY(const auto ids, group.trace_ids());
  out.trace_ids.assign(ids.begin(), ids.end());
  return add_ids(FixedColumn::TraceIds, ids, counts.traces);
}

Result<void> GroupEncoder::add_parents(StoredGroup& group) {
  GANTRY_TRY(const auto ids, group.span_ids());
  GANTRY_TRY(const auto parents, group.parent_ids());
  GANTRY_TRY(const auto traces, group.trace_rows());
  const std::size_t spans = directory_.counts.spans;
  if (ids.size() != spans || parents.size() != spans || traces.rows.size() != spans) {
    return contradiction("not every span has an id and a parent");
  }
  std::vector<std::int64_t> codes;
  std::vector<std::int64_t> far_ids;
  codes.reserve(spans);
  Positions positions;
  for (std::uint32_t trace = 0; trace < directory_.counts.traces; ++trace) {
    const auto rows = traces.of(trace);
    positions.assign(rows, ids);
    for (std::uint32_t at = 0; at < rows.size(); ++at) {
      const telemetry::SpanId parent = parents[rows[at]];
      const auto found = parent == 0 ? std::nullopt : positions.find(parent);
      if (found) {
        codes.push_back(kParentNear + zigzag(static_cast<std::int64_t>(at) - *found));
        continue;
      }
      codes.push_back(parent == 0 ? kParentNone : kParentFar);
      if (parent != 0) far_ids.push_back(static_cast<std::int64_t>(parent));
    }
  }
  encoder_.numbers(codes, bytes_);
  encoder_.numbers(far_ids, bytes_);
  return place(FixedColumn::Parents);
}

Result<void> GroupEncoder::add_times(StoredGroup& group, EncodedGroup& out) {
  const traceql::GroupCounts& counts = directory_.counts;
  GANTRY_TRY(const auto traces, group.traces());
  GANTRY_TRY(const auto starts, group.starts_ns());
  GANTRY_TRY(const auto durations, group.durations_ns());
  GANTRY_TRY(const auto ends, group.ends_ns());
  if (starts.size() != counts.spans || durations.size() != counts.spans ||
      ends.size() != counts.spans || std::ranges::min(durations) < 0) {
    return contradiction("not every span has its times");
  }
  constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> trace_starts(counts.traces, kLatest);
  traceql::GroupBounds& bounds = out.entry.bounds;
  const auto [first, last] = std::ranges::minmax(starts);
  bounds.start_ns_min = first;
  bounds.start_ns_max = last;
  bounds.end_ns_max = std::numeric_limits<std::int64_t>::min();
  for (std::size_t row = 0; row < starts.size(); ++row) {
    std::int64_t& trace_start = trace_starts[traces[row]];
    trace_start = std::min(trace_start, starts[row]);
    bounds.end_ns_max = std::max(bounds.end_ns_max, end_of(starts[row], durations[row]));
  }
  bounds.trace_start_ns_max = std::ranges::max(trace_starts);
  encoder_.numbers(trace_starts, bytes_);
  numbers_.clear();
  for (std::size_t row = 0; row < starts.size(); ++row) {
    numbers_.push_back(subtract(starts[row], trace_starts[traces[row]]));
  }
  encoder_.numbers(numbers_, bytes_);
  GANTRY_CHECK(place(FixedColumn::Starts));
  GANTRY_CHECK(add_numbers<std::int64_t>(FixedColumn::Durations, durations, counts.spans));
  // An end is written only where it is not start plus duration.
  std::vector<std::uint32_t> rows;
  numbers_.clear();
  for (std::uint32_t row = 0; row < counts.spans; ++row) {
    const auto expected =
        static_cast<std::uint64_t>(starts[row]) + static_cast<std::uint64_t>(durations[row]);
    if (ends[row] == expected) continue;
    rows.push_back(row);
    numbers_.push_back(std::bit_cast<std::int64_t>(ends[row]));
  }
  encoder_.rows(rows, counts.spans, bytes_);
  encoder_.numbers(numbers_, bytes_);
  return place(FixedColumn::Ends);
}

Result<void> GroupEncoder::add_nested_sets(StoredGroup& group) {
  GANTRY_TRY(const traceql::NestedSets sets, group.nested_sets());
  GANTRY_TRY(const auto traces, group.traces());
  const std::size_t spans = directory_.counts.spans;
  if (sets.left.size() != spans || sets.right.size() != spans || sets.parent.size() != spans) {
    return contradiction("not every span has its place in the tree");
  }
  std::vector<std::int64_t> last_left(directory_.counts.traces, 0);
  numbers_.clear();
  for (std::size_t row = 0; row < spans; ++row) {
    std::int64_t& last = last_left[traces[row]];
    numbers_.push_back(sets.left[row] - last);
    last = sets.left[row];
  }
  encoder_.numbers(numbers_, bytes_);
  for (std::size_t row = 0; row < spans; ++row) {
    numbers_[row] = std::int64_t{sets.right[row]} - sets.left[row];
  }
  encoder_.numbers(numbers_, bytes_);
  for (std::size_t row = 0; row < spans; ++row) {
    numbers_[row] = std::int64_t{sets.left[row]} - sets.parent[row];
  }
  encoder_.numbers(numbers_, bytes_);
  return place(FixedColumn::NestedSets);
}

Result<void> GroupEncoder::add_span_fields(StoredGroup& group) {
  const std::uint32_t spans = directory_.counts.spans;
  GANTRY_CHECK(add_numbers<telemetry::SpanId>(FixedColumn::SpanIds, group.span_ids(), spans));
  GANTRY_CHECK(add_numbers<std::uint8_t>(FixedColumn::Kinds, group.kinds(), spans));
  GANTRY_CHECK(add_numbers<std::uint8_t>(FixedColumn::Statuses, group.statuses(), spans));
  GANTRY_CHECK(add_texts(FixedColumn::Names, group.names(), spans));
  GANTRY_CHECK(add_texts(FixedColumn::StatusMessages, group.status_messages(), spans));
  GANTRY_CHECK(add_texts(FixedColumn::TraceStates, group.trace_states(), spans));
  GANTRY_CHECK(add_numbers<std::uint32_t>(FixedColumn::Resources, group.resources(), spans));
  GANTRY_CHECK(add_numbers<std::uint32_t>(FixedColumn::Scopes, group.scopes(), spans));
  GANTRY_CHECK(add_rare(FixedColumn::Flags, group.flags(), spans));
  GANTRY_CHECK(add_rare(FixedColumn::DroppedAttributes, group.dropped_attributes(), spans));
  GANTRY_CHECK(add_rare(FixedColumn::DroppedEvents, group.dropped_events(), spans));
  return add_rare(FixedColumn::DroppedLinks, group.dropped_links(), spans);
}

Result<void> GroupEncoder::add_resources_and_scopes(StoredGroup& group) {
  const std::uint32_t resources = directory_.counts.resources;
  const std::uint32_t scopes = directory_.counts.scopes;
  GANTRY_CHECK(add_texts(FixedColumn::ResourceSchemaUrls, group.resource_schema_urls(), resources));
  GANTRY_CHECK(add_rare(FixedColumn::ResourceDroppedAttributes, group.resource_dropped_attributes(),
                        resources));
  GANTRY_CHECK(add_texts(FixedColumn::ScopeNames, group.scope_names(), scopes));
  GANTRY_CHECK(add_texts(FixedColumn::ScopeVersions, group.scope_versions(), scopes));
  GANTRY_CHECK(add_texts(FixedColumn::ScopeSchemaUrls, group.scope_schema_urls(), scopes));
  return add_rare(FixedColumn::ScopeDroppedAttributes, group.scope_dropped_attributes(), scopes);
}

Result<void> GroupEncoder::add_events(StoredGroup& group) {
  const std::uint32_t events = directory_.counts.events;
  GANTRY_TRY(const auto spans, group.event_spans());
  GANTRY_TRY(const auto times, group.event_times_ns());
  GANTRY_TRY(const auto starts, group.starts_ns());
  GANTRY_CHECK(add_numbers<std::uint32_t>(FixedColumn::EventSpans, spans, events));
  if (times.size() != events) return contradiction("not every event has its time");
  numbers_.clear();
  for (std::size_t row = 0; row < events; ++row) {
    if (spans[row] >= starts.size()) return contradiction("an event is in no span");
    numbers_.push_back(subtract(times[row], starts[spans[row]]));
  }
  encoder_.numbers(numbers_, bytes_);
  GANTRY_CHECK(place(FixedColumn::EventTimes));
  GANTRY_CHECK(add_texts(FixedColumn::EventNames, group.event_names(), events));
  return add_rare(FixedColumn::EventDroppedAttributes, group.event_dropped_attributes(), events);
}

Result<void> GroupEncoder::add_links(StoredGroup& group) {
  const std::uint32_t links = directory_.counts.links;
  GANTRY_CHECK(add_numbers<std::uint32_t>(FixedColumn::LinkSpans, group.link_spans(), links));
  GANTRY_CHECK(add_ids(FixedColumn::LinkTraceIds, group.link_trace_ids(), links));
  GANTRY_CHECK(
      add_numbers<telemetry::SpanId>(FixedColumn::LinkSpanIds, group.link_span_ids(), links));
  GANTRY_CHECK(add_texts(FixedColumn::LinkTraceStates, group.link_trace_states(), links));
  GANTRY_CHECK(add_rare(FixedColumn::LinkFlags, group.link_flags(), links));
  return add_rare(FixedColumn::LinkDroppedAttributes, group.link_dropped_attributes(), links);
}

Result<void> GroupEncoder::add_attribute(const traceql::ColumnKey& key, const Column& column,
                                         EncodedGroup& out) {
  const std::uint32_t row_count = directory_.counts.rows(key.table);
  const std::size_t expected = column.is_dense ? row_count : column.rows.size();
  if (column.size() != expected || expected > row_count) {
    return contradiction("an attribute has too many or too few values");
  }
  if (expected == 0) return {};
  AttributeEntry& entry = directory_.attributes.emplace_back();
  entry.table = key.table;
  entry.key = key.key;
  entry.type = column.type;
  if (column.is_dense) {
    ByteWriter(bytes_).varint(row_count);
  } else {
    encoder_.rows(column.rows, row_count, bytes_);
  }
  switch (column.type) {
    case ColumnType::String:
    case ColumnType::Encoded:
      GANTRY_CHECK(append_texts(column.ids, column.dictionary, entry.place));
      break;
    case ColumnType::Int:
      append_numbers(column.ints);
      break;
    case ColumnType::Double:
      numbers_.clear();
      for (const double value : column.doubles) {
        numbers_.push_back(std::bit_cast<std::int64_t>(value));
      }
      encoder_.numbers(numbers_, bytes_);
      break;
    case ColumnType::Bool:
      append_numbers(column.bools);
      break;
  }
  if (column.type == ColumnType::String) {
    for (const std::string_view text : used_texts_) {
      out.text_hashes.push_back(hash_attribute_text(key.key, text));
    }
  } else if (column.type == ColumnType::Encoded) {
    out.text_hashes.push_back(hash_encoded_attribute(key.key));
  }
  return place(entry.place);
}

Result<void> GroupEncoder::add_attributes(StoredGroup& group, EncodedGroup& out) {
  for (const Table table : kTables) {
    GANTRY_TRY(const auto keys, group.keys(table));
    for (const std::string_view key : keys) {
      GANTRY_TRY(const auto columns, group.columns({.table = table, .key = key}));
      std::vector<Column> sorted(columns.begin(), columns.end());
      std::ranges::sort(sorted, {}, &Column::type);
      for (const Column& column : sorted) {
        GANTRY_CHECK(add_attribute({.table = table, .key = key}, column, out));
      }
    }
  }
  return {};
}

Result<EncodedGroup> GroupEncoder::encode(StoredGroup& group) {
  EncodedGroup out;
  const std::uint64_t start_bytes = file_.size_bytes();
  directory_.counts = group.counts();
  directory_.fixed = {};
  directory_.attributes.clear();
  const traceql::GroupCounts& counts = directory_.counts;
  for (const std::uint32_t count : {counts.spans, counts.traces, counts.resources, counts.scopes,
                                    counts.events, counts.links}) {
    if (count > kGroupRowsMax) {
      return fail(Code::ResourceExhausted,
                  fmt::format("a group of spans has a table of {} rows, the limit is {}", count,
                              kGroupRowsMax));
    }
  }
  GANTRY_CHECK(add_traces(group, out));
  GANTRY_CHECK(add_parents(group));
  GANTRY_CHECK(add_times(group, out));
  GANTRY_CHECK(add_nested_sets(group));
  GANTRY_CHECK(add_span_fields(group));
  GANTRY_CHECK(add_resources_and_scopes(group));
  GANTRY_CHECK(add_events(group));
  GANTRY_CHECK(add_links(group));
  GANTRY_CHECK(add_attributes(group, out));
  GANTRY_CHECK(close_shared_frame());
  std::vector<std::byte> directory;
  append_directory(directory_, directory);
  GANTRY_TRY(out.entry.directory_frame, file_.add(directory, level_));
  out.entry.trace_count = counts.traces;
  out.entry.bounds.spans = counts.spans;
  out.entry.bounds.bytes = file_.size_bytes() - start_bytes;
  return out;
}

}  // namespace gantry::traces
