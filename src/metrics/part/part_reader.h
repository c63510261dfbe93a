#pragma once

// Reads an immutable part.
//
//   GANTRY_TRY(auto part, PartReader::open(files, directory, cache));
//   GANTRY_TRY(auto cursor, part->series());
//   while (true) { GANTRY_TRY(const bool more, cursor->next()); if (!more) break;
//                  … cursor->ordinal(), cursor->labels() … }
//   PartReader::Scratch scratch;                              // one per thread
//   GANTRY_CHECK(part->read(ordinal, start_ms, end_ms, scratch, columns));

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "metrics/part/block.h"
#include "metrics/part/frame_cache.h"
#include "metrics/part/part_writer.h"
#include "storage/file.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

/// A label as two symbols of one part.
struct PartLabel {
  std::uint32_t name = 0;
  std::uint32_t value = 0;

  friend bool operator==(const PartLabel&, const PartLabel&) = default;
};

/// Walks the series of a part in the order of their labels. One thread. Keeps the part's symbols
/// (and nothing else) in memory while it lives. Must not outlive the part.
class PartSeriesCursor {
 public:
  PartSeriesCursor() = default;
  PartSeriesCursor(const PartSeriesCursor&) = delete;
  PartSeriesCursor& operator=(const PartSeriesCursor&) = delete;
  virtual ~PartSeriesCursor() = default;

  /// Goes to the next series (the first, the first time); false after the last. Errors: DataLoss.
  virtual Result<bool> next() = 0;

  /// 0, 1, 2, …: what `read` takes.
  [[nodiscard]] virtual std::uint32_t ordinal() const = 0;

  /// Views of strings are valid as long as the cursor, the span until `next`.
  [[nodiscard]] virtual std::span<const telemetry::LabelView> labels() const = 0;
  [[nodiscard]] virtual std::span<const PartLabel> label_symbols() const = 0;

  /// Symbol n of the part: translate each once rather than each label's text.
  [[nodiscard]] virtual std::span<const std::string_view> symbols() const = 0;
};

/// Where a series' block is and what it covers.
struct BlockInfo {
  BlockKind kind = BlockKind::Float;
  bool has_start_timestamps = false;
  std::uint32_t sample_count = 0;
  std::int64_t time_ms_min = 0;
  std::int64_t time_ms_max = 0;
  std::uint32_t time_frame = 0;
  std::uint32_t time_offset = 0;
  std::uint32_t time_bytes = 0;
  std::uint32_t value_frame = 0;
  std::uint32_t value_offset = 0;
  std::uint32_t value_bytes = 0;  ///< Of the values alone; start timestamps follow them.
  std::uint32_t start_bytes = 0;
};

/// Thread-safe once open. The footer, and with it the frame tables, is verified on open; each frame
/// when it is read. What fails is DataLoss and sets `is_damaged`: the owner moves the directory to
/// quarantine and serves the rest.
class PartReader {
 public:
  /// What one thread keeps between reads: the last frames and the last time column, which series
  /// that are scraped together share. Belongs to one part at a time; a change of part is noticed.
  struct Scratch {
    Scratch();
    ~Scratch();
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;

    /// One that leaves the cache to those who will come again: for merges and exports.
    [[nodiscard]] static Scratch for_scan();

    struct Impl;
    std::unique_ptr<Impl> impl;
  };

  /// `files` and `cache` must outlive the reader. Errors: DataLoss, FailedPrecondition (a newer
  /// format), those of File.
  static Result<std::unique_ptr<PartReader>> open(storage::FileSystem& files,
                                                  const storage::Path& directory,
                                                  FrameCache& cache);

  virtual ~PartReader() = default;
  PartReader(const PartReader&) = delete;
  PartReader& operator=(const PartReader&) = delete;

  [[nodiscard]] virtual const storage::Path& directory() const = 0;
  [[nodiscard]] virtual const PartSummary& summary() const = 0;

  /// A frame has failed its checksum since the part was opened.
  [[nodiscard]] virtual bool is_damaged() const = 0;

  virtual Result<std::unique_ptr<PartSeriesCursor>> series() const = 0;

  /// Appends the samples of series `ordinal` with start_ms <= t <= end_ms to `out`, ascending.
  /// Errors: OutOfRange (no such series), DataLoss, those of File. Hot: per sample.
  virtual Result<void> read(std::uint32_t ordinal, std::int64_t start_ms, std::int64_t end_ms,
                            Scratch& scratch, promql::SampleColumns& out) const = 0;

  /// The blocks of a series, ascending by time. Replaces `out`.
  virtual Result<void> blocks(std::uint32_t ordinal, Scratch& scratch,
                              std::vector<BlockInfo>& out) const = 0;

  /// The bytes of one block, valid until the next call with this scratch.
  virtual Result<EncodedBlock> block(const BlockInfo& info, Scratch& scratch) const = 0;

  /// Appends a whole block, losslessly, to the columns of its kind. Errors: as read.
  virtual Result<void> read_block(const BlockInfo& info, Scratch& scratch, FloatColumns& floats,
                                  HistogramColumns& histograms) const = 0;

  /// Reads and verifies every frame.
  virtual Result<void> verify() const = 0;

 protected:
  PartReader() = default;
};

}  // namespace gantry::metrics
