#include "pipeline/partial_batch.h"

#include <algorithm>
#include <limits>

namespace gantry::pipeline {
namespace {

using telemetry::MetricBatch;

constexpr std::uint32_t kLeftOut = std::numeric_limits<std::uint32_t>::max();

class OriginResolver final : public telemetry::SeriesResolver {
 public:
  explicit OriginResolver(const MetricBatch& in) : in_(in) {}

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<telemetry::LabelView>& labels) const override {
    return in_.resolver->resolve(origins[series], arena, labels);
  }

  std::vector<std::uint32_t> origins;  ///< By series of what is left.

 private:
  const MetricBatch& in_;
};

}  // namespace

struct PartialBatch::Rest {
  explicit Rest(const MetricBatch& in) : resolver(in) {}

  OriginResolver resolver;
  MetricBatch batch;
  std::vector<std::uint32_t> samples;  ///< Positions in the input, by those in the rest.
  std::vector<std::uint32_t> histograms;
};

PartialBatch::PartialBatch(const MetricBatch& in, const std::vector<bool>& leaves_out) : in_(&in) {
  if (std::ranges::find(leaves_out, true) == leaves_out.end()) return;
  rest_ = std::make_unique<Rest>(in);
  MetricBatch& batch = rest_->batch;
  batch.resolver = &rest_->resolver;
  batch.metadata = in.metadata;
  batch.body_bytes = in.body_bytes;
  std::vector<std::uint32_t> places(in.series.size(), kLeftOut);
  for (std::uint32_t i = 0; i < in.series.size(); ++i) {
    if (leaves_out[i]) continue;
    places[i] = static_cast<std::uint32_t>(batch.series.size());
    batch.series.push_back(in.series[i]);
    rest_->resolver.origins.push_back(i);
  }
  // Hot: per sample.
  for (std::uint32_t i = 0; i < in.samples.size(); ++i) {
    const std::uint32_t place = places[in.samples[i].series];
    if (place == kLeftOut) continue;
    batch.samples.push_back(in.samples[i]);
    batch.samples.back().series = place;
    rest_->samples.push_back(i);
    if (!in.start_timestamps_ms.empty())
      batch.start_timestamps_ms.push_back(in.start_timestamps_ms[i]);
  }
  for (std::uint32_t i = 0; i < in.histograms.size(); ++i) {
    const std::uint32_t place = places[in.histograms[i].series];
    if (place == kLeftOut) continue;
    batch.histograms.push_back(in.histograms[i]);
    batch.histograms.back().series = place;
    rest_->histograms.push_back(i);
  }
  for (const telemetry::Exemplar& exemplar : in.exemplars) {
    const std::uint32_t place = places[exemplar.series];
    if (place == kLeftOut) continue;
    batch.exemplars.push_back(exemplar);
    batch.exemplars.back().series = place;
  }
}

PartialBatch::~PartialBatch() = default;
PartialBatch::PartialBatch(PartialBatch&&) noexcept = default;
PartialBatch& PartialBatch::operator=(PartialBatch&&) noexcept = default;

const MetricBatch& PartialBatch::batch() const {
  return rest_ ? rest_->batch : *in_;
}

std::uint64_t PartialBatch::dropped_count() const {
  return in_->samples.size() - batch().samples.size() + in_->histograms.size() -
         batch().histograms.size();
}

telemetry::AppendResult PartialBatch::of_input(telemetry::AppendResult result) const {
  if (!rest_) return result;
  result.samples_written += in_->samples.size() - rest_->batch.samples.size();
  result.histograms_written += in_->histograms.size() - rest_->batch.histograms.size();
  result.exemplars_written += in_->exemplars.size() - rest_->batch.exemplars.size();
  for (std::uint32_t& position : result.refused_samples) position = rest_->samples[position];
  for (std::uint32_t& position : result.refused_histograms) position = rest_->histograms[position];
  return result;
}

}  // namespace gantry::pipeline
