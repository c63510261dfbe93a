#include "traces/block/column_loader.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "storage/byte_order.h"
#include "traces/block/column_codec.h"

namespace gantry::traces {
namespace {

using storage::ByteReader;
using traceql::ColumnType;

constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kUint32Max = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kUint8Max = std::numeric_limits<std::uint8_t>::max();

std::int64_t add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

std::int64_t unzigzag(std::int64_t value) {
  return (value & 1) == 0 ? value / 2 : -(value / 2) - 1;
}

/// What a kind of column is, as far as decoding goes.
enum class Shape : std::uint8_t {
  Traces,
  TraceIds,
  SpanIds,
  Parents,
  Starts,
  Durations,
  Ends,
  Bytes,
  Texts,
  References,
  NestedSets,
  Rare,
  EventTimes,
};

struct ColumnShape {
  Shape shape = Shape::Rare;
  std::uint32_t rows = 0;
  std::uint32_t limit = 0;  ///< References are below this.
  bool ascends = false;
};

ColumnShape shape_of(FixedColumn column, const traceql::GroupCounts& counts) {
  switch (column) {
    case FixedColumn::Traces:
      return {.shape = Shape::Traces, .rows = counts.spans, .limit = counts.traces};
    case FixedColumn::TraceIds:
      return {.shape = Shape::TraceIds, .rows = counts.traces};
    case FixedColumn::SpanIds:
      return {.shape = Shape::SpanIds, .rows = counts.spans};
    case FixedColumn::Parents:
      return {.shape = Shape::Parents, .rows = counts.spans};
    case FixedColumn::Starts:
      return {.shape = Shape::Starts, .rows = counts.spans};
    case FixedColumn::Durations:
      return {.shape = Shape::Durations, .rows = counts.spans};
    case FixedColumn::Ends:
      return {.shape = Shape::Ends, .rows = counts.spans};
    case FixedColumn::Kinds:
    case FixedColumn::Statuses:
      return {.shape = Shape::Bytes, .rows = counts.spans};
    case FixedColumn::Names:
    case FixedColumn::StatusMessages:
    case FixedColumn::TraceStates:
      return {.shape = Shape::Texts, .rows = counts.spans};
    case FixedColumn::Resources:
      return {.shape = Shape::References, .rows = counts.spans, .limit = counts.resources};
    case FixedColumn::Scopes:
      return {.shape = Shape::References, .rows = counts.spans, .limit = counts.scopes};
    case FixedColumn::NestedSets:
      return {.shape = Shape::NestedSets, .rows = counts.spans};
    case FixedColumn::Flags:
    case FixedColumn::DroppedAttributes:
    case FixedColumn::DroppedEvents:
    case FixedColumn::DroppedLinks:
      return {.shape = Shape::Rare, .rows = counts.spans};
    case FixedColumn::ResourceSchemaUrls:
      return {.shape = Shape::Texts, .rows = counts.resources};
    case FixedColumn::ResourceDroppedAttributes:
      return {.shape = Shape::Rare, .rows = counts.resources};
    case FixedColumn::ScopeNames:
    case FixedColumn::ScopeVersions:
    case FixedColumn::ScopeSchemaUrls:
      return {.shape = Shape::Texts, .rows = counts.scopes};
    case FixedColumn::ScopeDroppedAttributes:
      return {.shape = Shape::Rare, .rows = counts.scopes};
    case FixedColumn::EventSpans:
      return {.shape = Shape::References,
              .rows = counts.events,
              .limit = counts.spans,
              .ascends = true};
    case FixedColumn::EventTimes:
      return {.shape = Shape::EventTimes, .rows = counts.events};
    case FixedColumn::EventNames:
      return {.shape = Shape::Texts, .rows = counts.events};
    case FixedColumn::EventDroppedAttributes:
      return {.shape = Shape::Rare, .rows = counts.events};
    case FixedColumn::LinkSpans:
      return {
          .shape = Shape::References, .rows = counts.links, .limit = counts.spans, .ascends = true};
    case FixedColumn::LinkTraceIds:
      return {.shape = Shape::TraceIds, .rows = counts.links};
    case FixedColumn::LinkSpanIds:
      return {.shape = Shape::SpanIds, .rows = counts.links};
    case FixedColumn::LinkTraceStates:
      return {.shape = Shape::Texts, .rows = counts.links};
    case FixedColumn::LinkFlags:
    case FixedColumn::LinkDroppedAttributes:
      return {.shape = Shape::Rare, .rows = counts.links};
  }
  return {};
}

void decode_words(ByteReader& reader, std::size_t count, std::vector<std::uint64_t>& out) {
  decode_numbers_within(reader, count, kInt64Min, kInt64Max, out);
}

/// Below `limit`; with a limit of 0 there may be no reference.
void decode_references(ByteReader& reader, const ColumnShape& shape, DecodedColumn& out) {
  decode_numbers_within(reader, shape.rows, 0, std::int64_t{shape.limit} - 1, out.ids);
  if (shape.ascends && !std::ranges::is_sorted(out.ids)) reader.fail();
}

void decode_traces(ByteReader& reader, const ColumnShape& shape, DecodedColumn& out) {
  decode_references(reader, shape, out);
  if (reader.failed()) return;
  std::vector<bool> has_spans(shape.limit);
  for (const std::uint32_t trace : out.ids) has_spans[trace] = true;
  if (std::ranges::find(has_spans, false) != has_spans.end()) reader.fail();
}

void decode_trace_ids(ByteReader& reader, std::size_t count, DecodedColumn& out) {
  out.trace_ids.resize(count);
  std::vector<std::uint64_t> halves;
  for (const std::size_t half : {std::size_t{0}, sizeof(std::uint64_t)}) {
    decode_words(reader, count, halves);
    if (reader.failed()) return;
    for (std::size_t i = 0; i < count; ++i) {
      storage::store_le(std::as_writable_bytes(std::span(out.trace_ids[i].bytes)).data() + half,
                        halves[i]);
    }
  }
}

void decode_parents(ByteReader& reader, const ColumnContext& context, DecodedColumn& out) {
  std::vector<std::int64_t> codes(context.counts.spans);
  decode_numbers(reader, codes);
  const auto far_count = static_cast<std::size_t>(std::ranges::count(codes, kParentFar));
  std::vector<std::uint64_t> far_ids;
  decode_words(reader, far_count, far_ids);
  if (reader.failed()) return;
  out.words.assign(codes.size(), 0);
  std::size_t next = 0;
  std::size_t next_far = 0;
  for (std::uint32_t trace = 0; trace < context.counts.traces; ++trace) {
    const auto rows = context.trace_rows.of(trace);
    for (std::size_t at = 0; at < rows.size(); ++at) {
      const std::int64_t code = codes[next++];
      if (code == kParentNone) continue;
      if (code == kParentFar) {
        out.words[rows[at]] = far_ids[next_far++];
        continue;
      }
      if (code < kParentNear) return reader.fail();
      const auto parent = static_cast<std::int64_t>(at) - unzigzag(code - kParentNear);
      if (parent < 0 || parent >= static_cast<std::int64_t>(rows.size())) return reader.fail();
      out.words[rows[at]] = context.span_ids[rows[static_cast<std::size_t>(parent)]];
    }
  }
}

void decode_starts(ByteReader& reader, const ColumnContext& context, DecodedColumn& out) {
  std::vector<std::int64_t> trace_starts(context.counts.traces);
  decode_numbers(reader, trace_starts);
  out.ints.resize(context.counts.spans);
  decode_numbers(reader, out.ints);
  if (reader.failed()) return;
  for (std::size_t row = 0; row < out.ints.size(); ++row) {
    out.ints[row] = add(out.ints[row], trace_starts[context.traces[row]]);
  }
}

void decode_ends(ByteReader& reader, const ColumnContext& context, DecodedColumn& out) {
  const std::uint32_t spans = context.counts.spans;
  std::vector<std::uint32_t> rows;
  std::vector<std::uint64_t> ends;
  const std::size_t count = decode_rows(reader, spans, rows);
  decode_words(reader, count, ends);
  if (reader.failed()) return;
  out.words.resize(spans);
  for (std::size_t row = 0; row < spans; ++row) {
    out.words[row] = static_cast<std::uint64_t>(context.starts[row]) +
                     static_cast<std::uint64_t>(context.durations[row]);
  }
  for (std::size_t i = 0; i < count; ++i) out.words[rows.empty() ? i : rows[i]] = ends[i];
}

void decode_nested_sets(ByteReader& reader, const ColumnContext& context, DecodedColumn& out) {
  const std::size_t spans = context.counts.spans;
  // Each span takes two numbers of its trace's.
  const std::int64_t limit = 2 * static_cast<std::int64_t>(spans);
  decode_numbers_within(reader, spans, -limit, limit, out.left);
  decode_numbers_within(reader, spans, -limit, limit, out.right);
  decode_numbers_within(reader, spans, -limit, limit + 1, out.parent);
  if (reader.failed()) return;
  std::vector<std::int32_t> last_left(context.counts.traces, 0);
  bool is_within = true;
  for (std::size_t row = 0; row < spans; ++row) {
    // No sum of two of these overflows: all are at most 2^26.
    std::int32_t& last = last_left[context.traces[row]];
    last += out.left[row];
    is_within &= last >= 0 && last <= limit;
    if (!is_within) return reader.fail();
    out.left[row] = last;
    out.right[row] += last;
    out.parent[row] = last - out.parent[row];
    is_within &= out.right[row] >= 0 && out.right[row] <= limit;
    is_within &= out.parent[row] >= -1 && out.parent[row] <= limit;
  }
  if (!is_within) reader.fail();
}

void decode_rare(ByteReader& reader, std::uint32_t row_count, DecodedColumn& out) {
  const std::size_t count = decode_rows(reader, row_count, out.rows);
  decode_numbers_within(reader, count, 0, kUint32Max, out.ids);
  if (reader.failed() || count != row_count) return;
  // RareNumbers has no short form for all rows.
  out.rows.resize(count);
  for (std::uint32_t row = 0; row < count; ++row) out.rows[row] = row;
}

void decode_event_times(ByteReader& reader, const ColumnContext& context, DecodedColumn& out) {
  out.ints.resize(context.counts.events);
  decode_numbers(reader, out.ints);
  if (reader.failed()) return;
  for (std::size_t row = 0; row < out.ints.size(); ++row) {
    out.ints[row] = add(out.ints[row], context.starts[context.event_spans[row]]);
  }
}

void decode_values(ByteReader& reader, ColumnType type, std::size_t count, DecodedColumn& out) {
  switch (type) {
    case ColumnType::Int:
      out.ints.resize(count);
      return decode_numbers(reader, out.ints);
    case ColumnType::Double: {
      std::vector<std::int64_t> bits(count);
      decode_numbers(reader, bits);
      out.doubles.resize(count);
      std::ranges::transform(bits, out.doubles.begin(),
                             [](std::int64_t value) { return std::bit_cast<double>(value); });
      return;
    }
    case ColumnType::Bool:
      return decode_numbers_within(reader, count, 0, 1, out.bytes);
    case ColumnType::String:
    case ColumnType::Encoded:
      return;
  }
}

}  // namespace

Result<std::span<const std::byte>> ColumnLoader::piece(const ColumnPlace& place) {
  if (frame_.empty() || frame_number_ != place.frame) {
    GANTRY_TRY(frame_, file_.read(place.frame));
    frame_number_ = place.frame;
  }
  if (place.offset > frame_.size() || place.bytes > frame_.size() - place.offset) {
    return file_.damaged("a column lies outside its frame");
  }
  return std::span<const std::byte>(frame_).subspan(place.offset, place.bytes);
}

Result<void> ColumnLoader::decode_dictionary(ByteReader& reader, const ColumnPlace& place,
                                             std::size_t value_count, DecodedColumn& out) {
  const std::uint64_t short_count = reader.varint();
  const std::uint64_t long_count = reader.varint();
  if (short_count > value_count || long_count > value_count - short_count) reader.fail();
  if (reader.failed()) return {};
  TextArray texts;
  decode_texts(reader, short_count, texts);
  std::vector<std::uint32_t> lengths;
  decode_numbers_within(reader, long_count, 0, kUint32Max, lengths);
  const auto dictionary_size = static_cast<std::int64_t>(short_count + long_count);
  decode_numbers_within(reader, value_count, 0, dictionary_size - 1, out.ids);
  if (reader.failed()) return {};
  const std::uint64_t short_bytes = texts.bytes.size();
  std::uint64_t end = short_bytes;
  for (const std::uint32_t length : lengths) texts.ends.push_back(end += length);
  if (end - short_bytes > kColumnTextBytesMax) return file_.damaged("texts are too long");
  for (std::uint32_t i = 0; i < place.text_frame_count; ++i) {
    GANTRY_TRY(const auto frame, file_.read(place.first_text_frame + i));
    if (texts.bytes.size() + frame.size() > end) return file_.damaged("texts are too long");
    const auto* bytes = reinterpret_cast<const char*>(frame.data());
    texts.bytes.insert(texts.bytes.end(), bytes, bytes + frame.size());
    out.stored_bytes += frame.size();
  }
  if (texts.bytes.size() != end) return file_.damaged("texts are missing");
  out.text = std::move(texts.bytes);
  out.texts.reserve(texts.ends.size());
  std::uint64_t start = 0;
  for (const std::uint64_t text_end : texts.ends) {
    out.texts.emplace_back(out.text.data() + start, text_end - start);
    start = text_end;
  }
  return {};
}

Result<std::shared_ptr<const DecodedColumn>> ColumnLoader::load_fixed(
    FixedColumn column, const ColumnPlace& place, const ColumnContext& context) {
  GANTRY_TRY(const std::span<const std::byte> bytes, piece(place));
  auto out = std::make_shared<DecodedColumn>();
  out->stored_bytes = bytes.size();
  const ColumnShape shape = shape_of(column, context.counts);
  ByteReader reader(bytes);
  switch (shape.shape) {
    case Shape::Traces:
      decode_traces(reader, shape, *out);
      break;
    case Shape::TraceIds:
      decode_trace_ids(reader, shape.rows, *out);
      break;
    case Shape::SpanIds:
      decode_words(reader, shape.rows, out->words);
      break;
    case Shape::Parents:
      decode_parents(reader, context, *out);
      break;
    case Shape::Starts:
      decode_starts(reader, context, *out);
      break;
    case Shape::Durations:
      decode_numbers_within(reader, shape.rows, 0, kInt64Max, out->ints);
      break;
    case Shape::Ends:
      decode_ends(reader, context, *out);
      break;
    case Shape::Bytes:
      decode_numbers_within(reader, shape.rows, 0, kUint8Max, out->bytes);
      break;
    case Shape::Texts:
      GANTRY_CHECK(decode_dictionary(reader, place, shape.rows, *out));
      break;
    case Shape::References:
      decode_references(reader, shape, *out);
      break;
    case Shape::NestedSets:
      decode_nested_sets(reader, context, *out);
      break;
    case Shape::Rare:
      decode_rare(reader, shape.rows, *out);
      break;
    case Shape::EventTimes:
      decode_event_times(reader, context, *out);
      break;
  }
  if (!reader.at_end()) return file_.damaged("a column is not what it says");
  return out;
}

Result<std::shared_ptr<const DecodedColumn>> ColumnLoader::load_attribute(
    const AttributeEntry& entry, std::uint32_t row_count) {
  GANTRY_TRY(const std::span<const std::byte> bytes, piece(entry.place));
  auto out = std::make_shared<DecodedColumn>();
  out->stored_bytes = bytes.size();
  ByteReader reader(bytes);
  const std::size_t count = decode_rows(reader, row_count, out->rows);
  if (reader.failed()) return file_.damaged("an attribute's rows are not rows");
  out->is_dense = count > 0 && count == row_count;
  if (entry.type == ColumnType::String || entry.type == ColumnType::Encoded) {
    GANTRY_CHECK(decode_dictionary(reader, entry.place, count, *out));
  } else {
    decode_values(reader, entry.type, count, *out);
  }
  if (!reader.at_end()) return file_.damaged("an attribute is not what it says");
  return out;
}

}  // namespace gantry::traces
