#pragma once

// A broadcaster that does in milliseconds what it does in seconds.

#include <memory>

#include "broadcast/broadcaster.h"

namespace gantry::broadcast::testing {

inline Result<std::unique_ptr<Broadcaster>> open_quick_broadcaster(storage::FileSystem& files,
                                                                   DestinationSource& destinations,
                                                                   Transport& transport,
                                                                   const Clock& clock, Pace& pace,
                                                                   core::MetricRegistry& registry) {
  Broadcaster::Options options{.maintain_interval = {5}, .retry_interval = {20}};
  options.delivery.batch_wait = {0};
  return Broadcaster::open({.files = files,
                            .directory = "/data/broadcast",
                            .destinations = destinations,
                            .transport = transport,
                            .clock = clock,
                            .pace = pace,
                            .registry = registry},
                           options);
}

}  // namespace gantry::broadcast::testing
