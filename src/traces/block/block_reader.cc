#include "traces/block/block_reader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/mutex.h"
#include "storage/hash_filter.h"
#include "traces/block/block_file.h"
#include "traces/block/block_format.h"
#include "traces/block/column_codec.h"

namespace gantry::traces {

Result<std::vector<std::byte>> BlockFile::read(std::uint32_t frame) const {
  auto bytes = frames_->read(frame);
  if (!bytes && bytes.error().code == Code::DataLoss) {
    is_damaged_.store(true, std::memory_order_relaxed);
  }
  return bytes;
}

std::unexpected<Error> BlockFile::damaged(std::string_view what) const {
  is_damaged_.store(true, std::memory_order_relaxed);
  return fail(Code::DataLoss, fmt::format("\"{}\": {}", path_.native(), what));
}

namespace {

using telemetry::TraceId;

class TracePageItem final : public storage::CacheItem {
 public:
  std::vector<TraceEntry> entries;

  [[nodiscard]] std::size_t memory_bytes() const override {
    return sizeof(*this) + entries.capacity() * sizeof(TraceEntry);
  }
};

class BytesItem final : public storage::CacheItem {
 public:
  std::vector<std::byte> bytes;

  [[nodiscard]] std::size_t memory_bytes() const override {
    return sizeof(*this) + bytes.capacity();
  }
};

class FileBlockReader final : public BlockReader {
 public:
  FileBlockReader(storage::Path path, std::unique_ptr<storage::FrameReader> frames,
                  storage::ItemCache& cache, BlockFooter footer)
      : file_(std::move(path), std::move(frames), cache), footer_(std::move(footer)) {
    footer_.summary.format_version = file_.frames().version();
    footer_.summary.bytes = file_.frames().size_bytes();
    for (const GroupEntry& group : footer_.groups) bounds_.push_back(group.bounds);
  }

  const BlockSummary& summary() const override { return footer_.summary; }

  std::span<const traceql::GroupBounds> groups() const override { return bounds_; }

  Result<std::unique_ptr<StoredGroup>> open_group(std::size_t group) const override;
  Result<bool> may_contain(const TraceId& id) const override;
  Result<std::optional<TracePlace>> find_trace(const TraceId& id) const override;

  std::size_t trace_page_count() const override { return footer_.trace_pages.size(); }

  Result<std::vector<TraceEntry>> trace_page(std::size_t page) const override;
  Result<bool> may_have(std::size_t group,
                        std::span<const traceql::RequiredText> required) const override;

  bool is_damaged() const override { return file_.is_damaged(); }

  Result<void> verify() const override;

 private:
  Result<std::shared_ptr<const TracePageItem>> load_page(std::size_t page) const;
  Result<std::shared_ptr<const BytesItem>> load_filters(std::uint32_t frame) const;
  Result<std::shared_ptr<const std::vector<std::byte>>> trace_filter() const;

  BlockFile file_;
  BlockFooter footer_;
  std::vector<traceql::GroupBounds> bounds_;
  mutable core::Mutex mutex_;
  mutable std::shared_ptr<const std::vector<std::byte>> trace_filter_ GANTRY_GUARDED_BY(mutex_);
};

Result<std::unique_ptr<StoredGroup>> FileBlockReader::open_group(std::size_t group) const {
  GANTRY_ASSERT(group < footer_.groups.size(), "the caller has the list of groups");
  const GroupEntry& entry = footer_.groups[group];
  const auto number = static_cast<std::uint32_t>(group);
  auto directory = file_.find<GroupDirectory>(directory_item(number));
  if (!directory) {
    GANTRY_TRY(auto bytes, file_.read(entry.directory_frame));
    directory = parse_directory(std::move(bytes));
    if (!directory || directory->counts.spans != entry.bounds.spans ||
        directory->counts.traces != entry.trace_count) {
      return file_.damaged("the directory of a group is not one");
    }
    file_.keep(directory_item(number), directory);
  }
  return make_block_group(file_, number, std::move(directory));
}

Result<std::shared_ptr<const std::vector<std::byte>>> FileBlockReader::trace_filter() const {
  {
    const core::Lock lock(mutex_);
    if (trace_filter_) return trace_filter_;
  }
  GANTRY_TRY(auto bytes, file_.read(footer_.trace_filter_frame));
  if (bytes.empty() || !storage::is_hash_filter_size(bytes.size())) {
    return file_.damaged("the filter of trace ids is not one");
  }
  auto filter = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  const core::Lock lock(mutex_);
  trace_filter_ = filter;
  return filter;
}

Result<bool> FileBlockReader::may_contain(const TraceId& id) const {
  if (footer_.summary.traces == 0) return false;
  GANTRY_TRY(const auto filter, trace_filter());
  return storage::may_contain(*filter, hash_trace_id(id));
}

Result<std::shared_ptr<const TracePageItem>> FileBlockReader::load_page(std::size_t page) const {
  if (auto known = file_.find<TracePageItem>(trace_page_item(page))) return known;
  const TracePage& entry = footer_.trace_pages[page];
  GANTRY_TRY(const auto bytes, file_.read(entry.frame));
  storage::ByteReader reader(bytes);
  std::vector<std::int64_t> hashes(entry.entry_count);
  std::vector<std::uint32_t> groups;
  std::vector<std::uint32_t> traces;
  decode_numbers(reader, hashes);
  decode_numbers_within(reader, entry.entry_count, 0,
                        static_cast<std::int64_t>(footer_.groups.size()) - 1, groups);
  decode_numbers_within(reader, entry.entry_count, 0, kGroupRowsMax, traces);
  if (!reader.at_end()) return file_.damaged("a page of the trace index is not one");
  auto item = std::make_shared<TracePageItem>();
  item->entries.reserve(entry.entry_count);
  std::uint64_t last = entry.first_hash;
  bool is_valid = static_cast<std::uint64_t>(hashes.front()) == last;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const auto hash = static_cast<std::uint64_t>(hashes[i]);
    is_valid &= hash >= last && traces[i] < footer_.groups[groups[i]].trace_count;
    item->entries.push_back({.id_hash = hash, .place = {.group = groups[i], .trace = traces[i]}});
    last = hash;
  }
  if (!is_valid) return file_.damaged("a page of the trace index contradicts itself");
  file_.keep(trace_page_item(page), item);
  return item;
}

Result<std::vector<TraceEntry>> FileBlockReader::trace_page(std::size_t page) const {
  GANTRY_ASSERT(page < footer_.trace_pages.size(), "the caller knows how many pages there are");
  GANTRY_TRY(const auto item, load_page(page));
  return item->entries;
}

Result<std::optional<TracePlace>> FileBlockReader::find_trace(const TraceId& id) const {
  GANTRY_TRY(const bool is_possible, may_contain(id));
  if (!is_possible) return std::nullopt;
  const std::uint64_t hash = hash_trace_id(id);
  const auto& pages = footer_.trace_pages;
  // The last page that begins before the hash may have it, and all that begin with it.
  auto page = std::ranges::lower_bound(pages, hash, {}, &TracePage::first_hash);
  if (page != pages.begin()) --page;
  for (; page != pages.end() && page->first_hash <= hash; ++page) {
    GANTRY_TRY(const auto item, load_page(static_cast<std::size_t>(page - pages.begin())));
    const auto found = std::ranges::equal_range(item->entries, hash, {}, &TraceEntry::id_hash);
    for (const TraceEntry& entry : found) {
      GANTRY_TRY(const auto group, open_group(entry.place.group));
      GANTRY_TRY(const auto ids, group->trace_ids());
      if (ids[entry.place.trace] == id) return entry.place;
    }
  }
  return std::nullopt;
}

Result<std::shared_ptr<const BytesItem>> FileBlockReader::load_filters(std::uint32_t frame) const {
  if (auto known = file_.find<BytesItem>(filter_item(frame))) return known;
  auto item = std::make_shared<BytesItem>();
  GANTRY_TRY(item->bytes, file_.read(frame));
  file_.keep(filter_item(frame), item);
  return item;
}

Result<bool> FileBlockReader::may_have(std::size_t group,
                                       std::span<const traceql::RequiredText> required) const {
  GANTRY_ASSERT(group < footer_.groups.size(), "the caller has the list of groups");
  if (required.empty()) return true;
  const FramePiece& place = footer_.groups[group].text_filter;
  if (place.bytes == 0) return false;
  GANTRY_TRY(const auto item, load_filters(place.frame));
  if (!storage::is_hash_filter_size(place.bytes) || place.offset > item->bytes.size() ||
      place.bytes > item->bytes.size() - place.offset) {
    return file_.damaged("the filter of a group is not one");
  }
  const auto filter = std::span<const std::byte>(item->bytes).subspan(place.offset, place.bytes);
  return std::ranges::all_of(required, [&](const traceql::RequiredText& text) {
    return storage::may_contain(filter, hash_attribute_text(text.key, text.text)) ||
           storage::may_contain(filter, hash_encoded_attribute(text.key));
  });
}

Result<void> FileBlockReader::verify() const {
  for (std::uint32_t frame = 0; frame < file_.frames().frame_count(); ++frame) {
    GANTRY_TRY([[maybe_unused]] const auto bytes, file_.read(frame));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<BlockReader>> BlockReader::open(storage::FileSystem& files,
                                                       const storage::Path& directory,
                                                       storage::ItemCache& cache) {
  const storage::Path path = directory / kBlockFileName;
  auto frames = storage::FrameReader::open(files, path, kBlockFormat);
  if (!frames && frames.error().code == Code::NotFound) {
    return fail(Code::DataLoss, frames.error().message);
  }
  if (!frames) return std::unexpected(std::move(frames).error());
  GANTRY_TRY(BlockFooter footer, parse_footer((*frames)->footer()));
  return std::make_unique<FileBlockReader>(path, *std::move(frames), cache, std::move(footer));
}

}  // namespace gantry::traces
