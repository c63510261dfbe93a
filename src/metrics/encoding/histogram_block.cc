#include "metrics/encoding/histogram_block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

#include "metrics/encoding/read_hints.h"
#include "metrics/encoding/value_block.h"
#include "metrics/encoding/value_block_internal.h"
#include "storage/byte_cursor.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

using telemetry::BasicHistogram;
using telemetry::BucketSpan;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using telemetry::IntegerHistogram;
using telemetry::NativeHistogram;

// A block is a sequence of groups; the histograms of a group have one flavour and one layout.
constexpr std::uint8_t kFloatFlavour = 1;

/// What stays the same within a group.
struct Layout {
  std::int32_t schema = 0;
  double zero_threshold = 0;
  std::vector<BucketSpan> positive_spans;
  std::vector<BucketSpan> negative_spans;
  std::vector<double> custom_values;
  std::size_t positive_count = 0;
  std::size_t negative_count = 0;
};

std::size_t bucket_count(std::span<const BucketSpan> spans) {
  return std::accumulate(spans.begin(), spans.end(), std::size_t{0},
                         [](std::size_t sum, const BucketSpan& span) { return sum + span.length; });
}

template <class Count>
bool has_same_layout(const BasicHistogram<Count>& a, const BasicHistogram<Count>& b) {
  const auto same_bits = [](double x, double y) {
    return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
  };
  return a.schema == b.schema && same_bits(a.zero_threshold, b.zero_threshold) &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans &&
         std::ranges::equal(a.custom_values, b.custom_values, same_bits);
}

void append_spans(std::span<const BucketSpan> spans, std::vector<std::byte>& out) {
  storage::ByteWriter(out).varint(spans.size());
  for (const BucketSpan& span : spans) {
    storage::ByteWriter(out).svarint(span.offset);
    storage::ByteWriter(out).varint(span.length);
  }
}

void append_column(std::span<const std::uint64_t> values, std::vector<std::byte>& out) {
  // The same bits as signed numbers: counts stay small and positive either way.
  storage::encode_integers({reinterpret_cast<const std::int64_t*>(values.data()), values.size()},
                           out);
}

void append_column(std::span<const double> values, std::vector<std::byte>& out) {
  encode_values(values, out);
}

template <class Count>
const BasicHistogram<Count>& at(std::span<const NativeHistogram> histograms, std::size_t i) {
  return *std::get_if<BasicHistogram<Count>>(&histograms[i]);
}

template <class Count>
void append_layout(const BasicHistogram<Count>& first, std::vector<std::byte>& out) {
  storage::ByteWriter(out).svarint(first.schema);
  storage::ByteWriter(out).bytes(std::as_bytes(std::span(&first.zero_threshold, 1)));
  append_spans(first.positive_spans, out);
  append_spans(first.negative_spans, out);
  storage::ByteWriter(out).varint(first.custom_values.size());
  encode_values(first.custom_values, out);
}

template <class Count>
void append_columns(std::span<const NativeHistogram> group, std::vector<std::byte>& out) {
  const std::size_t count = group.size();
  std::vector<std::int64_t> hints(count);
  std::vector<double> sums(count);
  std::vector<Count> counts(count);
  const auto append_counts = [&](auto&& value_of) {
    for (std::size_t i = 0; i < count; ++i) counts[i] = value_of(at<Count>(group, i));
    append_column(std::span<const Count>(counts), out);
  };
  for (std::size_t i = 0; i < count; ++i) {
    hints[i] = static_cast<std::int64_t>(at<Count>(group, i).hint);
    sums[i] = at<Count>(group, i).sum;
  }
  storage::encode_integers(hints, out);
  append_counts([](const auto& histogram) { return histogram.count; });
  encode_values(sums, out);
  append_counts([](const auto& histogram) { return histogram.zero_count; });
  const auto& first = at<Count>(group, 0);
  for (std::size_t bucket = 0; bucket < first.positive_counts.size(); ++bucket) {
    append_counts([&](const auto& histogram) { return histogram.positive_counts[bucket]; });
  }
  for (std::size_t bucket = 0; bucket < first.negative_counts.size(); ++bucket) {
    append_counts([&](const auto& histogram) { return histogram.negative_counts[bucket]; });
  }
}

/// Appends the first histograms of `rest` that belong together; returns how many.
template <class Count>
std::size_t append_group(std::span<const NativeHistogram> rest, std::vector<std::byte>& out) {
  const BasicHistogram<Count>& first = at<Count>(rest, 0);
  std::size_t count = 1;
  while (count < rest.size()) {
    const auto* next = std::get_if<BasicHistogram<Count>>(&rest[count]);
    if (next == nullptr || !has_same_layout(first, *next)) break;
    ++count;
  }
  storage::ByteWriter(out).varint(count);
  out.push_back(std::byte{std::is_same_v<Count, double> ? kFloatFlavour : std::uint8_t{0}});
  append_layout(first, out);
  append_columns<Count>(rest.first(count), out);
  return count;
}

// Decoding.

bool read_spans(storage::ByteReader& reader, std::vector<BucketSpan>& spans, std::size_t& buckets) {
  const std::uint64_t count = reader.varint();
  // A span takes at least two bytes.
  if (count > reader.rest().size() / 2) return false;
  spans.resize(count);
  std::uint64_t sum = 0;
  for (BucketSpan& span : spans) {
    const std::int64_t offset = reader.svarint();
    const std::uint64_t length = reader.varint();
    span.offset = static_cast<std::int32_t>(offset);
    span.length = static_cast<std::uint32_t>(length);
    if (span.offset != offset || length > kHistogramBucketsMax) return false;
    sum += length;
    if (sum > kHistogramBucketsMax) return false;
  }
  buckets = sum;
  return !reader.failed();
}

bool read_layout(storage::ByteReader& reader, Layout& layout) {
  const std::int64_t schema = reader.svarint();
  layout.schema = static_cast<std::int32_t>(schema);
  layout.zero_threshold = reader.f64();
  if (layout.schema != schema) return false;
  if (!read_spans(reader, layout.positive_spans, layout.positive_count)) return false;
  if (!read_spans(reader, layout.negative_spans, layout.negative_count)) return false;
  const std::uint64_t custom_count = reader.varint();
  if (reader.failed() || custom_count > kHistogramBucketsMax) return false;
  layout.custom_values.resize(custom_count);
  decode_values_from(reader, layout.custom_values);
  return !reader.failed();
}

void read_column(storage::ByteReader& reader, std::span<std::uint64_t> values) {
  storage::decode_integers_from(reader,
                                {reinterpret_cast<std::int64_t*>(values.data()), values.size()});
}

void read_column(storage::ByteReader& reader, std::span<double> values) {
  decode_values_from(reader, values);
}

/// Reads the columns of one group into `histograms`, whose flavour may differ from the stored one:
/// integers become doubles where the caller wants floats.
template <class Stored, class Wanted>
bool read_columns(storage::ByteReader& reader, const Layout& layout,
                  std::span<BasicHistogram<Wanted>*> histograms) {
  const std::size_t count = histograms.size();
  std::vector<std::int64_t> hints(count);
  std::vector<Stored> column(count);
  std::vector<double> sums(count);
  const auto read_counts = [&](auto&& store) {
    read_column(reader, std::span<Stored>(column));
    if (reader.failed()) return;
    for (std::size_t i = 0; i < count; ++i) store(*histograms[i]) = static_cast<Wanted>(column[i]);
  };
  storage::decode_integers_from(reader, hints);
  read_counts([](auto& histogram) -> Wanted& { return histogram.count; });
  decode_values_from(reader, sums);
  read_counts([](auto& histogram) -> Wanted& { return histogram.zero_count; });
  if (reader.failed()) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (hints[i] < 0 || hints[i] > static_cast<std::int64_t>(CounterResetHint::Gauge)) return false;
    BasicHistogram<Wanted>& histogram = *histograms[i];
    histogram.hint = static_cast<CounterResetHint>(hints[i]);
    histogram.sum = sums[i];
    histogram.schema = layout.schema;
    histogram.zero_threshold = layout.zero_threshold;
    histogram.positive_spans = layout.positive_spans;
    histogram.negative_spans = layout.negative_spans;
    histogram.custom_values = layout.custom_values;
    histogram.positive_counts.resize(layout.positive_count);
    histogram.negative_counts.resize(layout.negative_count);
  }
  for (std::size_t bucket = 0; bucket < layout.positive_count && !reader.failed(); ++bucket) {
    read_counts([&](auto& histogram) -> Wanted& { return histogram.positive_counts[bucket]; });
  }
  for (std::size_t bucket = 0; bucket < layout.negative_count && !reader.failed(); ++bucket) {
    read_counts([&](auto& histogram) -> Wanted& { return histogram.negative_counts[bucket]; });
  }
  return !reader.failed();
}

/// Calls read_group(is_float, layout, first, count) for each group of the block.
template <class ReadGroup>
Result<void> decode_groups(std::span<const std::byte> bytes, std::size_t total,
                           ReadGroup&& read_group) {
  storage::ByteReader reader(bytes);
  std::size_t done = 0;
  std::size_t cells = 0;
  while (done < total && !reader.failed()) {
    const std::uint64_t count = reader.varint();
    const std::uint8_t flavour = reader.u8();
    Layout layout;
    if (count == 0 || count > total - done || flavour > kFloatFlavour) reader.fail();
    if (reader.failed() || !read_layout(reader, layout)) break;
    const std::size_t buckets = layout.positive_count + layout.negative_count;
    // Each column takes a byte at least: fewer bytes are left than a lie would need.
    if (buckets > reader.rest().size()) break;
    cells += count * (buckets + layout.custom_values.size() + layout.positive_spans.size() +
                      layout.negative_spans.size());
    if (cells > kHistogramBlockCellsMax) break;
    if (!read_group(reader, flavour == kFloatFlavour, layout, done, count)) break;
    done += count;
  }
  if (done != total || !reader.at_end()) {
    return fail(Code::DataLoss, "histogram block is damaged");
  }
  return {};
}

template <class Count>
bool read_native(storage::ByteReader& reader, const Layout& layout,
                 std::span<NativeHistogram> histograms) {
  std::vector<BasicHistogram<Count>*> targets;
  targets.reserve(histograms.size());
  for (NativeHistogram& histogram : histograms) {
    targets.push_back(&histogram.emplace<BasicHistogram<Count>>());
  }
  return read_columns<Count, Count>(reader, layout, targets);
}

template <class Count>
bool fits(const BasicHistogram<Count>& histogram) {
  const std::size_t positive = histogram.positive_counts.size();
  const std::size_t negative = histogram.negative_counts.size();
  return positive <= kHistogramBucketsMax && negative <= kHistogramBucketsMax &&
         histogram.custom_values.size() <= kHistogramBucketsMax &&
         bucket_count(histogram.positive_spans) == positive &&
         bucket_count(histogram.negative_spans) == negative;
}

}  // namespace

bool fits_histogram_block(const NativeHistogram& histogram) {
  return std::visit([](const auto& flavour) { return fits(flavour); }, histogram);
}

void encode_histograms(std::span<const NativeHistogram> histograms, std::vector<std::byte>& out) {
  GANTRY_ASSERT(histograms.size() <= storage::kBlockValuesMax, "callers cut their blocks");
  GANTRY_ASSERT(std::ranges::all_of(histograms, fits_histogram_block),
                "append paths refuse what does not fit");
  std::size_t done = 0;
  while (done < histograms.size()) {
    const auto rest = histograms.subspan(done);
    done += std::holds_alternative<FloatHistogram>(rest[0])
                ? append_group<double>(rest, out)
                : append_group<std::uint64_t>(rest, out);
  }
}

Result<void> decode_histograms(std::span<const std::byte> bytes,
                               std::span<NativeHistogram> histograms) {
  return decode_groups(bytes, histograms.size(),
                       [&](storage::ByteReader& reader, bool is_float, const Layout& layout,
                           std::size_t first, std::size_t count) {
                         const auto group = histograms.subspan(first, count);
                         return is_float ? read_native<double>(reader, layout, group)
                                         : read_native<std::uint64_t>(reader, layout, group);
                       });
}

Result<void> decode_float_histograms(std::span<const std::byte> bytes,
                                     std::span<std::shared_ptr<const FloatHistogram>> histograms) {
  std::vector<FloatHistogram*> all;
  all.reserve(histograms.size());
  const auto make_targets = [&](std::size_t first, std::size_t count) {
    for (auto& histogram : histograms.subspan(first, count)) {
      auto made = std::make_shared<FloatHistogram>();
      all.push_back(made.get());
      histogram = std::move(made);
    }
    return std::span(all).last(count);
  };
  GANTRY_CHECK(decode_groups(
      bytes, histograms.size(),
      [&](storage::ByteReader& reader, bool is_float, const Layout& layout, std::size_t first,
          std::size_t count) {
        const auto targets = make_targets(first, count);
        return is_float ? read_columns<double, double>(reader, layout, targets)
                        : read_columns<std::uint64_t, double>(reader, layout, targets);
      }));
  set_read_hints(all);
  return {};
}

}  // namespace gantry::metrics
