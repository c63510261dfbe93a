#pragma once

// changes() and resets() where floats and native histograms of one series follow each other.

#include <cstdint>
#include <vector>

#include "promql/kernels/window.h"
#include "promql/series_source.h"

namespace gantry::promql::eval {

enum class Transition : std::uint8_t {
  Change,  ///< Neighbours differ; NaN and NaN do not.
  Reset,   ///< A counter began anew.
};

/// Whether start timestamps tell of counter resets.
enum class StartTimes : std::uint8_t { Ignored, Used };

/// Between which neighbours of a series, in order of time over both kinds, a transition lies: found
/// once, so that each step's are a difference. From one kind to the other always is one.
class Transitions {
 public:
  /// `columns`: without stale markers.
  Transitions(const SampleColumns& columns, Transition transition, StartTimes starts);

  /// How many lie between the samples of `floats` and `histograms`, which are all those of some
  /// span of time; an empty window begins where its samples would.
  [[nodiscard]] double count(kernels::Window floats, kernels::Window histograms) const;

 private:
  std::vector<std::uint32_t> up_to_;  ///< Each sample, in order of time.
};

}  // namespace gantry::promql::eval
