#pragma once

// Where a replay puts what it has read: the decisions, views and queue of new spans and samples,
// for one destination.

#include <cstddef>
#include <cstdint>

#include "broadcast/queue.h"
#include "core/error.h"
#include "core/ids.h"
#include "telemetry/metric_batch.h"
#include "telemetry/span_batch.h"

namespace gantry::broadcast {

/// Whether a destination takes more of what is replayed.
enum class Intake : std::uint8_t {
  Open,
  Full,      ///< As much waits as what is new may be held up by.
  Disabled,  ///< What is offered would be left out.
  Unknown,   ///< Just made, or just deleted, or takes no such signal.
};

struct Requeued {
  std::uint64_t traces = 0;
  std::uint64_t spans = 0;
};

/// Thread-safe. Calls may block on disk.
class ReplayOutlet {
 public:
  ReplayOutlet() = default;
  virtual ~ReplayOutlet() = default;
  ReplayOutlet(const ReplayOutlet&) = delete;
  ReplayOutlet& operator=(const ReplayOutlet&) = delete;

  [[nodiscard]] virtual Intake intake(StackId stack, const DestinationId& id,
                                      Signal signal) const = 0;

  /// A batch of more adds more than is good at once.
  [[nodiscard]] virtual std::size_t batch_bytes_max() const = 0;

  /// Whole traces: no key brought them; sampled by the session that they name, else by their id,
  /// whatever is known of those that come in just now. On disk when it returns; a span that is too
  /// large for the queue is counted as dropped. Errors: FailedPrecondition (the destination is not
  /// there, or disabled), with nothing queued; those of Queue::append, with a part queued.
  virtual Result<Requeued> requeue(StackId stack, const DestinationId& id,
                                   const telemetry::SpanBatch& batch) = 0;

  /// How many samples, histograms too, are left by the destination's relabelling; its stream
  /// aggregation does not see them, since its windows are those of the present. What comes back is
  /// not known again. On disk, and errors, as above.
  virtual Result<std::uint64_t> requeue(StackId stack, const DestinationId& id,
                                        const telemetry::MetricBatch& batch) = 0;
};

}  // namespace gantry::broadcast
