#pragma once

// The embedded trace store of one stack: write-ahead log, live segment, immutable columnar blocks.
//
//   auto store = traces::Store::open(directory, options, environment);
//   auto appended = (*store)->append(batch);           // returns when it is on disk
//   engine.search(request, (*store)->source(), cancel);  // and sees it at once
//
// See traces/README.md for the parts and docs/formats.md for the files.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "core/worker_pool.h"
#include "telemetry/span_append_result.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"

namespace gantry::storage {
class FileSystem;
class DiskGuard;
}  // namespace gantry::storage

namespace gantry::traces {

/// Limits of one stack; 0 switches a limit off. The settings' names are those of
/// docs/configuration.md (limits.*).
struct Limits {
  std::uint64_t spans_per_request_max = 100'000;
  std::uint64_t bytes_per_trace_max =
      50'000'000;                     ///< Of the live segment's; further spans are refused.
  std::uint64_t live_traces_max = 0;  ///< Traces in the live segment.
  std::uint64_t span_bytes_per_second_max = 0;  ///< SpanBatch::body_bytes, bursts of two seconds.
};

/// When an append is acknowledged.
enum class Durability : std::uint8_t {
  Synced,   ///< After fdatasync (group commit).
  Written,  ///< After write(2): survives kill -9, not a power cut. Synced once a second.
};

struct StoreOptions {
  Limits limits;
  Durability durability = Durability::Synced;
  DurationMs retention{14LL * 24 * 60 * 60 *
                       1000};         ///< By the end of a block's newest trace; 0: for ever.
  std::uint64_t retention_bytes = 0;  ///< 0: no limit; else the oldest blocks go first.
  DurationMs seal_interval{15 * 60 *
                           1000};  ///< The live segment becomes a block at least this often.
  std::uint64_t live_bytes_max = 128ULL << 20;             ///< And when it has grown to this.
  std::uint64_t merge_bytes_per_second_max = 32ULL << 20;  ///< Of background merges; 0: no limit.
};

/// What the store is given. All must outlive it.
struct StoreEnvironment {
  storage::FileSystem& files;
  const Clock& clock;
  core::MetricRegistry& registry;
  core::WorkerPool* workers = nullptr;       ///< Null: everything on the calling thread.
  storage::DiskGuard* disk_guard = nullptr;  ///< Null: no check of free space.
};

struct BlockStatistics {
  std::string name;
  std::int64_t start_ns_min = 0;
  std::int64_t end_ns_max = 0;
  std::uint64_t spans = 0;
  std::uint64_t traces = 0;
  std::uint64_t bytes = 0;
  std::uint32_t level = 0;
};

struct StoreStatistics {
  std::uint64_t live_spans = 0;
  std::uint64_t live_traces = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t wal_bytes = 0;
  std::vector<BlockStatistics> blocks;  ///< Newest first.
};

/// Thread-safe. Every call may block on disk: never from an I/O thread.
class Store {
 public:
  /// Opens or creates the store in `directory`: replays the log (cutting or setting aside a torn
  /// tail, and saying so in the log), removes what the manifest does not name, quarantines blocks
  /// that fail their checksums. Errors: FailedPrecondition (a newer format), Internal, DataLoss
  /// (the manifest itself).
  static Result<std::unique_ptr<Store>> open(std::filesystem::path directory, StoreOptions options,
                                             StoreEnvironment environment);

  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Stores what is good, reports what is not; returns when the good part is durable and visible to
  /// queries that start afterwards. A span that the store already has (same ids, kind, name and
  /// times) counts as written and is kept once. Errors, with nothing stored: ResourceExhausted
  /// (spans_per_request_max), Unavailable (disk full, log failed, closing).
  virtual Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) = 0;

  [[nodiscard]] virtual const traceql::SpanSource& source() const = 0;

  /// Hides the trace at once and durably; merges remove it physically. Spans that arrive for it
  /// later are a new trace. False: there is none.
  virtual Result<bool> delete_trace(const telemetry::TraceId& id) = 0;

  [[nodiscard]] virtual StoreStatistics statistics() const = 0;

  /// Makes the live segment a block now; returns when it is durable and the log is truncated.
  virtual Result<void> flush() = 0;

  /// Merges all blocks into one. For benchmarks and operators.
  virtual Result<void> merge_all() = 0;

  /// Replaces limits, retention and intervals (SIGHUP).
  virtual void reconfigure(const StoreOptions& options) = 0;

  /// Stops background work and seals the live segment. Appends are refused from now on. Idempotent.
  virtual Result<void> close() = 0;

 protected:
  Store() = default;
};

}  // namespace gantry::traces
