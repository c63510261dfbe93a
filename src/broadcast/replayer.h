#pragma once

// Sends past traces to destinations again: runs the replays of replay_rows.h, all on one thread.
//
//   Replayer replayer({.db = db, .history = history, .outlet = broadcaster, .clock = clock}, {});
//   replayer.start();
//   replayer.notify();   // one was started or cancelled
//   replayer.stop();
//
// In turns, each takes a page of whole traces, has it put into the queue, and then saves how far it
// has come, so that after a crash comes again what was queued last (at least once). One whose
// destination has enough waiting pauses: new spans are neither dropped for it nor wait long behind
// it. Replays that ran when the program ended go on at its next start.

#include <memory>
#include <string>

#include "broadcast/replay_outlet.h"
#include "core/cancel.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/time.h"
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

/// Thread-safe, but for start and stop.
class Replayer {
 public:
  struct Options {
    std::string replica;              ///< Runs the replays of this one only.
    DurationMs poll_interval{100};    ///< Until a queue that was full is looked at again.
    DurationMs retry_interval{5000};  ///< Until what failed is tried again.
    int read_failures_max = 5;        ///< In a row; then the replay has failed.
  };

  /// All must outlive it.
  struct Environment {
    state::Db& db;
    TraceHistory& history;
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
