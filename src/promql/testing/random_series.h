#pragma once

// Random series under the names of vocabulary.h.

#include <cstdint>

#include "promql/testing/memory_source.h"

namespace gantry::promql::promqltest {

struct RandomSeriesOptions {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 3'600'000;
  int instances = 3;       ///< Beyond the vocabulary's three they are named i3, i4, ….
  bool histograms = true;  ///< Native ones too.
};

/// Regular and irregular timestamps, gaps, counter resets, stale markers, special values, floats
/// and histograms in one series, broken classic buckets, start timestamps. The same for the same
/// seed.
void add_random_series(std::uint64_t seed, const RandomSeriesOptions& options,
                       MemorySource& source);

}  // namespace gantry::promql::promqltest
