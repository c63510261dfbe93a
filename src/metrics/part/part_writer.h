#pragma once

// Writes an immutable part: a directory with the samples of many series.
//
//   GANTRY_TRY(const Path temporary, storage::prepare_directory(files, directory));
//   GANTRY_TRY(auto writer, PartWriter::create(files, temporary, {.level = 0}));
//   for each series, ascending by compare_labels:
//     GANTRY_CHECK(writer->begin_series(labels));
//     GANTRY_CHECK(writer->add_floats(timestamps, values, {}));   // as often as wanted
//   GANTRY_TRY(const PartSummary summary, writer->finish());      // all files are synced
//   GANTRY_CHECK(storage::publish_directory(files, temporary, directory, FilesSynced::Yes));
//
// Format: docs/formats.md, "Parts".

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/error.h"
#include "metrics/part/block.h"
#include "storage/file.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

/// Samples per block that the writer aims at when it encodes: large enough to pack well, small
/// enough to skip.
inline constexpr std::size_t kPartBlockSamples = 1024;

struct PartSummary {
  std::uint32_t format_version = 0;
  std::uint32_t level = 0;       ///< 0: cut from the head; else one more than the deepest input.
  std::int64_t time_ms_min = 0;  ///< Of all samples; 0 and -1 in a part without any.
  std::int64_t time_ms_max = -1;
  std::uint64_t series_count = 0;
  std::uint64_t block_count = 0;
  std::uint64_t sample_count = 0;
  std::uint64_t histogram_count = 0;  ///< Of sample_count.
  std::uint64_t time_column_count = 0;
  std::uint64_t data_bytes = 0;   ///< Of the file with times and values.
  std::uint64_t index_bytes = 0;  ///< Of the file with labels and block lists.
};

struct PartWriterOptions {
  std::uint32_t level = 0;
  int compression_level = 1;  ///< zstd, for frames that gain 10 % by it; 0: never.
};

/// One thread. Memory: the distinct label strings, the distinct time columns' hashes, a few frames.
/// Samples of one series ascend over all calls, floats and histograms together; a call that breaks
/// this, or the order of series, is a bug and asserts.
class PartWriter {
 public:
  /// `directory` exists and is empty. Errors of every call: those of File; then the part is lost
  /// and the caller removes the directory.
  static Result<std::unique_ptr<PartWriter>> create(storage::FileSystem& files,
                                                    const storage::Path& directory,
                                                    const PartWriterOptions& options);

  virtual ~PartWriter() = default;
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  /// Labels sorted by name, and greater than the last series' (compare_labels). A series that gets
  /// no samples is not written.
  virtual Result<void> begin_series(std::span<const telemetry::LabelView> labels) = 0;

  /// Encodes and cuts blocks where series of the same interval cut theirs, so that they share time
  /// columns. `start_timestamps_ms` is empty or has one per sample.
  virtual Result<void> add_floats(std::span<const std::int64_t> timestamps_ms,
                                  std::span<const double> values,
                                  std::span<const std::int64_t> start_timestamps_ms) = 0;
  virtual Result<void> add_histograms(std::span<const std::int64_t> timestamps_ms,
                                      std::span<const telemetry::NativeHistogram> histograms,
                                      std::span<const std::int64_t> start_timestamps_ms) = 0;

  /// A block that is encoded already, as it is.
  virtual Result<void> add_block(const EncodedBlock& block) = 0;

  /// Bytes written and buffered so far: for budgets.
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;

  /// Writes what is left and syncs the files. Nothing may be called after it.
  virtual Result<PartSummary> finish() = 0;

 protected:
  PartWriter() = default;
};

}  // namespace gantry::metrics
