#include "broadcast/metric_rules.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace gantry::broadcast {
namespace {

using telemetry::MetricBatch;

std::vector<bool> marked(std::size_t size, const std::vector<std::uint32_t>& positions) {
  std::vector<bool> marks(size);
  for (const std::uint32_t position : positions) marks.at(position) = true;
  return marks;
}

/// With the same series, which keep their places.
MetricBatch without_refused(const MetricBatch& batch, const telemetry::AppendResult& stored) {
  MetricBatch taken = batch;
  const std::vector<bool> refused = marked(batch.samples.size(), stored.refused_samples);
  taken.samples.clear();
  taken.start_timestamps_ms.clear();
  for (std::size_t i = 0; i < batch.samples.size(); ++i) {
    if (refused[i]) continue;
    taken.samples.push_back(batch.samples[i]);
    if (!batch.start_timestamps_ms.empty())
      taken.start_timestamps_ms.push_back(batch.start_timestamps_ms[i]);
  }
  const std::vector<bool> refused_histograms =
      marked(batch.histograms.size(), stored.refused_histograms);
  taken.histograms.clear();
  for (std::size_t i = 0; i < batch.histograms.size(); ++i)
    if (!refused_histograms[i]) taken.histograms.push_back(batch.histograms[i]);
  return taken;
}

void hand_on(const std::unique_ptr<const pipeline::FinishedWindows>& finished,
             const MetricRules::Sink& sink) {
  if (finished) sink(finished->batch());
}

}  // namespace

std::shared_ptr<MetricRules> MetricRules::make(const Destination& destination,
                                               core::MetricRegistry& registry, TimestampMs now) {
  if (destination.metric_relabel_json.empty() && destination.stream_aggregation_json.empty())
    return nullptr;
  std::unique_ptr<pipeline::StreamAggregation> aggregation;
  if (!destination.stream_aggregation_json.empty()) {
    auto parsed = pipeline::StreamAggregation::parse(
        destination.stream_aggregation_json,
        {.registry = registry, .labels = {{"destination", destination.id}}, .started_at = now});
    GANTRY_ASSERT(parsed.has_value(), "a destination is read with rules that were checked");
    aggregation = *std::move(parsed);
  }
  return std::make_shared<MetricRules>(destination, std::move(aggregation));
}

MetricRules::MetricRules(const Destination& destination,
                         std::unique_ptr<pipeline::StreamAggregation> aggregation)
    : relabel_json_(destination.metric_relabel_json),
      aggregation_json_(destination.stream_aggregation_json),
      relabeller_(destination.metric_relabel),
      aggregation_(std::move(aggregation)) {}

bool MetricRules::are_of(const Destination& destination) const {
  return destination.metric_relabel_json == relabel_json_ &&
         destination.stream_aggregation_json == aggregation_json_;
}

void MetricRules::pass(const MetricBatch& batch, const telemetry::AppendResult& stored,
                       TimestampMs now, const Sink& sink) {
  const bool is_whole = stored.refused_samples.empty() && stored.refused_histograms.empty();
  const MetricBatch taken = is_whole ? MetricBatch() : without_refused(batch, stored);
  const MetricBatch* passing = is_whole ? &batch : &taken;
  std::optional<pipeline::RelabelledBatch> relabelled;
  if (!relabel_json_.empty()) passing = &relabelled.emplace(relabeller_, *passing).batch();
  if (aggregation_ == nullptr) return sink(*passing);
  const pipeline::PartialBatch rest = aggregation_->observe(*passing, now);
  sink(rest.batch());
}

void MetricRules::relabel(const MetricBatch& batch, const Sink& sink) {
  if (relabel_json_.empty()) return sink(batch);
  const pipeline::RelabelledBatch relabelled(relabeller_, batch);
  sink(relabelled.batch());
}

void MetricRules::collect(TimestampMs now, const Sink& sink) {
  if (aggregation_) hand_on(aggregation_->collect(now), sink);
}

void MetricRules::flush(TimestampMs now, const Sink& sink) {
  if (aggregation_) hand_on(aggregation_->flush(now), sink);
}

}  // namespace gantry::broadcast
