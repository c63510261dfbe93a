#include "traces/block/block_writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "storage/hash_filter.h"
#include "traces/block/block_format.h"
#include "traces/block/column_codec.h"
#include "traces/block/group_encoder.h"

namespace gantry::traces {
namespace {

using telemetry::TraceId;

struct IndexedTrace {
  std::uint64_t hash = 0;
  TraceId id;
  std::uint32_t group = 0;
  std::uint32_t trace = 0;

  friend auto operator<=>(const IndexedTrace&, const IndexedTrace&) = default;
};

class FileBlockWriter final : public BlockWriter {
 public:
  FileBlockWriter(std::unique_ptr<storage::FrameWriter> file, const BlockWriterOptions& options)
      : file_(std::move(file)), options_(options), groups_(*file_, options.compression_level) {
    footer_.summary.format_version = kBlockFormatVersion;
    footer_.summary.level = options.level;
  }

  Result<void> add_group(StoredGroup& group) override;

  std::uint64_t size_bytes() const override { return file_->size_bytes() + filters_.size(); }

  Result<BlockSummary> finish() override;

 private:
  Result<void> close_filters();
  Result<void> write_trace_index();
  Result<void> write_trace_filter();
  void note_bounds(const traceql::GroupBounds& bounds);

  std::unique_ptr<storage::FrameWriter> file_;
  const BlockWriterOptions options_;
  GroupEncoder groups_;
  BlockFooter footer_;
  std::vector<IndexedTrace> traces_;
  std::vector<std::byte> filters_;  ///< Of groups, not yet written.
  std::uint32_t filters_frame_ = 0;
};

void FileBlockWriter::note_bounds(const traceql::GroupBounds& bounds) {
  BlockSummary& summary = footer_.summary;
  const bool is_first = summary.groups == 0;
  const auto raise = [&](std::int64_t& to, std::int64_t value) {
    to = is_first ? value : std::max(to, value);
  };
  summary.start_ns_min =
      is_first ? bounds.start_ns_min : std::min(summary.start_ns_min, bounds.start_ns_min);
  raise(summary.start_ns_max, bounds.start_ns_max);
  raise(summary.end_ns_max, bounds.end_ns_max);
  raise(summary.trace_start_ns_max, bounds.trace_start_ns_max);
}

Result<void> FileBlockWriter::add_group(StoredGroup& group) {
  if (group.counts().spans == 0) return {};
  GANTRY_TRY(EncodedGroup encoded, groups_.encode(group));
  const std::vector<std::byte> filter =
      storage::make_hash_filter(encoded.text_hashes, kTextFilterBits);
  if (!filter.empty()) {
    if (filters_.empty()) filters_frame_ = file_->reserve();
    encoded.entry.text_filter = {.frame = filters_frame_,
                                 .offset = static_cast<std::uint32_t>(filters_.size()),
                                 .bytes = static_cast<std::uint32_t>(filter.size())};
    filters_.insert(filters_.end(), filter.begin(), filter.end());
    if (filters_.size() >= storage::kFrameBytesTarget) GANTRY_CHECK(close_filters());
  }
  for (std::size_t trace = 0; trace < encoded.trace_ids.size(); ++trace) {
    const TraceId& id = encoded.trace_ids[trace];
    traces_.push_back({.hash = hash_trace_id(id),
                       .id = id,
                       .group = static_cast<std::uint32_t>(footer_.groups.size()),
                       .trace = static_cast<std::uint32_t>(trace)});
  }
  note_bounds(encoded.entry.bounds);
  BlockSummary& summary = footer_.summary;
  summary.spans += encoded.entry.bounds.spans;
  summary.traces += encoded.entry.trace_count;
  ++summary.groups;
  footer_.groups.push_back(std::move(encoded.entry));
  return {};
}

Result<void> FileBlockWriter::close_filters() {
  if (filters_.empty()) return {};
  // Bits of a filter are as good as random.
  GANTRY_CHECK(file_->write(filters_frame_, filters_, 0));
  filters_.clear();
  return {};
}

Result<void> FileBlockWriter::write_trace_index() {
  std::ranges::sort(traces_);
  const auto is_same = [](const IndexedTrace& a, const IndexedTrace& b) {
    return a.hash == b.hash && a.id == b.id;
  };
  if (std::ranges::adjacent_find(traces_, is_same) != traces_.end()) {
    return fail(Code::DataLoss, "a trace is in two groups of a block");
  }
  ColumnEncoder encoder(options_.compression_level);
  std::vector<std::byte> bytes;
  std::vector<std::int64_t> numbers;
  for (std::span<const IndexedTrace> left = traces_; !left.empty();) {
    const auto page = left.first(std::min(left.size(), kTracePageEntries));
    left = left.subspan(page.size());
    bytes.clear();
    const auto append = [&](auto member) {
      numbers.clear();
      for (const IndexedTrace& entry : page) {
        numbers.push_back(static_cast<std::int64_t>(entry.*member));
      }
      encoder.numbers(numbers, bytes);
    };
    append(&IndexedTrace::hash);
    append(&IndexedTrace::group);
    append(&IndexedTrace::trace);
    GANTRY_TRY(const std::uint32_t frame, file_->add(bytes, 0));
    footer_.trace_pages.push_back({.first_hash = page.front().hash,
                                   .entry_count = static_cast<std::uint32_t>(page.size()),
                                   .frame = frame});
  }
  return {};
}

Result<void> FileBlockWriter::write_trace_filter() {
  if (traces_.empty()) return {};
  std::vector<std::uint64_t> hashes;
  hashes.reserve(traces_.size());
  for (const IndexedTrace& trace : traces_) hashes.push_back(trace.hash);
  // With so many traces that a frame cannot hold it, the filter errs more often.
  const std::size_t bits_max = (storage::kFrameBytesMax - storage::kHashFilterBlockBytes) * 8;
  const auto bits =
      static_cast<unsigned>(std::clamp<std::size_t>(bits_max / hashes.size(), 1, kTraceFilterBits));
  GANTRY_TRY(footer_.trace_filter_frame, file_->add(storage::make_hash_filter(hashes, bits), 0));
  return {};
}

Result<BlockSummary> FileBlockWriter::finish() {
  GANTRY_CHECK(close_filters());
  GANTRY_CHECK(write_trace_index());
  GANTRY_CHECK(write_trace_filter());
  std::vector<std::byte> footer;
  append_footer(footer_, footer);
  GANTRY_CHECK(file_->finish(footer));
  footer_.summary.bytes = file_->size_bytes();
  return footer_.summary;
}

}  // namespace

Result<std::unique_ptr<BlockWriter>> BlockWriter::create(storage::FileSystem& files,
                                                         const storage::Path& directory,
                                                         const BlockWriterOptions& options) {
  GANTRY_TRY(auto file,
             storage::FrameWriter::create(files, directory / kBlockFileName, kBlockFormat));
  return std::make_unique<FileBlockWriter>(std::move(file), options);
}

}  // namespace gantry::traces
