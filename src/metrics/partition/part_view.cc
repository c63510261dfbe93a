#include "metrics/partition/part_view.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "metrics/encoding/read_hints.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

/// Series per visit to the registry while a part is opened: one lock for each.
constexpr std::size_t kMapBatch = 4096;
constexpr std::uint64_t kNoColumn = std::numeric_limits<std::uint64_t>::max();

/// Removes from `column` the positions from `first` on for which `is_deleted` holds.
template <class T>
void erase_marked(std::vector<T>& column, std::size_t first, const std::vector<bool>& is_deleted) {
  if (column.empty()) return;
  std::size_t kept = first;
  for (std::size_t i = first; i < column.size(); ++i) {
    if (!is_deleted[i - first]) {
      if (kept != i) column[kept] = std::move(column[i]);
      ++kept;
    }
  }
  column.resize(kept);
}

bool is_inside(std::span<const TimeRange> ranges, std::int64_t time_ms) {
  return std::ranges::any_of(ranges, [&](const TimeRange& range) {
    return range.start_ms <= time_ms && time_ms <= range.end_ms;
  });
}

/// Removes deleted samples from those that were appended after the given sizes.
void erase_deleted(std::span<const TimeRange> deleted, std::size_t first_float,
                   std::size_t first_histogram, promql::SampleColumns& out) {
  std::vector<bool> marks;
  for (std::size_t i = first_float; i < out.timestamps_ms.size(); ++i) {
    marks.push_back(is_inside(deleted, out.timestamps_ms[i]));
  }
  erase_marked(out.timestamps_ms, first_float, marks);
  erase_marked(out.values, first_float, marks);
  erase_marked(out.start_timestamps_ms, first_float, marks);
  marks.clear();
  for (std::size_t i = first_histogram; i < out.histograms.size(); ++i) {
    marks.push_back(is_inside(deleted, out.histograms[i].timestamp_ms));
  }
  // Who comes after a gap has lost the one before it.
  for (std::size_t i = 1; i < marks.size(); ++i) {
    if (marks[i - 1] && !marks[i]) forget_hint(out.histograms[first_histogram + i].histogram);
  }
  erase_marked(out.histograms, first_histogram, marks);
}

}  // namespace

Part::Part(const PartEntry& entry, std::unique_ptr<PartReader> reader)
    : entry_(entry), reader_(std::move(reader)) {}

Result<std::shared_ptr<Part>> Part::open(storage::FileSystem& files,
                                         const storage::Path& store_directory,
                                         const PartEntry& entry, FrameCache& cache,
                                         SeriesRegistry& registry) {
  GANTRY_TRY(auto reader, PartReader::open(files, store_directory / entry.path(), cache));
  auto part = std::make_shared<Part>(entry, std::move(reader));
  GANTRY_CHECK(part->map_series(registry));
  return part;
}

Result<void> Part::map_series(SeriesRegistry& registry) {
  GANTRY_TRY(const auto cursor, reader_->series());
  std::vector<std::uint32_t> symbols(cursor->symbols().size());
  registry.intern(cursor->symbols(), symbols);

  std::vector<promql::LabelSymbols> labels;
  std::vector<std::size_t> ends;
  std::vector<SeriesRegistry::SymbolLookup> lookups;
  const auto look_up = [&] {
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      lookups.push_back({.labels = std::span(labels).subspan(begin, end - begin)});
      begin = end;
    }
    registry.add(std::span(lookups));
    for (const auto& lookup : lookups) series_.push_back(lookup.series);
    labels.clear();
    ends.clear();
    lookups.clear();
  };
  while (true) {
    GANTRY_TRY(const bool more, cursor->next());
    if (!more) break;
    if (cursor->ordinal() != series_.size() + ends.size()) {
      return fail(Code::DataLoss, "series of a part are not numbered 0, 1, 2, …");
    }
    for (const PartLabel& label : cursor->label_symbols()) {
      labels.push_back({.name = symbols[label.name], .value = symbols[label.value]});
    }
    ends.push_back(labels.size());
    if (ends.size() == kMapBatch) look_up();
  }
  look_up();

  for (const std::uint32_t series : series_) {
    registry.record(series).part_count().fetch_add(1, std::memory_order_relaxed);
  }
  if (!std::ranges::is_sorted(series_)) {
    ordinals_.resize(series_.size());
    std::iota(ordinals_.begin(), ordinals_.end(), 0U);
    std::ranges::sort(ordinals_, {}, [&](std::uint32_t ordinal) { return series_[ordinal]; });
    std::ranges::sort(series_);
  }
  series_.shrink_to_fit();
  return {};
}

std::uint32_t Part::find(std::uint32_t series) const {
  const auto found = std::ranges::lower_bound(series_, series);
  if (found == series_.end() || *found != series) return kNone;
  return ordinal(static_cast<std::size_t>(found - series_.begin()));
}

void PartView::deleted_ranges(const Part& part, std::uint32_t series, std::int64_t start_ms,
                              std::int64_t end_ms, std::vector<TimeRange>& out) const {
  for (const auto& tombstone : tombstones) {
    const TombstoneEntry& entry = tombstone->entry;
    if (entry.sequence <= part.entry().clean_sequence || entry.start_ms > end_ms ||
        entry.end_ms < start_ms || !std::ranges::binary_search(tombstone->series, series)) {
      continue;
    }
    out.push_back({.start_ms = entry.start_ms, .end_ms = entry.end_ms});
  }
}

bool PartView::has_tombstones(const Part& part) const {
  return std::ranges::any_of(tombstones, [&](const auto& tombstone) {
    const TombstoneEntry& entry = tombstone->entry;
    return entry.sequence > part.entry().clean_sequence &&
           part.overlaps(entry.start_ms, entry.end_ms);
  });
}

Result<void> read_part(const PartView& view, const Part& part, std::uint32_t series,
                       std::uint32_t ordinal, TimeRange range, PartScratch& scratch,
                       promql::SampleColumns& out) {
  const std::size_t first_float = out.timestamps_ms.size();
  const std::size_t first_histogram = out.histograms.size();
  const bool had_starts = !out.start_timestamps_ms.empty();
  auto read = part.reader().read(ordinal, range.start_ms, range.end_ms, scratch.reader, out);
  if (!read) {
    out.timestamps_ms.resize(first_float);
    out.values.resize(first_float);
    out.start_timestamps_ms.resize(had_starts ? first_float : 0);
    out.histograms.resize(first_histogram);
    return read;
  }
  if (view.tombstones.empty()) return {};
  scratch.deleted.clear();
  view.deleted_ranges(part, series, range.start_ms, range.end_ms, scratch.deleted);
  if (!scratch.deleted.empty()) erase_deleted(scratch.deleted, first_float, first_histogram, out);
  return {};
}

PartPresence::PartPresence(const PartView& view, const Part& part, TimeRange range)
    : view_(view),
      part_(part),
      range_(range),
      covers_part_(range.start_ms <= part.summary().time_ms_min &&
                   range.end_ms >= part.summary().time_ms_max),
      has_tombstones_(view.has_tombstones(part)),
      last_column_(kNoColumn) {}

Result<bool> PartPresence::block_has_sample(const BlockInfo& block, PartScratch& scratch) {
  if (block.time_ms_max < range_.start_ms || block.time_ms_min > range_.end_ms) return false;
  if (block.time_ms_min >= range_.start_ms || block.time_ms_max <= range_.end_ms) return true;
  // The range lies inside the block. Series that are scraped together share their time column.
  const std::uint64_t column = (std::uint64_t{block.time_frame} << 32) | block.time_offset;
  if (column == last_column_) return last_answer_;
  GANTRY_TRY(const EncodedBlock encoded, part_.reader().block(block, scratch.reader));
  times_.resize(encoded.sample_count);
  GANTRY_CHECK(storage::decode_timestamps(encoded.times, times_));
  const auto found = std::ranges::lower_bound(times_, range_.start_ms);
  last_column_ = column;
  last_answer_ = found != times_.end() && *found <= range_.end_ms;
  return last_answer_;
}

Result<bool> PartPresence::has_sample(std::uint32_t series, std::uint32_t ordinal,
                                      PartScratch& scratch) {
  if (has_tombstones_) {
    scratch.deleted.clear();
    view_.deleted_ranges(part_, series, range_.start_ms, range_.end_ms, scratch.deleted);
    if (!scratch.deleted.empty()) {
      scratch.columns.clear();
      GANTRY_CHECK(read_part(view_, part_, series, ordinal, range_, scratch, scratch.columns));
      return !scratch.columns.timestamps_ms.empty() || !scratch.columns.histograms.empty();
    }
  }
  if (covers_part_) return true;
  GANTRY_CHECK(part_.reader().blocks(ordinal, scratch.reader, scratch.blocks));
  for (const BlockInfo& block : scratch.blocks) {
    GANTRY_TRY(const bool has, block_has_sample(block, scratch));
    if (has) return true;
  }
  return false;
}

}  // namespace gantry::metrics
