#include "metrics/log/log_record.h"

#include <algorithm>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include "metrics/encoding/histogram_block.h"
#include "metrics/encoding/value_block.h"
#include "storage/byte_cursor.h"

namespace gantry::metrics {
namespace {

constexpr std::uint8_t kHasStarts = 1;
constexpr std::uint8_t kHasOverwrites = 2;

std::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::DataLoss, "malformed log record: " + std::string(what));
}

class StringTable {
 public:
  std::uint32_t id(std::string_view text) {
    const auto [entry, is_new] = ids_.try_emplace(text, static_cast<std::uint32_t>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return entry->second;
  }

  [[nodiscard]] std::span<const std::string_view> texts() const { return texts_; }

 private:
  boost::unordered_flat_map<std::string_view, std::uint32_t> ids_;
  std::vector<std::string_view> texts_;
};

void encode_definitions(const BatchRecord& record, storage::ByteWriter& writer) {
  StringTable strings;
  std::vector<std::byte> body;
  storage::ByteWriter body_writer(body);
  for (const SeriesDefinition& definition : record.definitions) {
    body_writer.varint(definition.series);
    body_writer.varint(definition.labels.size());
    for (const telemetry::LabelView& label : definition.labels) {
      body_writer.varint(strings.id(label.name));
      body_writer.varint(strings.id(label.value));
    }
  }
  writer.varint(strings.texts().size());
  for (const std::string_view text : strings.texts()) writer.string(text);
  writer.varint(record.definitions.size());
  writer.bytes(body);
}

/// Writes without looking at a vector's end for each byte: the caller has made room for it.
class Cursor {
 public:
  explicit Cursor(std::byte* at) : at_(at) {}

  void varint(std::uint64_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<std::byte>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<std::byte>(value);
  }

  void svarint(std::int64_t value) {
    varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }

  [[nodiscard]] std::byte* at() const { return at_; }

 private:
  std::byte* at_;
};

/// Series ids and times: differences from sample to sample. Hot: per sample.
template <class Sample, class Time>
void encode_positions(std::span<const Sample> samples, const Time& time,
                      std::vector<std::byte>& out) {
  constexpr std::size_t kBytesMax = 5 + 10;
  const std::size_t size = out.size();
  out.resize(size + samples.size() * kBytesMax);
  Cursor cursor(out.data() + size);
  std::uint32_t series = 0;
  for (const Sample& sample : samples) {
    cursor.svarint(static_cast<std::int64_t>(sample.series) - static_cast<std::int64_t>(series));
    series = sample.series;
  }
  std::uint64_t last = 0;
  for (const Sample& sample : samples) {
    // Unsigned: a difference of far apart times wraps and wraps back.
    const auto now = static_cast<std::uint64_t>(time(sample));
    cursor.svarint(static_cast<std::int64_t>(now - last));
    last = now;
  }
  out.resize(static_cast<std::size_t>(cursor.at() - out.data()));
}

template <class Sample>
std::uint8_t flags_of(std::span<const Sample> samples, bool has_starts) {
  const bool has_overwrites = std::ranges::any_of(
      samples, [](const Sample& sample) { return sample.mode == StoreMode::Overwrite; });
  return static_cast<std::uint8_t>((has_starts ? kHasStarts : 0) |
                                   (has_overwrites ? kHasOverwrites : 0));
}

void encode_floats(std::span<const PlannedFloat> floats, std::vector<std::byte>& out) {
  storage::ByteWriter writer(out);
  writer.varint(floats.size());
  if (floats.empty()) return;
  const bool has_starts = std::ranges::any_of(
      floats, [](const PlannedFloat& sample) { return sample.point.start_timestamp_ms != 0; });
  const std::uint8_t flags = flags_of(floats, has_starts);
  writer.u8(flags);
  encode_positions(floats, [](const PlannedFloat& s) { return s.point.timestamp_ms; }, out);
  const std::size_t size = out.size();
  out.resize(size + floats.size() * sizeof(double));
  std::byte* at = out.data() + size;
  for (const PlannedFloat& sample : floats) {
    std::memcpy(at, &sample.point.value, sizeof(double));
    at += sizeof(double);
  }
  if (has_starts) {
    for (const PlannedFloat& sample : floats) writer.svarint(sample.point.start_timestamp_ms);
  }
  if ((flags & kHasOverwrites) != 0) {
    for (const PlannedFloat& sample : floats) writer.u8(static_cast<std::uint8_t>(sample.mode));
  }
}

/// The codec takes so many histograms and so many of their buckets at once.
std::size_t histogram_group(std::span<const PlannedHistogram> histograms, std::size_t first) {
  std::size_t cells = 0;
  std::size_t last = first;
  while (last < histograms.size() && last - first < storage::kBlockValuesMax) {
    cells += std::visit(
        [](const auto& h) {
          return h.positive_counts.size() + h.negative_counts.size() + std::size_t{1};
        },
        *histograms[last].histogram);
    if (last > first && cells > kHistogramBlockCellsMax) break;
    ++last;
  }
  return last - first;
}

void encode_histogram_section(std::span<const PlannedHistogram> histograms,
                              std::vector<std::byte>& out) {
  storage::ByteWriter writer(out);
  writer.varint(histograms.size());
  if (histograms.empty()) return;
  const bool has_starts = std::ranges::any_of(
      histograms, [](const PlannedHistogram& sample) { return sample.start_timestamp_ms != 0; });
  const std::uint8_t flags = flags_of(histograms, has_starts);
  writer.u8(flags);
  encode_positions(histograms, [](const PlannedHistogram& s) { return s.timestamp_ms; }, out);
  if (has_starts) {
    for (const PlannedHistogram& sample : histograms) writer.svarint(sample.start_timestamp_ms);
  }
  if ((flags & kHasOverwrites) != 0) {
    for (const PlannedHistogram& sample : histograms) {
      writer.u8(static_cast<std::uint8_t>(sample.mode));
    }
  }
  std::vector<telemetry::NativeHistogram> group;
  std::vector<std::byte> encoded;
  for (std::size_t first = 0; first < histograms.size();) {
    const std::size_t count = histogram_group(histograms, first);
    group.clear();
    for (std::size_t i = first; i < first + count; ++i) group.push_back(*histograms[i].histogram);
    encoded.clear();
    encode_histograms(group, encoded);
    writer.varint(count);
    writer.varint(encoded.size());
    writer.bytes(encoded);
    first += count;
  }
}

void encode_exemplars(std::span<const PlannedExemplar> exemplars, storage::ByteWriter& writer) {
  writer.varint(exemplars.size());
  for (const PlannedExemplar& exemplar : exemplars) {
    writer.varint(exemplar.series);
    writer.svarint(exemplar.timestamp_ms);
    writer.f64(exemplar.value);
    writer.varint(exemplar.labels.size());
    for (const telemetry::LabelView& label : exemplar.labels) {
      writer.string(label.name);
      writer.string(label.value);
    }
  }
}

// Spans into a growing vector would dangle: a first pass notes counts, `bind` makes the spans.

void decode_definitions(storage::ByteReader& reader, DecodedBatch& out,
                        std::vector<std::size_t>& label_counts) {
  const std::size_t string_count = reader.count(1);
  for (std::size_t i = 0; i < string_count && !reader.failed(); ++i) {
    out.strings.push_back(reader.string());
  }
  const std::size_t count = reader.count(2);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    out.record.definitions.push_back({.series = static_cast<std::uint32_t>(reader.varint())});
    label_counts.push_back(reader.count(2));
    for (std::size_t label = 0; label < label_counts.back(); ++label) {
      const std::uint64_t name = reader.varint();
      const std::uint64_t value = reader.varint();
      if (name >= out.strings.size() || value >= out.strings.size()) {
        reader.bytes(reader.rest().size() + 1);
        return;
      }
      out.labels.push_back({.name = out.strings[name], .value = out.strings[value]});
    }
  }
}

template <class Sample, class Time>
void decode_positions(storage::ByteReader& reader, std::span<Sample> samples, const Time& time) {
  std::int64_t series = 0;
  for (Sample& sample : samples) {
    series += static_cast<std::int32_t>(reader.svarint());
    sample.series = static_cast<std::uint32_t>(series);
  }
  std::uint64_t last = 0;
  for (Sample& sample : samples) {
    last += static_cast<std::uint64_t>(reader.svarint());
    time(sample) = static_cast<std::int64_t>(last);
  }
}

template <class Sample>
void decode_modes(storage::ByteReader& reader, std::uint8_t flags, std::span<Sample> samples) {
  if ((flags & kHasOverwrites) == 0) return;
  for (Sample& sample : samples) {
    sample.mode = reader.u8() == 0 ? StoreMode::Insert : StoreMode::Overwrite;
  }
}

void decode_floats(storage::ByteReader& reader, std::vector<PlannedFloat>& floats) {
  floats.resize(reader.count(2 + sizeof(double)));
  if (floats.empty()) return;
  const std::uint8_t flags = reader.u8();
  decode_positions(reader, std::span(floats),
                   [](PlannedFloat& s) -> std::int64_t& { return s.point.timestamp_ms; });
  const std::span<const std::byte> values = reader.bytes(floats.size() * sizeof(double));
  if (reader.failed()) return;
  for (std::size_t i = 0; i < floats.size(); ++i) {
    std::memcpy(&floats[i].point.value, values.data() + i * sizeof(double), sizeof(double));
  }
  if ((flags & kHasStarts) != 0) {
    for (PlannedFloat& sample : floats) sample.point.start_timestamp_ms = reader.svarint();
  }
  decode_modes(reader, flags, std::span(floats));
}

Result<void> decode_histogram_section(storage::ByteReader& reader, DecodedBatch& out) {
  std::vector<PlannedHistogram>& samples = out.record.histograms;
  samples.resize(reader.count(2));
  if (samples.empty()) return {};
  const std::uint8_t flags = reader.u8();
  decode_positions(reader, std::span(samples),
                   [](PlannedHistogram& s) -> std::int64_t& { return s.timestamp_ms; });
  if ((flags & kHasStarts) != 0) {
    for (PlannedHistogram& sample : samples) sample.start_timestamp_ms = reader.svarint();
  }
  decode_modes(reader, flags, std::span(samples));
  out.histograms.resize(samples.size());
  for (std::size_t first = 0; first < samples.size();) {
    const std::uint64_t count = reader.varint();
    const std::span<const std::byte> encoded = reader.bytes(reader.count(1));
    if (reader.failed() || count == 0 || count > samples.size() - first) {
      return malformed("histogram group");
    }
    GANTRY_CHECK(decode_histograms(
        encoded, std::span(out.histograms).subspan(first, static_cast<std::size_t>(count))));
    first += static_cast<std::size_t>(count);
  }
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i].histogram = &out.histograms[i];
  return {};
}

void decode_exemplars(storage::ByteReader& reader, DecodedBatch& out,
                      std::vector<std::size_t>& label_counts) {
  const std::size_t count = reader.count(1 + 1 + sizeof(double) + 1);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    PlannedExemplar exemplar;
    exemplar.series = static_cast<std::uint32_t>(reader.varint());
    exemplar.timestamp_ms = reader.svarint();
    exemplar.value = reader.f64();
    label_counts.push_back(reader.count(2));
    for (std::size_t label = 0; label < label_counts.back(); ++label) {
      const std::string_view name = reader.string();
      out.labels.push_back({.name = name, .value = reader.string()});
    }
    out.record.exemplars.push_back(exemplar);
  }
}

void bind_labels(DecodedBatch& out, std::span<const std::size_t> label_counts) {
  std::size_t next = 0;
  std::size_t at = 0;
  const auto take = [&] {
    const std::span<const telemetry::LabelView> labels =
        std::span(out.labels).subspan(at, label_counts[next]);
    at += label_counts[next++];
    return labels;
  };
  for (SeriesDefinition& definition : out.record.definitions) definition.labels = take();
  for (PlannedExemplar& exemplar : out.record.exemplars) exemplar.labels = take();
}

}  // namespace

void BatchRecord::clear() {
  definitions.clear();
  floats.clear();
  histograms.clear();
  exemplars.clear();
}

void encode_batch(const BatchRecord& record, std::vector<std::byte>& out) {
  out.clear();
  storage::ByteWriter writer(out);
  encode_definitions(record, writer);
  encode_floats(record.floats, out);
  encode_histogram_section(record.histograms, out);
  encode_exemplars(record.exemplars, writer);
}

Result<void> decode_batch(std::span<const std::byte> payload, DecodedBatch& out) {
  out.record.clear();
  out.strings.clear();
  out.labels.clear();
  out.histograms.clear();
  storage::ByteReader reader(payload);
  std::vector<std::size_t> label_counts;
  decode_definitions(reader, out, label_counts);
  decode_floats(reader, out.record.floats);
  GANTRY_CHECK(decode_histogram_section(reader, out));
  decode_exemplars(reader, out, label_counts);
  if (!reader.at_end()) return malformed("batch");
  bind_labels(out, label_counts);
  return {};
}

void encode_metadata(std::span<const telemetry::MetricMetadata> entries,
                     std::vector<std::byte>& out) {
  out.clear();
  storage::ByteWriter writer(out);
  writer.varint(entries.size());
  for (const telemetry::MetricMetadata& entry : entries) {
    writer.string(entry.family);
    writer.u8(static_cast<std::uint8_t>(entry.type));
    writer.string(entry.help);
    writer.string(entry.unit);
  }
}

Result<std::vector<telemetry::MetricMetadata>> decode_metadata(std::span<const std::byte> payload) {
  storage::ByteReader reader(payload);
  std::vector<telemetry::MetricMetadata> entries(reader.count(4));
  for (telemetry::MetricMetadata& entry : entries) {
    entry.family = reader.string();
    const std::uint8_t type = reader.u8();
    if (type > static_cast<std::uint8_t>(telemetry::MetricType::StateSet)) {
      return malformed("metadata type");
    }
    entry.type = static_cast<telemetry::MetricType>(type);
    entry.help = reader.string();
    entry.unit = reader.string();
  }
  if (!reader.at_end()) return malformed("metadata");
  return entries;
}

void encode_delete(std::span<const promql::Matcher> matchers, std::int64_t start_ms,
                   std::int64_t end_ms, std::vector<std::byte>& out) {
  out.clear();
  storage::ByteWriter writer(out);
  writer.svarint(start_ms);
  writer.svarint(end_ms);
  writer.varint(matchers.size());
  for (const promql::Matcher& matcher : matchers) {
    writer.u8(static_cast<std::uint8_t>(matcher.op()));
    writer.string(matcher.name());
    writer.string(matcher.value());
  }
}

Result<DeleteRecord> decode_delete(std::span<const std::byte> payload) {
  storage::ByteReader reader(payload);
  DeleteRecord record;
  record.start_ms = reader.svarint();
  record.end_ms = reader.svarint();
  const std::size_t count = reader.count(3);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    const std::uint8_t op = reader.u8();
    std::string name(reader.string());
    std::string value(reader.string());
    if (op > static_cast<std::uint8_t>(promql::MatchOp::NotRegex)) return malformed("matcher");
    GANTRY_TRY(promql::Matcher matcher, promql::Matcher::make(static_cast<promql::MatchOp>(op),
                                                              std::move(name), std::move(value)));
    record.matchers.push_back(std::move(matcher));
  }
  if (!reader.at_end()) return malformed("delete");
  return record;
}

}  // namespace gantry::metrics
