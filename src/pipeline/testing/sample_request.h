#pragma once

// Samples for tests, under series that are written as `up{job="a"}`.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/metric_batch.h"

namespace gantry::pipeline::testing {

/// A request under construction. Owns what its batch refers to.
class SampleRequest final : public telemetry::SeriesResolver {
 public:
  /// `protocol`: requests of another one have other keys for the same series.
  explicit SampleRequest(std::uint64_t protocol = 1) : protocol_(protocol) {
    batch_.resolver = this;
  }

  /// `start_ms`: when the series began; 0: unknown.
  SampleRequest& add(std::string_view series, std::int64_t at_ms, double value,
                     std::int64_t start_ms = 0);
  SampleRequest& add(std::string_view series, std::int64_t at_ms,
                     telemetry::NativeHistogram histogram);

  [[nodiscard]] const telemetry::MetricBatch& batch() const { return batch_; }

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<telemetry::LabelView>& labels) const override;

 private:
  std::uint32_t index_of(std::string_view series);

  std::uint64_t protocol_;
  telemetry::MetricBatch batch_;
  std::map<std::string, std::uint32_t, std::less<>> places_;
  std::vector<telemetry::Labels> labels_;
};

}  // namespace gantry::pipeline::testing
