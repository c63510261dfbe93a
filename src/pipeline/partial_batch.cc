#include "pipeline/partial_batch.h"

#include <algorithm>
#include <utility>

#include "pipeline/batch_part.h"

namespace gantry::pipeline {

using telemetry::MetricBatch;

struct PartialBatch::Rest final : telemetry::SeriesResolver {
  explicit Rest(const MetricBatch& in) : part(in) { part.set_resolver(*this); }

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<telemetry::LabelView>& labels) const override {
    return part.input().resolver->resolve(part.origin(series), arena, labels);
  }

  BatchPart part;
};

PartialBatch::PartialBatch(const MetricBatch& in, const std::vector<bool>& leaves_out) : in_(&in) {
  if (std::ranges::find(leaves_out, true) == leaves_out.end()) return;
  rest_ = std::make_unique<Rest>(in);
  for (std::uint32_t i = 0; i < in.series.size(); ++i)
    if (!leaves_out[i]) rest_->part.keep(i, in.series[i].key);
  rest_->part.copy_samples();
}

PartialBatch::~PartialBatch() = default;
PartialBatch::PartialBatch(PartialBatch&&) noexcept = default;
PartialBatch& PartialBatch::operator=(PartialBatch&&) noexcept = default;

const MetricBatch& PartialBatch::batch() const {
  return rest_ ? rest_->part.batch() : *in_;
}

std::uint64_t PartialBatch::dropped_count() const {
  return rest_ ? rest_->part.dropped_count() : 0;
}

telemetry::AppendResult PartialBatch::of_input(telemetry::AppendResult result) const {
  if (!rest_) return result;
  return rest_->part.of_input(std::move(result));
}

}  // namespace gantry::pipeline
