#include "metrics/part/part_writer.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "core/arena.h"
#include "core/hash.h"
#include "metrics/encoding/histogram_block.h"
#include "metrics/encoding/value_block.h"
#include "metrics/part/block_window.h"
#include "metrics/part/part_format.h"
#include "metrics/part/symbol_interner.h"
#include "storage/byte_cursor.h"
#include "storage/checksummed_file.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

using storage::FrameWriter;
using telemetry::LabelView;

/// A block never has more, however many samples its window holds.
constexpr std::size_t kBlockSamplesMax = 2 * kPartBlockSamples;
/// Time columns remembered for sharing.
constexpr std::size_t kKnownColumnsMax = 1 << 18;

struct Hash128Hash {
  using is_avalanching = void;

  std::size_t operator()(const core::Hash128& hash) const { return hash.low; }
};

core::Hash128 hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed) {
  return core::hash128({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, seed);
}

/// Where the time columns are that were written lately. Bounded: with too many, the older half is
/// forgotten, and at worst a column is stored twice.
class KnownColumns {
 public:
  /// Null if it is not known.
  [[nodiscard]] const TimeColumn* find(const core::Hash128& hash) const {
    if (const auto known = newer_.find(hash); known != newer_.end()) return &known->second;
    const auto known = older_.find(hash);
    return known == older_.end() ? nullptr : &known->second;
  }

  void insert(const core::Hash128& hash, const TimeColumn& column) {
    if (newer_.size() >= kKnownColumnsMax / 2) {
      older_ = std::move(newer_);
      newer_ = {};
    }
    newer_.emplace(hash, column);
  }

 private:
  boost::unordered_flat_map<core::Hash128, TimeColumn, Hash128Hash> newer_;
  boost::unordered_flat_map<core::Hash128, TimeColumn, Hash128Hash> older_;
};

/// A frame of the data file that is being filled.
struct OpenFrame {
  std::uint32_t number = 0;
  bool is_open = false;
  std::vector<std::byte> bytes;
};

struct BlockEntry {
  std::uint8_t flags = 0;
  std::uint32_t column = 0;  ///< Within the group.
  std::uint32_t frame = 0;
  std::uint32_t offset = 0;
  std::uint32_t value_bytes = 0;
  std::uint32_t start_bytes = 0;
};

class DirectoryPartWriter final : public PartWriter {
 public:
  DirectoryPartWriter(std::unique_ptr<FrameWriter> index, std::unique_ptr<FrameWriter> data,
                      const PartWriterOptions& options)
      : index_(std::move(index)), data_(std::move(data)), options_(options) {
    footer_.summary.format_version = kPartFormatVersion;
    footer_.summary.level = options.level;
  }

  Result<void> begin_series(std::span<const LabelView> labels) override;
  Result<void> add_floats(std::span<const std::int64_t> timestamps_ms,
                          std::span<const double> values,
                          std::span<const std::int64_t> start_timestamps_ms) override;
  Result<void> add_histograms(std::span<const std::int64_t> timestamps_ms,
                              std::span<const telemetry::NativeHistogram> histograms,
                              std::span<const std::int64_t> start_timestamps_ms) override;
  Result<void> add_block(const EncodedBlock& block) override;

  std::uint64_t size_bytes() const override {
    return index_->size_bytes() + data_->size_bytes() + values_.bytes.size() + times_.bytes.size() +
           label_frame_.size() + block_entries_.size();
  }

  Result<PartSummary> finish() override;

 private:
  enum class Flush : std::uint8_t { WholeWindows, Everything };

  template <class Columns>
  Result<void> cut_blocks(Columns& pending, Flush flush);
  Result<void> encode_block(const FloatColumns& columns, std::size_t first, std::size_t end);
  Result<void> encode_block(const HistogramColumns& columns, std::size_t first, std::size_t end);
  Result<void> write_block(const EncodedBlock& block, const TimeColumn& column);
  template <class Columns>
  Result<TimeColumn> place_raw_times(const Columns& columns, std::size_t first, std::size_t end);
  Result<TimeColumn> place_times(const EncodedBlock& block);
  Result<std::uint32_t> place(OpenFrame& frame, std::span<const std::byte> bytes);
  Result<void> close_frame(OpenFrame& frame);
  std::uint32_t list_column(const TimeColumn& column);
  void append_entry(const BlockEntry& entry);
  void append_labels();
  Result<void> finish_series();
  Result<void> close_group();

  std::unique_ptr<FrameWriter> index_;
  std::unique_ptr<FrameWriter> data_;
  const PartWriterOptions options_;
  PartFooter footer_;
  SymbolInterner symbols_;

  // The series at hand. Its labels are copied: the next one is compared with them.
  core::Arena label_arena_;
  std::vector<LabelView> labels_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> label_symbols_;
  core::Arena previous_arena_;
  std::vector<LabelView> previous_labels_;  ///< Of the last series whose symbols are known.
  bool has_series_ = false;
  std::int64_t last_time_ms_ = std::numeric_limits<std::int64_t>::min();
  std::uint32_t series_blocks_ = 0;
  std::vector<std::byte> series_entries_;
  BlockEntry last_entry_;
  std::int64_t window_ms_ = 0;  ///< 0: not chosen yet.
  FloatColumns floats_;
  HistogramColumns histograms_;

  // The group at hand.
  std::vector<std::byte> label_frame_;
  std::vector<TimeColumn> group_columns_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> group_column_numbers_;
  std::vector<std::uint32_t> entry_offsets_;
  std::vector<std::byte> block_entries_;

  OpenFrame values_;
  OpenFrame times_;
  KnownColumns encoded_columns_;  ///< By the hash of their bytes.
  KnownColumns raw_columns_;      ///< By the hash of their timestamps: saves the encoding.

  std::vector<std::byte> encoded_times_;
  std::vector<std::byte> encoded_values_;
  std::vector<std::byte> encoded_starts_;
};

Result<void> DirectoryPartWriter::begin_series(std::span<const LabelView> labels) {
  GANTRY_CHECK(finish_series());
  GANTRY_ASSERT(!has_series_ || compare_series(labels_, labels) < 0,
                "series are added once each, in the order of their labels");
  label_arena_.clear();
  labels_.clear();
  for (const LabelView& label : labels) {
    GANTRY_ASSERT(labels_.empty() || labels_.back().name < label.name,
                  "labels are sorted by name and names are unique");
    labels_.push_back(
        {.name = label_arena_.copy(label.name), .value = label_arena_.copy(label.value)});
  }
  has_series_ = true;
  last_time_ms_ = std::numeric_limits<std::int64_t>::min();
  window_ms_ = 0;
  return {};
}

/// Appends to the columns that wait for their window to end.
template <class Columns, class Values>
void append_pending(Columns& columns, Values& into, std::span<const std::int64_t> timestamps_ms,
                    std::span<const typename Values::value_type> values,
                    std::span<const std::int64_t> start_timestamps_ms) {
  GANTRY_ASSERT(timestamps_ms.size() == values.size() &&
                    (start_timestamps_ms.empty() || start_timestamps_ms.size() == values.size()),
                "columns of one call have one length");
  const std::size_t before = columns.timestamps_ms.size();
  std::vector<std::int64_t>& starts = columns.start_timestamps_ms;
  if (!start_timestamps_ms.empty()) {
    starts.resize(before);
    starts.insert(starts.end(), start_timestamps_ms.begin(), start_timestamps_ms.end());
  } else if (!starts.empty()) {
    starts.resize(before + values.size());
  }
  columns.timestamps_ms.insert(columns.timestamps_ms.end(), timestamps_ms.begin(),
                               timestamps_ms.end());
  into.insert(into.end(), values.begin(), values.end());
}

Result<void> DirectoryPartWriter::add_floats(std::span<const std::int64_t> timestamps_ms,
                                             std::span<const double> values,
                                             std::span<const std::int64_t> start_timestamps_ms) {
  if (timestamps_ms.empty()) return {};
  GANTRY_CHECK(cut_blocks(histograms_, Flush::Everything));
  append_pending(floats_, floats_.values, timestamps_ms, values, start_timestamps_ms);
  return cut_blocks(floats_, Flush::WholeWindows);
}

Result<void> DirectoryPartWriter::add_histograms(
    std::span<const std::int64_t> timestamps_ms,
    std::span<const telemetry::NativeHistogram> histograms,
    std::span<const std::int64_t> start_timestamps_ms) {
  if (timestamps_ms.empty()) return {};
  GANTRY_CHECK(cut_blocks(floats_, Flush::Everything));
  append_pending(histograms_, histograms_.histograms, timestamps_ms, histograms,
                 start_timestamps_ms);
  return cut_blocks(histograms_, Flush::WholeWindows);
}

Result<void> DirectoryPartWriter::add_block(const EncodedBlock& block) {
  GANTRY_CHECK(cut_blocks(floats_, Flush::Everything));
  GANTRY_CHECK(cut_blocks(histograms_, Flush::Everything));
  GANTRY_TRY(const TimeColumn column, place_times(block));
  return write_block(block, column);
}

template <class Values>
void erase_first(Values& values, std::size_t count) {
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
}

std::vector<double>& values_of(FloatColumns& columns) {
  return columns.values;
}

std::vector<telemetry::NativeHistogram>& values_of(HistogramColumns& columns) {
  return columns.histograms;
}

/// Encodes the windows that are complete, or everything.
template <class Columns>
Result<void> DirectoryPartWriter::cut_blocks(Columns& pending, Flush flush) {
  const std::vector<std::int64_t>& times = pending.timestamps_ms;
  if (times.empty() || (flush == Flush::WholeWindows && times.size() <= kBlockSamplesMax)) {
    return {};
  }
  if (window_ms_ == 0) window_ms_ = choose_block_window(times);
  std::size_t done = 0;
  while (done < times.size()) {
    const std::int64_t window_end = block_window_end(times[done], window_ms_);
    const auto from = times.begin() + static_cast<std::ptrdiff_t>(done);
    const auto found = std::lower_bound(from, times.end(), window_end);
    const std::size_t end =
        std::min(static_cast<std::size_t>(found - times.begin()), done + kBlockSamplesMax);
    if (end == times.size() && flush == Flush::WholeWindows) break;
    GANTRY_CHECK(encode_block(pending, done, end));
    done = end;
  }
  erase_first(pending.timestamps_ms, done);
  erase_first(values_of(pending), done);
  if (!pending.start_timestamps_ms.empty()) erase_first(pending.start_timestamps_ms, done);
  return {};
}

/// The part of the block that both kinds have, but for the times.
template <class Columns>
EncodedBlock describe_block(const Columns& columns, std::size_t first, std::size_t end,
                            std::vector<std::byte>& starts) {
  starts.clear();
  const std::size_t count = end - first;
  if (!columns.start_timestamps_ms.empty()) {
    const auto own = std::span(columns.start_timestamps_ms).subspan(first, count);
    const bool is_known = std::ranges::any_of(own, [](std::int64_t start) { return start != 0; });
    if (is_known) storage::encode_integers(own, starts);
  }
  return {.sample_count = static_cast<std::uint32_t>(count),
          .time_ms_min = columns.timestamps_ms[first],
          .time_ms_max = columns.timestamps_ms[end - 1],
          .start_timestamps = starts};
}

Result<void> DirectoryPartWriter::encode_block(const FloatColumns& columns, std::size_t first,
                                               std::size_t end) {
  GANTRY_TRY(const TimeColumn column, place_raw_times(columns, first, end));
  EncodedBlock block = describe_block(columns, first, end, encoded_starts_);
  encoded_values_.clear();
  encode_values(std::span(columns.values).subspan(first, end - first), encoded_values_);
  block.kind = BlockKind::Float;
  block.values = encoded_values_;
  return write_block(block, column);
}

Result<void> DirectoryPartWriter::encode_block(const HistogramColumns& columns, std::size_t first,
                                               std::size_t end) {
  GANTRY_TRY(const TimeColumn column, place_raw_times(columns, first, end));
  EncodedBlock block = describe_block(columns, first, end, encoded_starts_);
  encoded_values_.clear();
  encode_histograms(std::span(columns.histograms).subspan(first, end - first), encoded_values_);
  block.kind = BlockKind::Histogram;
  block.values = encoded_values_;
  return write_block(block, column);
}

Result<std::uint32_t> DirectoryPartWriter::place(OpenFrame& frame,
                                                 std::span<const std::byte> bytes) {
  if (!frame.is_open) {
    frame.number = data_->reserve();
    frame.is_open = true;
  }
  const auto offset = static_cast<std::uint32_t>(frame.bytes.size());
  storage::ByteWriter(frame.bytes).bytes(bytes);
  return offset;
}

Result<void> DirectoryPartWriter::close_frame(OpenFrame& frame) {
  if (!frame.is_open) return {};
  GANTRY_CHECK(data_->write(frame.number, frame.bytes, options_.compression_level));
  frame.bytes.clear();
  frame.is_open = false;
  return {};
}

template <class Columns>
Result<TimeColumn> DirectoryPartWriter::place_raw_times(const Columns& columns, std::size_t first,
                                                        std::size_t end) {
  const auto times = std::span(columns.timestamps_ms).subspan(first, end - first);
  const core::Hash128 hash = hash_bytes(std::as_bytes(times), 0);
  if (const TimeColumn* known = raw_columns_.find(hash)) return *known;
  encoded_times_.clear();
  storage::encode_timestamps(times, encoded_times_);
  GANTRY_TRY(const TimeColumn column,
             place_times({.sample_count = static_cast<std::uint32_t>(times.size()),
                          .time_ms_min = times.front(),
                          .time_ms_max = times.back(),
                          .times = encoded_times_}));
  raw_columns_.insert(hash, column);
  return column;
}

Result<TimeColumn> DirectoryPartWriter::place_times(const EncodedBlock& block) {
  const core::Hash128 hash = hash_bytes(block.times, block.sample_count);
  if (const TimeColumn* known = encoded_columns_.find(hash)) return *known;
  GANTRY_TRY(const std::uint32_t offset, place(times_, block.times));
  const TimeColumn column{.time_ms_min = block.time_ms_min,
                          .time_ms_max = block.time_ms_max,
                          .sample_count = block.sample_count,
                          .frame = times_.number,
                          .offset = offset,
                          .bytes = static_cast<std::uint32_t>(block.times.size())};
  encoded_columns_.insert(hash, column);
  ++footer_.summary.time_column_count;
  if (times_.bytes.size() >= storage::kFrameBytesTarget) GANTRY_CHECK(close_frame(times_));
  return column;
}

std::uint32_t DirectoryPartWriter::list_column(const TimeColumn& column) {
  const std::uint64_t place = static_cast<std::uint64_t>(column.frame) << 32 | column.offset;
  const auto next = static_cast<std::uint32_t>(group_columns_.size());
  const auto [entry, is_new] = group_column_numbers_.try_emplace(place, next);
  if (is_new) group_columns_.push_back(column);
  return entry->second;
}

void DirectoryPartWriter::append_entry(const BlockEntry& entry) {
  const bool follows =
      series_blocks_ > 0 && entry.frame == last_entry_.frame &&
      entry.offset == last_entry_.offset + last_entry_.value_bytes + last_entry_.start_bytes;
  storage::ByteWriter writer(series_entries_);
  writer.u8(static_cast<std::uint8_t>(entry.flags | (follows ? kBlockFollows : 0)));
  writer.varint(entry.column);
  if (!follows) {
    writer.varint(entry.frame);
    writer.varint(entry.offset);
  }
  writer.varint(entry.value_bytes);
  if ((entry.flags & kBlockHasStarts) != 0) writer.varint(entry.start_bytes);
  last_entry_ = entry;
  ++series_blocks_;
}

Result<void> DirectoryPartWriter::write_block(const EncodedBlock& block, const TimeColumn& column) {
  GANTRY_ASSERT(has_series_, "begin_series comes first");
  GANTRY_ASSERT(block.sample_count > 0 && block.time_ms_min <= block.time_ms_max &&
                    (series_blocks_ == 0 || block.time_ms_min > last_time_ms_),
                "samples of a series ascend");
  last_time_ms_ = block.time_ms_max;
  GANTRY_TRY(const std::uint32_t offset, place(values_, block.values));
  GANTRY_TRY([[maybe_unused]] const std::uint32_t starts_offset,
             place(values_, block.start_timestamps));
  std::uint8_t flags = block.kind == BlockKind::Histogram ? kBlockIsHistogram : 0;
  if (!block.start_timestamps.empty()) flags |= kBlockHasStarts;
  append_entry({.flags = flags,
                .column = list_column(column),
                .frame = values_.number,
                .offset = offset,
                .value_bytes = static_cast<std::uint32_t>(block.values.size()),
                .start_bytes = static_cast<std::uint32_t>(block.start_timestamps.size())});
  PartSummary& summary = footer_.summary;
  if (summary.block_count == 0) {
    summary.time_ms_min = block.time_ms_min;
    summary.time_ms_max = block.time_ms_max;
  }
  summary.time_ms_min = std::min(summary.time_ms_min, block.time_ms_min);
  summary.time_ms_max = std::max(summary.time_ms_max, block.time_ms_max);
  ++summary.block_count;
  summary.sample_count += block.sample_count;
  if (block.kind == BlockKind::Histogram) summary.histogram_count += block.sample_count;
  if (values_.bytes.size() >= storage::kFrameBytesTarget) return close_frame(values_);
  return {};
}

/// Neighbours in label order have most labels in common: those need no look-up.
void DirectoryPartWriter::append_labels() {
  label_symbols_.resize(labels_.size());
  storage::ByteWriter writer(label_frame_);
  writer.varint(labels_.size());
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const bool has_twin = i < previous_labels_.size();
    auto& [name, value] = label_symbols_[i];
    if (!has_twin || previous_labels_[i].name != labels_[i].name) {
      name = symbols_.intern(labels_[i].name);
    }
    if (!has_twin || previous_labels_[i].value != labels_[i].value) {
      value = symbols_.intern(labels_[i].value);
    }
    writer.varint(name);
    writer.varint(value);
  }
  // The arenas change places, so that the views stay valid without another copy.
  std::swap(label_arena_, previous_arena_);
  previous_labels_ = labels_;
}

Result<void> DirectoryPartWriter::finish_series() {
  if (!has_series_) return {};
  GANTRY_CHECK(cut_blocks(floats_, Flush::Everything));
  GANTRY_CHECK(cut_blocks(histograms_, Flush::Everything));
  floats_.clear();
  histograms_.clear();
  if (series_blocks_ == 0) return {};
  append_labels();
  entry_offsets_.push_back(static_cast<std::uint32_t>(block_entries_.size()));
  storage::ByteWriter writer(block_entries_);
  writer.varint(series_blocks_);
  writer.bytes(series_entries_);
  series_entries_.clear();
  series_blocks_ = 0;
  ++footer_.summary.series_count;
  const std::size_t list_bytes = block_entries_.size() +
                                 entry_offsets_.size() * sizeof(std::uint32_t) +
                                 group_columns_.size() * sizeof(TimeColumn);
  if (std::max(label_frame_.size(), list_bytes) < storage::kFrameBytesTarget) return {};
  return close_group();
}

Result<void> DirectoryPartWriter::close_group() {
  if (entry_offsets_.empty()) return {};
  std::vector<std::byte> frame;
  storage::ByteWriter writer(frame);
  writer.u32(static_cast<std::uint32_t>(group_columns_.size()));
  writer.u32(static_cast<std::uint32_t>(entry_offsets_.size()));
  writer.bytes(std::as_bytes(std::span(group_columns_)));
  writer.bytes(std::as_bytes(std::span(entry_offsets_)));
  writer.bytes(block_entries_);
  GANTRY_TRY(const std::uint32_t label_frame,
             index_->add(label_frame_, options_.compression_level));
  GANTRY_TRY(const std::uint32_t block_frame, index_->add(frame, options_.compression_level));
  footer_.series.push_back({.series_count = static_cast<std::uint32_t>(entry_offsets_.size()),
                            .label_frame = label_frame,
                            .block_frame = block_frame});
  label_frame_.clear();
  group_columns_.clear();
  group_column_numbers_.clear();
  entry_offsets_.clear();
  block_entries_.clear();
  return {};
}

Result<PartSummary> DirectoryPartWriter::finish() {
  GANTRY_CHECK(finish_series());
  GANTRY_CHECK(close_group());
  GANTRY_CHECK(close_frame(times_));
  GANTRY_CHECK(close_frame(values_));
  GANTRY_TRY(footer_.symbols, symbols_.write(*index_, options_.compression_level));
  GANTRY_CHECK(data_->finish({}));
  std::vector<std::byte> bytes;
  append_footer(footer_, bytes);
  GANTRY_CHECK(index_->finish(bytes));
  footer_.summary.data_bytes = data_->size_bytes();
  footer_.summary.index_bytes = index_->size_bytes();
  return footer_.summary;
}

}  // namespace

Result<std::unique_ptr<PartWriter>> PartWriter::create(storage::FileSystem& files,
                                                       const storage::Path& directory,
                                                       const PartWriterOptions& options) {
  GANTRY_TRY(auto index, FrameWriter::create(files, directory / kPartIndexName, kPartIndexFormat));
  GANTRY_TRY(auto data, FrameWriter::create(files, directory / kPartDataName, kPartDataFormat));
  return std::make_unique<DirectoryPartWriter>(std::move(index), std::move(data), options);
}

}  // namespace gantry::metrics
