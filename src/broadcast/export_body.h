#pragma once

// What a request carries: items of the queue in the form that a destination takes.

#include <cstdint>
#include <span>
#include <string>

#include "broadcast/destination.h"
#include "broadcast/metric_items.h"
#include "broadcast/queue.h"
#include "core/error.h"

namespace gantry::broadcast {

struct ExportBody {
  std::string text;            ///< Not compressed; "": nothing is left to send.
  std::uint64_t left_out = 0;  ///< Samples that the destination's protocol cannot say.
};

/// For one destination, whose encoding or version may change. Thread-safe.
class ExportBodies {
 public:
  /// Errors: InvalidArgument when an item is not what it should be.
  [[nodiscard]] Result<ExportBody> make(const Destination& destination,
                                        std::span<const QueuedItem> items);

 private:
  RemoteWrite2Translator remote_write_2_;
};

}  // namespace gantry::broadcast
