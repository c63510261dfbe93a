#pragma once

// changes() and resets() where floats and native histograms of one series follow each other.

#include <cstdint>

#include "promql/kernels/window.h"
#include "promql/series_source.h"

namespace gantry::promql::eval {

/// Samples of one series, without stale markers, in order of time over both kinds.
struct MixedRun {
  const SampleColumns& columns;
  kernels::Window floats;
  kernels::Window histograms;
  bool uses_start_timestamps = false;  ///< They tell resets, too.
};

enum class Transition : std::uint8_t {
  Change,  ///< Neighbours differ; NaN and NaN do not.
  Reset,   ///< A counter began anew.
};

/// How many neighbours in `run` show the transition. From one kind to the other always counts.
[[nodiscard]] double count_transitions(const MixedRun& run, Transition transition);

}  // namespace gantry::promql::eval
