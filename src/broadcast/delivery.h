#pragma once

// What takes a destination's items from the queue to the destination.
//
//   GANTRY_TRY(auto delivery, Delivery::start(destination, services, {}));
//   … delivery->statistics() …      // from any thread
//   delivery->stop({10'000});       // drains, then gives back what is left
//
// Items are merged into batches, each batch becomes one request, and the answer decides: a batch
// that fails and may be repeated is tried again after a while (a second, doubled up to a minute, of
// which at least half is waited), or when the receiver says so; one that is too large is halved;
// one that is refused is halved until the item to blame is found, which goes to the dead letters,
// as do items that are too old. A receiver that refuses the credentials, the path or the
// certificate is probed once a minute, since nothing is wrong with the data. After some failures in
// a row there is one attempt at a time until one passes. Samples of a series arrive in order: what
// cannot be sent holds up its shard of the series. At least once: an item is finished only
// when it was taken or is on disk among the dead letters.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "broadcast/dead_letters.h"
#include "broadcast/destination.h"
#include "broadcast/queue.h"
#include "broadcast/transport.h"
#include "broadcast/verdict.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::broadcast {

/// How time passes and chance falls, so that tests need not wait. Thread-safe.
class Pace {
 public:
  Pace() = default;
  virtual ~Pace() = default;
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;

  /// Of a clock that never steps.
  [[nodiscard]] virtual DurationMs elapsed() const = 0;

  /// Waits for `changed` until elapsed() is `until` (kForever: no such time). May return early.
  virtual void wait(core::ConditionVariable& changed, core::Lock& lock, DurationMs until) = 0;

  /// At least 0, below 1.
  [[nodiscard]] virtual double random() = 0;

  static constexpr DurationMs kForever{std::int64_t{1} << 60};
};

/// The system's.
[[nodiscard]] std::unique_ptr<Pace> make_system_pace();

enum class DeliveryState : std::uint8_t {
  Active,
  Failing,  ///< The last attempt failed; trying again.
  Held,     ///< Somebody has to change something, here or at the receiver.
  Stopped,
};

/// "active", "failing", "held", "stopped".
[[nodiscard]] std::string_view delivery_state_name(DeliveryState state);

/// Since the start. Events are queue items.
struct DeliveryStatistics {
  struct Failure {
    TimestampMs at;
    FailureKind kind = FailureKind::None;
    std::uint32_t status = 0;  ///< HTTP; 0: there was no answer.
    std::string message;       ///< As in Classified: without secrets.
  };

  DeliveryState state = DeliveryState::Active;
  std::uint64_t sent_events = 0;
  std::uint64_t sent_items = 0;  ///< Spans or samples.
  /// Of partial successes, and what the protocol cannot say; not among sent_items.
  std::uint64_t rejected_items = 0;
  std::uint64_t dead_events = 0;
  std::uint64_t dropped_events = 0;                        ///< By the queue, for any DropReason.
  std::array<std::uint64_t, kFailureKindCount> retries{};  ///< Attempts to be repeated, by reason.
  std::uint32_t failures_in_row = 0;
  std::uint32_t batches_in_flight = 0;
  std::optional<TimestampMs> last_success;
  std::optional<Failure> last_error;  ///< Of partial successes too.
  core::Histogram::Snapshot send_seconds;
};

/// Sends what one signal's lane has for a destination from threads of its own; destinations that
/// are slow, hang or are down delay no other. A changed destination needs a new delivery.
/// Thread-safe.
class Delivery {
 public:
  struct Options {
    std::size_t events_per_batch_max = 512;
    std::size_t batch_bytes_max = 1 << 20;         ///< Of payload, before compression.
    std::uint64_t spans_per_request_max = 8192;    ///< A single event may have more.
    std::uint64_t samples_per_request_max = 2000;  ///< Likewise.
    DurationMs batch_wait{1000};                   ///< For more events, once there is one.
    std::uint32_t batches_in_flight_max = 4;  ///< Of spans; of metrics one for each order shard.
    DurationMs request_timeout{30'000};
    DurationMs backoff_first{1000};
    DurationMs backoff_max{60'000};
    DurationMs hold_interval{60'000};
    std::uint32_t breaker_failures = 5;  ///< So many in a row: one attempt at a time.
    DurationMs age_max{24 * 3'600'000};  ///< Older events become dead letters instead of a request.
  };

  /// All of them outlive the delivery.
  struct Services {
    Queue& queue;
    DeadLetters& dead_letters;
    Transport& transport;
    const Clock& clock;
    Pace& pace;
    core::Histogram* send_seconds = nullptr;  ///< Takes the times of requests too; null: nobody.
  };

  /// The destination is narrowed to the signal, and the queue has its lane.
  [[nodiscard]] static Result<std::unique_ptr<Delivery>> start(Destination destination,
                                                               Services services, Options options);

  /// Stops without draining.
  virtual ~Delivery() = default;
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// Sends what is queued for at most `drain`, then ends requests that are under way and gives back
  /// what was not taken: it stays in the queue. Returns when all threads have ended.
  virtual void stop(DurationMs drain) = 0;

  [[nodiscard]] virtual DeliveryStatistics statistics() const = 0;

 protected:
  Delivery() = default;
};

}  // namespace gantry::broadcast
