#pragma once

// Broadcasting as a running part of the server: the queue, the dead letters, and a delivery for
// each enabled destination of every stack.
//
//   GANTRY_TRY(auto broadcaster, Broadcaster::open(environment, options));
//   GANTRY_CHECK(broadcaster->start());
//   broadcaster->offer(event);            // a finished LLM call
//   broadcaster->offer(stack, batch);     // spans that a stack's store has taken
//   broadcaster->offer(stack, batch, stored);  // metrics, likewise
//   broadcaster->notify();                // destinations may have changed
//   broadcaster->stop({10'000});
//
// An event is decided on for each destination of its stack; those that get the same view of it
// share one item in the queue, encoded once. Secrets of destinations are opened when a delivery
// starts and live as long as it does.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "broadcast/dead_letters.h"
#include "broadcast/decision.h"
#include "broadcast/delivery.h"
#include "broadcast/delivery_desk.h"
#include "broadcast/destination_source.h"
#include "broadcast/queue.h"
#include "broadcast/replay_outlet.h"
#include "broadcast/transport.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/time.h"
#include "storage/file.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"
#include "telemetry/span_batch.h"

namespace gantry::broadcast {

/// A finished LLM call. Views live as long as the call of `offer`.
struct CallEvent {
  StackId stack;
  EventFacts facts;
  /// Replaces `out` by the call's spans with the attributes that `extras` ask for. Called once for
  /// each combination that is asked for.
  std::function<void(const GenerationExtras& extras, telemetry::SpanBatch& out)> build;
};

/// Thread-safe, but for start and stop.
class Broadcaster : public DeliveryDesk, public ReplayOutlet {
 public:
  struct Options {
    Queue::Options queue;
    DeadLetters::Options dead_letters;
    Delivery::Options delivery;
    /// Spans of one request become several items of at most this, so that receivers take them.
    std::size_t item_bytes_max = 512 << 10;
    /// While more than this waits for a destination, or half of what may wait, a replay to it does.
    std::uint64_t replay_queue_bytes_max = 8 << 20;
    DurationMs maintain_interval{1000};
    /// Until what failed is tried again: reading destinations, opening the secrets of one.
    DurationMs retry_interval{5000};
  };

  /// All must outlive it.
  struct Environment {
    storage::FileSystem& files;
    storage::Path directory;  ///< Of the queue, with `dead-letters/` in it.
    DestinationSource& destinations;
    Transport& transport;
    const Clock& clock;
    Pace& pace;
    core::MetricRegistry& registry;
  };

  /// Opens queue and dead letters; nothing is sent yet. Errors: theirs.
  [[nodiscard]] static Result<std::unique_ptr<Broadcaster>> open(Environment environment,
                                                                 const Options& options);

  /// Learns what destinations there are and starts to send. What waits in the queue for those that
  /// are gone is discarded. Once. Errors: the source's; a destination that cannot be sent to (its
  /// secrets cannot be opened) is no error: its events wait.
  virtual Result<void> start() = 0;

  /// Destinations may have changed: they are read again soon, on a thread of its own. Does not
  /// block.
  virtual void notify() = 0;

  /// Returns when the call is on disk for those destinations that take it; at once when there are
  /// none. What cannot be written is counted as dropped.
  virtual void offer(const CallEvent& event) = 0;

  /// The same for spans that a stack has stored: those of a trace have one fate with respect to
  /// sampling; filter rules are asked of the spans of a trace that come together. No key brought
  /// them.
  virtual void offer(StackId stack, const telemetry::SpanBatch& batch) = 0;

  /// The same for metrics that a stack has stored, but for what `stored` says it refused.
  virtual void offer(StackId stack, const telemetry::MetricBatch& batch,
                     const telemetry::AppendResult& stored) = 0;

  /// Ends all deliveries after they have sent what is queued, for at most `drain`; the rest stays
  /// on disk. What is offered later is queued for the next start. Later calls do nothing.
  virtual void stop(DurationMs drain) = 0;
};

}  // namespace gantry::broadcast
