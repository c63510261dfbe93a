#include "metrics/replay.h"

#include <algorithm>
#include <utility>

namespace gantry::metrics {
namespace {

/// Ids are dense: a greater one in a record is no id of ours.
constexpr std::uint32_t kLoggedIdMax = 1U << 28;
/// Enough that waking other threads is worth it; 3 MiB.
constexpr std::size_t kPendingMax = 64 << 10;

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
      store_pending();
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

/// A series is in one shard, so that its samples stay in the log's order.
void Replay::store_pending() {
  const std::size_t share_count =
      workers_ == nullptr ? 1 : std::min(Head::kShardCount, workers_->thread_count() + 1);
  if (share_count == 1) {
    state_.head.apply(pending_, Head::ShardSet{});
  } else {
    workers_->parallel_for(share_count, [&](std::size_t share) {
      state_.head.apply(pending_, {.modulus = share_count, .remainder = share});
    });
  }
  pending_.clear();
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
  pending_.insert(pending_.end(), record.floats.begin(), record.floats.end());
  if (pending_.size() >= kPendingMax || !record.histograms.empty()) store_pending();
  state_.head.apply(record.histograms, {});
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
