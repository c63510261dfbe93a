#pragma once

// Sends past traces and metrics to destinations again: runs the replays of replay_rows.h, all on
// one thread.
//
//   Replayer replayer({.db = db, .traces = histories, .metrics = histories, .outlet = broadcaster,
//                      .clock = clock}, {});
//   replayer.start();
//   replayer.notify();   // one was started or cancelled
//   replayer.stop();
//
// In turns, each takes a page of whole traces and one of samples, has them put into the queue, and
// then saves how far it has come, so that after a crash comes again what was queued last (at least
// once). A signal of which the destination has enough waiting pauses: what is new is neither
// dropped for it nor waits long behind it. Replays that ran when the program ended go on at its
// next start.

#include <memory>
#include <string>

#include "broadcast/replay_outlet.h"
#include "core/cancel.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/time.h"
#include "metrics/sample_slice.h"
#include "state/db.h"
#include "telemetry/span_batch.h"
#include "traces/trace_pages.h"

namespace gantry::broadcast {

/// The traces of stacks. One thread.
class TraceHistory {
 public:
  TraceHistory() = default;
  virtual ~TraceHistory() = default;
  TraceHistory(const TraceHistory&) = delete;
  TraceHistory& operator=(const TraceHistory&) = delete;

  /// As traces::read_trace_page of that stack's source. Errors: its own; Unavailable: the stack is
  /// not open here.
  virtual Result<traces::TracePage> read(StackId stack, const traces::TracePageRequest& request,
                                         const CancelToken& cancel,
                                         telemetry::SpanBatch& batch) = 0;
};

/// The metrics of stacks. One thread.
class MetricHistory {
 public:
  MetricHistory() = default;
  virtual ~MetricHistory() = default;
  MetricHistory(const MetricHistory&) = delete;
  MetricHistory& operator=(const MetricHistory&) = delete;

  /// As metrics::open_sample_slice of that stack's source. Errors: its own; Unavailable: the stack
  /// is not open here.
  virtual Result<std::unique_ptr<metrics::SampleSlice>> open_slice(
      StackId stack, const metrics::SampleSliceRequest& request, const CancelToken& cancel) = 0;
};

/// Thread-safe, but for start and stop.
class Replayer {
 public:
  struct Options {
    std::string replica;              ///< Runs the replays of this one only.
    DurationMs poll_interval{100};    ///< Until a queue that was full is looked at again.
    DurationMs retry_interval{5000};  ///< Until what failed is tried again.
    int read_failures_max = 5;        ///< In a row; then the replay has failed.
    /// A slice that takes longer is opened again: the store keeps alive what it shows.
    DurationMs slice_age_max{10'000};
  };

  /// All must outlive it.
  struct Environment {
    state::Db& db;
    TraceHistory& traces;
    MetricHistory& metrics;
    ReplayOutlet& outlet;
    const Clock& clock;
  };

  Replayer(Environment environment, Options options);

  /// stop()
  ~Replayer();
  Replayer(const Replayer&) = delete;
  Replayer& operator=(const Replayer&) = delete;

  /// Reads which replays there are, and runs them. Once.
  void start();

  /// There may be others now. Returns at once.
  void notify();

  /// Ends between two pages. What runs is left for the next start. Later calls do nothing.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::broadcast
