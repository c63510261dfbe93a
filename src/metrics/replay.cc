#include "metrics/replay.h"

#include <algorithm>
#include <utility>

namespace gantry::metrics {
namespace {

/// Ids are dense: a greater one in a record is no id of ours.
constexpr std::uint32_t kLoggedIdMax = 1U << 28;

}  // namespace

Result<void> Replay::visit(const storage::LogRecord& record) {
  if (record.position < start_) return {};
  if (!has_segment_ || record.position.segment != segment_) {
    series_.clear();
    segment_ = record.position.segment;
    has_segment_ = true;
  }
  switch (record.type) {
    case kBatchRecord:
      return visit_batch(record.payload);
    case kMetadataRecord: {
      GANTRY_TRY(const auto entries, decode_metadata(record.payload));
      for (const telemetry::MetricMetadata& entry : entries) state_.metadata.add(entry);
      return {};
    }
    case kDeleteRecord: {
      GANTRY_TRY(const DeleteRecord deletion, decode_delete(record.payload));
      return erase_(deletion);
    }
    default:
      return fail(Code::DataLoss, "log record of unknown type " + std::to_string(record.type));
  }
}

void Replay::define(std::span<const SeriesDefinition> definitions) {
  std::vector<SeriesRegistry::Lookup> lookups;
  lookups.reserve(definitions.size());
  for (const SeriesDefinition& definition : definitions) {
    lookups.push_back({.labels = definition.labels});
  }
  state_.registry.add(std::span(lookups));
  for (std::size_t i = 0; i < definitions.size(); ++i) {
    const std::uint32_t logged = definitions[i].series;
    if (logged >= kLoggedIdMax) continue;
    if (logged >= series_.size())
      series_.resize(std::max<std::size_t>(logged + 1, series_.size() * 2), kNone);
    series_[logged] = lookups[i].series;
  }
}

Result<void> Replay::visit_batch(std::span<const std::byte> payload) {
  GANTRY_CHECK(decode_batch(payload, batch_));
  BatchRecord& record = batch_.record;
  define(record.definitions);
  const auto rename = [&](auto& samples) {
    for (auto& sample : samples) sample.series = series_of(sample.series);
    lost_count_ +=
        std::erase_if(samples, [](const auto& sample) { return sample.series == kNone; });
    sample_count_ += samples.size();
  };
  rename(record.floats);
  rename(record.histograms);
  state_.head.apply(record.floats);
  state_.head.apply(record.histograms);
  for (const PlannedExemplar& planned : record.exemplars) {
    const std::uint32_t series = series_of(planned.series);
    if (series == kNone) continue;
    StoredExemplar exemplar{.series = series,
                            .timestamp_ms = planned.timestamp_ms,
                            .value = planned.value,
                            .labels = {}};
    for (const telemetry::LabelView& label : planned.labels) {
      exemplar.labels.push_back(
          {.name = std::string(label.name), .value = std::string(label.value)});
    }
    state_.exemplars.add(std::move(exemplar));
  }
  return {};
}

}  // namespace gantry::metrics
