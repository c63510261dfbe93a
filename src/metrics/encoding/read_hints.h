#pragma once

// Counter-reset hints as queries get them.

#include <memory>
#include <span>

#include "telemetry/native_histogram.h"

namespace gantry::metrics {

/// What follows each other in a block, ascending by time. Gauges stay gauges. A counter that went
/// on from the histogram before it is NotReset; the first one, one that shows or claims a reset,
/// and one after a stale marker or of another layout is Unknown, so that whoever asks compares
/// buckets. That is what Prometheus gives back: it begins a chunk at each of these and knows the
/// hint of a chunk's first histogram no more.
void set_read_hints(std::span<telemetry::FloatHistogram* const> histograms);

/// NotReset becomes Unknown: for a histogram that has got another neighbour before it. A copy, for
/// the histogram may be shared.
void forget_hint(std::shared_ptr<const telemetry::FloatHistogram>& histogram);

}  // namespace gantry::metrics
