#pragma once

// Which series belong together: those of one classic histogram or summary with the same labels.

#include <cstdint>
#include <string_view>

namespace gantry::telemetry {

/// A hash of a series' labels that the buckets, sum and count of a histogram have in common, and
/// the quantiles of a summary. The same in every process, so that it can be kept.
class SeriesGroup {
 public:
  /// All labels, sorted by name.
  void add(std::string_view name, std::string_view value);

  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0;
};

}  // namespace gantry::telemetry
