#include "metrics/part/part_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <utility>

#include "fmt/core.h"

#include "metrics/part/block_internal.h"
#include "metrics/part/part_format.h"
#include "metrics/part/part_series_cursor.h"
#include "storage/byte_cursor.h"
#include "storage/checksummed_file.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

using storage::FrameReader;

/// A frame that a scratch holds on to.
struct HeldFrame {
  std::uint64_t owner = 0;
  std::uint32_t number = 0;
  std::shared_ptr<const Frame> bytes;

  [[nodiscard]] bool holds(std::uint64_t wanted_owner, std::uint32_t wanted) const {
    return bytes && owner == wanted_owner && number == wanted;
  }
};

/// A block frame of the index, taken apart. Views into the frame.
struct BlockLists {
  std::span<const std::byte> columns;
  std::span<const std::byte> offsets;
  std::span<const std::byte> entries;
  std::uint32_t column_count = 0;
};

}  // namespace

struct PartReader::Scratch::Impl {
  bool fills_cache = true;
  HeldFrame blocks;
  HeldFrame values;
  HeldFrame times;
  std::vector<BlockInfo> infos;
  // The last time column that was decoded, and where it is from.
  std::uint64_t column_owner = 0;
  std::uint32_t column_frame = 0;
  std::uint32_t column_offset = 0;
  std::vector<std::int64_t> column;
};

PartReader::Scratch::Scratch() : impl(std::make_unique<Impl>()) {}

PartReader::Scratch::~Scratch() = default;

PartReader::Scratch::Scratch(Scratch&&) noexcept = default;

PartReader::Scratch& PartReader::Scratch::operator=(Scratch&&) noexcept = default;

PartReader::Scratch PartReader::Scratch::for_scan() {
  Scratch scratch;
  scratch.impl->fills_cache = false;
  return scratch;
}

namespace {

using ScratchImpl = PartReader::Scratch::Impl;

class DirectoryPartReader final : public PartReader {
 public:
  DirectoryPartReader(storage::Path directory, FrameCache& cache,
                      std::unique_ptr<FrameReader> index, std::unique_ptr<FrameReader> data,
                      PartFooter footer)
      : directory_(std::move(directory)),
        cache_(cache),
        index_(std::move(index)),
        data_(std::move(data)),
        footer_(std::move(footer)),
        index_owner_(cache.make_owner_id()),
        data_owner_(cache.make_owner_id()) {
    footer_.summary.format_version = index_->version();
    footer_.summary.index_bytes = index_->size_bytes();
    footer_.summary.data_bytes = data_->size_bytes();
  }

  ~DirectoryPartReader() override {
    cache_.erase(index_owner_);
    cache_.erase(data_owner_);
  }

  const storage::Path& directory() const override { return directory_; }

  const PartSummary& summary() const override { return footer_.summary; }

  bool is_damaged() const override { return is_damaged_.load(std::memory_order_relaxed); }

  Result<std::unique_ptr<PartSeriesCursor>> series() const override;
  Result<void> read(std::uint32_t ordinal, std::int64_t start_ms, std::int64_t end_ms,
                    Scratch& scratch, promql::SampleColumns& out) const override;
  Result<void> blocks(std::uint32_t ordinal, Scratch& scratch,
                      std::vector<BlockInfo>& out) const override;
  Result<EncodedBlock> block(const BlockInfo& info, Scratch& scratch) const override;
  Result<void> read_block(const BlockInfo& info, Scratch& scratch, FloatColumns& floats,
                          HistogramColumns& histograms) const override;
  Result<void> verify() const override;

 private:
  /// Marks the part as damaged if the error says so.
  template <class T>
  Result<T> watch(Result<T> result) const {
    if (!result && result.error().code == Code::DataLoss) {
      is_damaged_.store(true, std::memory_order_relaxed);
    }
    return result;
  }

  std::unexpected<Error> damaged(std::string_view what) const {
    is_damaged_.store(true, std::memory_order_relaxed);
    return fail(Code::DataLoss, fmt::format("part \"{}\": {}", directory_.native(), what));
  }

  Result<std::span<const std::byte>> load(const FrameReader& file, std::uint64_t owner,
                                          std::uint32_t number, bool fills_cache,
                                          HeldFrame& held) const;
  Result<std::span<const std::byte>> slice(std::uint32_t frame, std::uint32_t offset,
                                           std::uint32_t bytes, bool fills_cache,
                                           HeldFrame& held) const;
  Result<BlockLists> load_lists(const SeriesGroup& group, ScratchImpl& scratch) const;
  Result<void> list_blocks(std::uint32_t ordinal, ScratchImpl& scratch, std::int64_t start_ms,
                           std::int64_t end_ms, std::vector<BlockInfo>& out) const;
  Result<std::span<const std::int64_t>> load_times(const BlockInfo& info,
                                                   ScratchImpl& scratch) const;
  Result<EncodedBlock> load_values(const BlockInfo& info, ScratchImpl& scratch) const;
  Result<void> read_window(const BlockInfo& info, std::int64_t start_ms, std::int64_t end_ms,
                           ScratchImpl& scratch, promql::SampleColumns& out) const;

  const storage::Path directory_;
  FrameCache& cache_;
  const std::unique_ptr<FrameReader> index_;
  const std::unique_ptr<FrameReader> data_;
  PartFooter footer_;
  const std::uint64_t index_owner_;
  const std::uint64_t data_owner_;
  mutable std::atomic<bool> is_damaged_{false};
};

Result<std::span<const std::byte>> DirectoryPartReader::load(const FrameReader& file,
                                                             std::uint64_t owner,
                                                             std::uint32_t number, bool fills_cache,
                                                             HeldFrame& held) const {
  if (held.holds(owner, number)) return *held.bytes;
  std::shared_ptr<const Frame> bytes = cache_.find(owner, number);
  if (!bytes) {
    GANTRY_TRY(Frame loaded, watch(file.read(number)));
    bytes = std::make_shared<const Frame>(std::move(loaded));
    if (fills_cache) cache_.insert(owner, number, bytes);
  }
  held = {.owner = owner, .number = number, .bytes = std::move(bytes)};
  return *held.bytes;
}

Result<std::span<const std::byte>> DirectoryPartReader::slice(std::uint32_t frame,
                                                              std::uint32_t offset,
                                                              std::uint32_t bytes, bool fills_cache,
                                                              HeldFrame& held) const {
  GANTRY_TRY(const std::span<const std::byte> whole,
             load(*data_, data_owner_, frame, fills_cache, held));
  if (offset > whole.size() || bytes > whole.size() - offset) {
    return damaged("a block lies outside its frame");
  }
  return whole.subspan(offset, bytes);
}

Result<BlockLists> DirectoryPartReader::load_lists(const SeriesGroup& group,
                                                   ScratchImpl& scratch) const {
  GANTRY_TRY(const std::span<const std::byte> frame,
             load(*index_, index_owner_, group.block_frame, scratch.fills_cache, scratch.blocks));
  storage::ByteReader reader(frame);
  BlockLists lists;
  lists.column_count = reader.u32();
  const std::uint32_t series_count = reader.u32();
  lists.columns = reader.bytes(std::size_t{lists.column_count} * sizeof(TimeColumn));
  lists.offsets = reader.bytes(std::size_t{series_count} * sizeof(std::uint32_t));
  lists.entries = reader.rest();
  if (reader.failed() || series_count != group.series_count) {
    return damaged("a block list is not one");
  }
  return lists;
}

/// Takes one block out of a series' list; the previous one says where a following one begins.
bool read_entry(storage::ByteReader& reader, const BlockLists& lists, BlockInfo& info) {
  const std::uint8_t flags = reader.u8();
  const std::uint64_t column_number = reader.varint();
  std::uint64_t frame = info.value_frame;
  std::uint64_t offset = std::uint64_t{info.value_offset} + info.value_bytes + info.start_bytes;
  if ((flags & kBlockFollows) == 0) {
    frame = reader.varint();
    offset = reader.varint();
  }
  const std::uint64_t value_bytes = reader.varint();
  const std::uint64_t start_bytes = (flags & kBlockHasStarts) != 0 ? reader.varint() : 0;
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
  if (reader.failed() || (flags & ~kBlockKnownFlags) != 0 || column_number >= lists.column_count ||
      frame > kMax || offset > kMax || value_bytes > kMax || start_bytes > kMax) {
    return false;
  }
  TimeColumn column;
  std::memcpy(&column, lists.columns.data() + column_number * sizeof(TimeColumn),
              sizeof(TimeColumn));
  info = {.kind = (flags & kBlockIsHistogram) != 0 ? BlockKind::Histogram : BlockKind::Float,
          .has_start_timestamps = (flags & kBlockHasStarts) != 0,
          .sample_count = column.sample_count,
          .time_ms_min = column.time_ms_min,
          .time_ms_max = column.time_ms_max,
          .time_frame = column.frame,
          .time_offset = column.offset,
          .time_bytes = column.bytes,
          .value_frame = static_cast<std::uint32_t>(frame),
          .value_offset = static_cast<std::uint32_t>(offset),
          .value_bytes = static_cast<std::uint32_t>(value_bytes),
          .start_bytes = static_cast<std::uint32_t>(start_bytes)};
  return column.sample_count > 0 && column.sample_count <= storage::kBlockValuesMax &&
         column.time_ms_min <= column.time_ms_max;
}

/// Those that overlap [start_ms, end_ms].
Result<void> DirectoryPartReader::list_blocks(std::uint32_t ordinal, ScratchImpl& scratch,
                                              std::int64_t start_ms, std::int64_t end_ms,
                                              std::vector<BlockInfo>& out) const {
  out.clear();
  if (ordinal >= footer_.summary.series_count) {
    return fail(Code::OutOfRange,
                fmt::format("part \"{}\" has {} series, there is no series {}", directory_.native(),
                            footer_.summary.series_count, ordinal));
  }
  const auto after =
      std::ranges::upper_bound(footer_.series, ordinal, {}, &SeriesGroup::first_series);
  const SeriesGroup& group = *(after - 1);
  GANTRY_TRY(const BlockLists lists, load_lists(group, scratch));
  std::uint32_t offset = 0;
  std::memcpy(&offset,
              lists.offsets.data() + (ordinal - group.first_series) * sizeof(std::uint32_t),
              sizeof(offset));
  if (offset > lists.entries.size()) return damaged("a block list is not one");
  storage::ByteReader reader(lists.entries.subspan(offset));
  BlockInfo info;
  const std::uint64_t count = reader.varint();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t last_time_ms = info.time_ms_max;
    if (!read_entry(reader, lists, info)) return damaged("a block list is not one");
    // As the writer has asserted.
    if (i > 0 && info.time_ms_min <= last_time_ms) return damaged("blocks do not ascend");
    if (info.time_ms_min > end_ms) break;
    if (info.time_ms_max >= start_ms) out.push_back(info);
  }
  return {};
}

Result<std::span<const std::int64_t>> DirectoryPartReader::load_times(const BlockInfo& info,
                                                                      ScratchImpl& scratch) const {
  const bool is_held =
      scratch.column_owner == data_owner_ && scratch.column_frame == info.time_frame &&
      scratch.column_offset == info.time_offset && scratch.column.size() == info.sample_count;
  if (is_held) return scratch.column;
  scratch.column_owner = 0;
  GANTRY_TRY(const std::span<const std::byte> bytes,
             slice(info.time_frame, info.time_offset, info.time_bytes, scratch.fills_cache,
                   scratch.times));
  scratch.column.resize(info.sample_count);
  GANTRY_CHECK(watch(storage::decode_timestamps(bytes, scratch.column)));
  if (scratch.column.front() != info.time_ms_min || scratch.column.back() != info.time_ms_max) {
    return damaged("a time column is not the one that the block list says");
  }
  scratch.column_owner = data_owner_;
  scratch.column_frame = info.time_frame;
  scratch.column_offset = info.time_offset;
  return scratch.column;
}

/// Without the times.
Result<EncodedBlock> DirectoryPartReader::load_values(const BlockInfo& info,
                                                      ScratchImpl& scratch) const {
  GANTRY_TRY(const std::span<const std::byte> bytes,
             slice(info.value_frame, info.value_offset, info.value_bytes + info.start_bytes,
                   scratch.fills_cache, scratch.values));
  return EncodedBlock{.kind = info.kind,
                      .sample_count = info.sample_count,
                      .time_ms_min = info.time_ms_min,
                      .time_ms_max = info.time_ms_max,
                      .values = bytes.first(info.value_bytes),
                      .start_timestamps = bytes.subspan(info.value_bytes)};
}

Result<void> DirectoryPartReader::read_window(const BlockInfo& info, std::int64_t start_ms,
                                              std::int64_t end_ms, ScratchImpl& scratch,
                                              promql::SampleColumns& out) const {
  GANTRY_TRY(const std::span<const std::int64_t> times, load_times(info, scratch));
  GANTRY_TRY(const EncodedBlock block, load_values(info, scratch));
  return watch(decode_block_at(block, times, start_ms, end_ms, out));
}

Result<void> DirectoryPartReader::read(std::uint32_t ordinal, std::int64_t start_ms,
                                       std::int64_t end_ms, Scratch& scratch,
                                       promql::SampleColumns& out) const {
  ScratchImpl& space = *scratch.impl;
  GANTRY_CHECK(list_blocks(ordinal, space, start_ms, end_ms, space.infos));
  for (const BlockInfo& info : space.infos) {
    GANTRY_CHECK(read_window(info, start_ms, end_ms, space, out));
  }
  return {};
}

Result<void> DirectoryPartReader::blocks(std::uint32_t ordinal, Scratch& scratch,
                                         std::vector<BlockInfo>& out) const {
  return list_blocks(ordinal, *scratch.impl, std::numeric_limits<std::int64_t>::min(),
                     std::numeric_limits<std::int64_t>::max(), out);
}

Result<EncodedBlock> DirectoryPartReader::block(const BlockInfo& info, Scratch& scratch) const {
  ScratchImpl& space = *scratch.impl;
  GANTRY_TRY(EncodedBlock block, load_values(info, space));
  GANTRY_TRY(block.times, slice(info.time_frame, info.time_offset, info.time_bytes,
                                space.fills_cache, space.times));
  return block;
}

Result<void> DirectoryPartReader::read_block(const BlockInfo& info, Scratch& scratch,
                                             FloatColumns& floats,
                                             HistogramColumns& histograms) const {
  GANTRY_TRY(const std::span<const std::int64_t> times, load_times(info, *scratch.impl));
  GANTRY_TRY(const EncodedBlock block, load_values(info, *scratch.impl));
  return watch(append_block_at(block, times, floats, histograms));
}

Result<std::unique_ptr<PartSeriesCursor>> DirectoryPartReader::series() const {
  return open_series_cursor(directory_, *index_, footer_, is_damaged_);
}

Result<void> DirectoryPartReader::verify() const {
  for (const FrameReader* file : {index_.get(), data_.get()}) {
    for (std::uint32_t frame = 0; frame < file->frame_count(); ++frame) {
      GANTRY_TRY([[maybe_unused]] const auto bytes, watch(file->read(frame)));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<PartReader>> PartReader::open(storage::FileSystem& files,
                                                     const storage::Path& directory,
                                                     FrameCache& cache) {
  auto index = FrameReader::open(files, directory / kPartIndexName, kPartIndexFormat);
  if (!index && index.error().code == Code::NotFound) {
    return fail(Code::DataLoss, index.error().message);
  }
  if (!index) return std::unexpected(std::move(index).error());
  auto data = FrameReader::open(files, directory / kPartDataName, kPartDataFormat);
  if (!data && data.error().code == Code::NotFound) {
    return fail(Code::DataLoss, data.error().message);
  }
  if (!data) return std::unexpected(std::move(data).error());
  GANTRY_TRY(PartFooter footer, parse_footer((*index)->footer()));
  return std::make_unique<DirectoryPartReader>(directory, cache, *std::move(index),
                                               *std::move(data), std::move(footer));
}

}  // namespace gantry::metrics
