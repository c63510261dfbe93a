#include "pipeline/batch_part.h"

#include <limits>

namespace gantry::pipeline {
namespace {

constexpr std::uint32_t kLeftOut = std::numeric_limits<std::uint32_t>::max();

}  // namespace

BatchPart::BatchPart(const telemetry::MetricBatch& in)
    : in_(&in), places_(in.series.size(), kLeftOut) {
  batch_.metadata = in.metadata;
  batch_.body_bytes = in.body_bytes;
}

void BatchPart::keep(std::uint32_t series, const core::Hash128& key) {
  places_[series] = static_cast<std::uint32_t>(origins_.size());
  origins_.push_back(series);
  batch_.series.push_back(in_->series[series]);
  batch_.series.back().key = key;
}

// Hot: per sample.
void BatchPart::copy_samples() {
  for (std::uint32_t i = 0; i < in_->samples.size(); ++i) {
    telemetry::FloatSample sample = in_->samples[i];
    sample.series = places_[sample.series];
    if (sample.series == kLeftOut) continue;
    batch_.samples.push_back(sample);
    samples_.push_back(i);
    if (!in_->start_timestamps_ms.empty())
      batch_.start_timestamps_ms.push_back(in_->start_timestamps_ms[i]);
  }
  for (std::uint32_t i = 0; i < in_->histograms.size(); ++i) {
    const std::uint32_t place = places_[in_->histograms[i].series];
    if (place == kLeftOut) continue;
    batch_.histograms.push_back(in_->histograms[i]);
    batch_.histograms.back().series = place;
    histograms_.push_back(i);
  }
  for (const telemetry::Exemplar& exemplar : in_->exemplars) {
    const std::uint32_t place = places_[exemplar.series];
    if (place == kLeftOut) continue;
    batch_.exemplars.push_back(exemplar);
    batch_.exemplars.back().series = place;
  }
}

std::uint64_t BatchPart::dropped_count() const {
  return in_->samples.size() - batch_.samples.size() + in_->histograms.size() -
         batch_.histograms.size();
}

telemetry::AppendResult BatchPart::of_input(telemetry::AppendResult result) const {
  result.samples_written += in_->samples.size() - batch_.samples.size();
  result.histograms_written += in_->histograms.size() - batch_.histograms.size();
  result.exemplars_written += in_->exemplars.size() - batch_.exemplars.size();
  for (std::uint32_t& position : result.refused_samples) position = samples_[position];
  for (std::uint32_t& position : result.refused_histograms) position = histograms_[position];
  return result;
}

}  // namespace gantry::pipeline
