#pragma once

// From matchers to series ids, over the inverted index.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "metrics/index/series_registry.h"
#include "promql/matcher.h"

namespace gantry::metrics {

/// Which values of a label an expression matches, remembered until the label gains or loses one.
/// Thread-safe.
class RegexCache {
 public:
  RegexCache();
  ~RegexCache();
  RegexCache(const RegexCache&) = delete;
  RegexCache& operator=(const RegexCache&) = delete;

  /// Symbols of the values of label `name` that `matcher` (=~ or !~, the operator itself is
  /// ignored) finds equal to its expression; ascending. `registry`'s lock is held.
  std::shared_ptr<const std::vector<std::uint32_t>> find(const SeriesRegistry::Reader& registry,
                                                         std::uint32_t name,
                                                         const promql::Matcher& matcher);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Ids of all series that match every matcher, ascending, whatever their time. Errors: Cancelled,
/// DeadlineExceeded.
///
/// Matchers that need a value are answered from postings, the smallest first; the others, and those
/// whose postings are much larger than what is left, are tested on the labels of what is left.
Result<std::vector<std::uint32_t>> match_series(const SeriesRegistry::Reader& registry,
                                                RegexCache& cache,
                                                std::span<const promql::Matcher> matchers,
                                                const CancelToken& cancel);

}  // namespace gantry::metrics
