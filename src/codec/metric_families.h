#pragma once

// What senders have said of metrics, so that a series can be described when it is sent on without
// its metadata.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "codec/remote_write_encoder.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

/// Not thread-safe.
class MetricFamilies {
 public:
  /// Families beyond this many are not learnt.
  static constexpr std::size_t kFamiliesMax = 30'000;

  struct Match {
    const WriteMetadata* family = nullptr;  ///< Until the next `learn`.
    std::string_view suffix;                ///< "_bucket"; "" for the family's own name.
  };

  /// The last word on a family counts.
  void learn(const telemetry::MetricMetadata& metadata);

  /// The family that a series of this name is of. A suffix counts only where the family's type has
  /// it: "x_sum" is of "x" when that is a histogram or a summary.
  [[nodiscard]] std::optional<Match> find(std::string_view series_name) const;

 private:
  std::map<std::string, WriteMetadata, std::less<>> families_;
};

}  // namespace gantry::codec
