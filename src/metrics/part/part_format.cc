#include "metrics/part/part_format.h"

#include <algorithm>
#include <limits>

#include "storage/byte_cursor.h"

namespace gantry::metrics {
namespace {

constexpr std::uint64_t kUint32Max = std::numeric_limits<std::uint32_t>::max();

std::uint32_t narrow(storage::ByteReader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > kUint32Max) reader.fail();
  return static_cast<std::uint32_t>(value);
}

}  // namespace

std::strong_ordering compare_series(std::span<const telemetry::LabelView> a,
                                    std::span<const telemetry::LabelView> b) {
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

void append_footer(const PartFooter& footer, std::vector<std::byte>& out) {
  storage::ByteWriter writer(out);
  const PartSummary& summary = footer.summary;
  writer.varint(summary.level);
  writer.svarint(summary.time_ms_min);
  writer.svarint(summary.time_ms_max);
  writer.varint(summary.series_count);
  writer.varint(summary.block_count);
  writer.varint(summary.sample_count);
  writer.varint(summary.histogram_count);
  writer.varint(summary.time_column_count);
  writer.varint(footer.series.size());
  for (const SeriesGroup& group : footer.series) {
    writer.varint(group.series_count);
    writer.varint(group.label_frame);
    writer.varint(group.block_frame);
  }
  writer.varint(footer.symbols.size());
  for (const SymbolGroup& group : footer.symbols) {
    writer.varint(group.symbol_count);
    writer.varint(group.frame);
  }
}

Result<PartFooter> parse_footer(std::span<const std::byte> bytes) {
  storage::ByteReader reader(bytes);
  PartFooter footer;
  PartSummary& summary = footer.summary;
  summary.level = narrow(reader);
  summary.time_ms_min = reader.svarint();
  summary.time_ms_max = reader.svarint();
  summary.series_count = reader.varint();
  summary.block_count = reader.varint();
  summary.sample_count = reader.varint();
  summary.histogram_count = reader.varint();
  summary.time_column_count = reader.varint();
  std::uint64_t series = 0;
  footer.series.resize(reader.count(3));
  for (SeriesGroup& group : footer.series) {
    group.first_series = static_cast<std::uint32_t>(series);
    group.series_count = narrow(reader);
    group.label_frame = narrow(reader);
    group.block_frame = narrow(reader);
    series += group.series_count;
    if (series > kUint32Max || group.series_count == 0) reader.fail();
  }
  footer.symbols.resize(reader.count(2));
  for (SymbolGroup& group : footer.symbols) {
    group.symbol_count = narrow(reader);
    group.frame = narrow(reader);
  }
  if (!reader.at_end() || series != summary.series_count) {
    return fail(Code::DataLoss, "the footer of a part's index is not one");
  }
  return footer;
}

}  // namespace gantry::metrics
