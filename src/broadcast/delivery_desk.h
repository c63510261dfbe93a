#pragma once

// What people ask of the deliveries that run: how one fares, and what becomes of its dead letters.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "broadcast/dead_letters.h"
#include "broadcast/delivery.h"
#include "broadcast/queue.h"
#include "core/error.h"

namespace gantry::broadcast {

/// Spans or samples, since the delivery started.
struct SentItems {
  std::uint64_t items = 0;
  std::uint64_t rejected = 0;
};

struct DestinationHealth {
  /// Since the deliveries started, of all signals together, but for the items, which are in `sent`.
  DeliveryStatistics statistics;
  std::map<Signal, SentItems> sent;  ///< Of the signals that are delivered.
  QueueDepth queue;
  DeadLetterCount dead_letters;
  /// Why nothing is sent although the destination is enabled; "" when it is, or is disabled.
  std::string problem;
};

/// Thread-safe. Calls may block on disk. Whether the caller may ask is the caller's concern.
class DeliveryDesk {
 public:
  DeliveryDesk() = default;
  virtual ~DeliveryDesk() = default;
  DeliveryDesk(const DeliveryDesk&) = delete;
  DeliveryDesk& operator=(const DeliveryDesk&) = delete;

  /// Of a destination that is not known here (it may have just been made): nothing but a state of
  /// Stopped.
  [[nodiscard]] virtual DestinationHealth health(const DestinationId& id) const = 0;

  /// These three are as those of DeadLetters.
  [[nodiscard]] virtual Result<DeadLetterPage> dead_letters(const DestinationId& id,
                                                            std::optional<std::uint64_t> before,
                                                            std::size_t limit) = 0;
  virtual Result<std::uint64_t> replay(const DestinationId& id, std::uint64_t letters_max) = 0;
  virtual Result<std::uint64_t> clear(const DestinationId& id) = 0;
};

}  // namespace gantry::broadcast
