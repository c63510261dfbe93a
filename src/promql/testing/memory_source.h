#pragma once

// A SeriesSource in memory, for tests of the engine.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "promql/series_source.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::promqltest {

struct Sample {
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;  ///< 0: unknown.
  double value = 0;
  std::shared_ptr<const telemetry::FloatHistogram> histogram;  ///< Null for a float.
};

/// Series are handed out sorted by labels. Histograms read back with the counter-reset hints that
/// Prometheus's chunks give, and a stale marker right after a histogram becomes a stale histogram.
///
/// Thread-safety: any number of readers; `append` and `clear` alone. Sets that were selected before
/// do not see them.
class MemorySource final : public SeriesSource {
 public:
  MemorySource();
  ~MemorySource() override;

  /// Adds samples, in any order of time; a sample at a time that is taken replaces the other.
  void append(const telemetry::Labels& labels, std::span<const Sample> samples);

  void clear();

  Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request,
                                            const CancelToken& cancel) const override;
  Result<LabelStrings> label_names(std::span<const Matcher> matchers, std::int64_t start_ms,
                                   std::int64_t end_ms, std::size_t limit,
                                   const CancelToken& cancel) const override;
  Result<LabelStrings> label_values(std::string_view name, std::span<const Matcher> matchers,
                                    std::int64_t start_ms, std::int64_t end_ms, std::size_t limit,
                                    const CancelToken& cancel) const override;
  /// None: this source keeps no exemplars.
  Result<std::vector<ExemplarSeries>> exemplars(std::span<const std::vector<Matcher>> selectors,
                                                std::int64_t start_ms, std::int64_t end_ms,
                                                const CancelToken& cancel) const override;

 private:
  struct Data;
  class Set;

  std::shared_ptr<Data> data_;
};

}  // namespace gantry::promql::promqltest
