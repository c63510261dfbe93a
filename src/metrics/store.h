#pragma once

// The embedded metrics store of one stack: write-ahead log, in-memory head, immutable columnar
// parts by day.
//
//   auto store = metrics::Store::open(directory, options, environment);
//   auto appended = (*store)->append(batch, {});        // returns when it is on disk
//   engine.instant(query, (*store)->source(), cancel);  // and sees it at once
//
// See metrics/README.md for the parts and docs/formats.md for the files.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "core/worker_pool.h"
#include "promql/matcher.h"
#include "promql/series_source.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::storage {
class FileSystem;
class DiskGuard;
}  // namespace gantry::storage

namespace gantry::metrics {

/// Limits of one stack; 0 switches a limit off. The settings' names are those of
/// docs/configuration.md (limits.*).
struct Limits {
  std::uint64_t active_series_max = 2'000'000;  ///< Series with a sample in the head.
  std::uint64_t new_series_per_minute_max = 0;
  std::uint32_t labels_per_series_max = 60;
  std::uint32_t label_name_bytes_max = 1024;
  std::uint32_t label_value_bytes_max = 4096;
  std::uint64_t samples_per_request_max = 1'000'000;
  std::uint64_t exemplars_max = 100'000;  ///< Kept in all; the oldest are overwritten.
  std::uint64_t metadata_families_max = 30'000;
  std::uint32_t metadata_per_family_max = 10;

  /// MetricBatch::body_bytes of all requests that the store has taken since midnight UTC, whatever
  /// became of their samples; what has no body (own metrics, scrapes) is free. A request that would
  /// exceed it is refused whole. While the limit is on, the count is put on disk every 10 seconds
  /// and by `close`: a crash forgets what came after the last time.
  std::uint64_t bytes_per_day_max = 0;
};

/// When an append is acknowledged.
enum class Durability : std::uint8_t {
  Synced,   ///< After fdatasync (group commit).
  Written,  ///< After write(2): survives kill -9, not a power cut. Synced once a second.
};

struct StoreOptions {
  Limits limits;
  Durability durability = Durability::Synced;
  DurationMs out_of_order_window{60 * 60 * 1000};
  DurationMs future_tolerance{10 * 60 * 1000};
  DurationMs retention{15LL * 24 * 60 * 60 * 1000};  ///< 0: for ever.
  std::uint64_t retention_bytes = 0;          ///< 0: no limit; else the oldest partitions go first.
  DurationMs flush_interval{10 * 60 * 1000};  ///< The head is cut into a part at least this often.
  std::uint64_t wal_bytes_max = 256ULL << 20;  ///< And when the log has grown to this.
  /// Bytes that background merges write, on average over each merge; 0: no limit. `merge_all` and
  /// `clean_tombstones` are not bound by it.
  std::uint64_t merge_bytes_per_second_max = 32ULL << 20;
};

/// What the store is given. All must outlive it.
struct StoreEnvironment {
  storage::FileSystem& files;
  const Clock& clock;
  core::MetricRegistry& registry;
  core::WorkerPool* workers = nullptr;       ///< For parallel replay; null: on the calling thread.
  storage::DiskGuard* disk_guard = nullptr;  ///< Null: no check of free space.
};

struct AppendOptions {
  bool is_import = false;  ///< Not bound by the out-of-order window (scope metrics:import).
};

struct MetadataEntry {
  std::string type;
  std::string help;
  std::string unit;
};

struct CardinalityEntry {
  std::string name;
  std::uint64_t value = 0;
};

/// As /api/v1/status/tsdb shows it; kept incrementally.
struct CardinalityStatistics {
  std::uint64_t series_count = 0;
  std::uint64_t label_pair_count = 0;
  std::uint64_t chunk_count = 0;
  std::int64_t time_ms_min = 0;
  std::int64_t time_ms_max = 0;
  std::vector<CardinalityEntry> series_by_metric;
  std::vector<CardinalityEntry> values_by_label;
  std::vector<CardinalityEntry> bytes_by_label;
  std::vector<CardinalityEntry> series_by_label_pair;
};

struct PartStatistics {
  std::string name;
  std::int64_t time_ms_min = 0;
  std::int64_t time_ms_max = 0;
  std::uint64_t sample_count = 0;
  std::uint64_t series_count = 0;
  std::uint64_t block_count = 0;
  std::uint64_t bytes = 0;
  std::uint32_t level = 0;
};

/// Thread-safe. Every call may block on disk: never from an I/O thread.
class Store {
 public:
  /// Opens or creates the store in `directory`: replays the log (cutting or setting aside a torn
  /// tail, and saying so in the log), removes what the manifest does not name, quarantines parts
  /// that fail their checksums. Errors: FailedPrecondition (a newer format), Internal, DataLoss
  /// (the manifest itself).
  static Result<std::unique_ptr<Store>> open(std::filesystem::path directory, StoreOptions options,
                                             StoreEnvironment environment);

  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Stores what is good, reports what is not; returns when the good part is durable and visible to
  /// queries that start afterwards. A request over bytes_per_day_max is no error: all of it is
  /// reported as refused, with `retry_after`. Errors, with nothing stored: ResourceExhausted
  /// (samples_per_request_max), Unavailable (disk full, log failed, closing).
  virtual Result<telemetry::AppendResult> append(const telemetry::MetricBatch& batch,
                                                 const AppendOptions& options) = 0;

  [[nodiscard]] virtual const promql::SeriesSource& source() const = 0;

  /// Hides samples of matching series in [start, end] at once and durably; merges remove them
  /// physically.
  virtual Result<void> delete_series(std::span<const promql::Matcher> matchers,
                                     std::int64_t start_ms, std::int64_t end_ms) = 0;

  /// Removes deleted samples from disk now.
  virtual Result<void> clean_tombstones() = 0;

  /// Families (all, or the one named) with their entries, sorted by family.
  [[nodiscard]] virtual std::vector<std::pair<std::string, std::vector<MetadataEntry>>> metadata(
      std::string_view family) const = 0;

  /// The `limit` largest of each list, descending.
  [[nodiscard]] virtual CardinalityStatistics cardinality(std::size_t limit) const = 0;

  [[nodiscard]] virtual std::vector<PartStatistics> parts() const = 0;

  /// Cuts the head into a part now; returns when the part is durable and the log is truncated.
  virtual Result<void> flush() = 0;

  /// Merges every partition's parts into one. For benchmarks and operators.
  virtual Result<void> merge_all() = 0;

  /// Replaces limits, retention and windows (SIGHUP).
  virtual void reconfigure(const StoreOptions& options) = 0;

  /// Stops background work and flushes the head. Appends are refused from now on. Idempotent.
  virtual Result<void> close() = 0;

 protected:
  Store() = default;
};

}  // namespace gantry::metrics
