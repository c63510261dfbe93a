#pragma once

// What a request carries: items of the queue in the form that a destination takes.

#include <cstdint>
#include <span>
#include <string>

#include "broadcast/destination.h"
#include "broadcast/metric_items.h"
#include "broadcast/queue.h"
#include "codec/otlp_metrics_encoder.h"
#include "core/error.h"
#include "core/mutex.h"

namespace gantry::broadcast {

struct ExportBody {
  std::string text;            ///< Not compressed; "": nothing is left to send.
  std::uint64_t left_out = 0;  ///< Samples that the destination's protocol cannot say.
};

/// How names of metrics are kept at a destination of the type.
[[nodiscard]] codec::OtlpNames otlp_names(DestinationType type);

/// For one narrowed destination, whose encoding or version may change. Thread-safe.
class ExportBodies {
 public:
  explicit ExportBodies(DestinationType type) : otlp_metrics_(otlp_names(type)) {}

  /// Errors: InvalidArgument when an item is not what it should be.
  [[nodiscard]] Result<ExportBody> make(const Destination& destination,
                                        std::span<const QueuedItem> items);

 private:
  Result<ExportBody> otlp_metrics(Encoding encoding, std::string_view messages);

  RemoteWrite2Translator remote_write_2_;
  core::Mutex mutex_;
  codec::OtlpMetricsEncoder otlp_metrics_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::broadcast
