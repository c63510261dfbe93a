#include "pipeline/metric_table.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include "core/error.h"
#include "core/hash.h"
#include "core/number_format.h"
#include "pipeline/trace_id_text.h"
#include "telemetry/sample.h"

namespace gantry::pipeline {

using telemetry::LabelView;

/// One label set with the state of all families.
class MetricEntry {
 public:
  struct Exemplar {
    telemetry::TraceId trace_id;
    double value = 0;
    bool is_new = false;
  };

  struct FamilyState {
    bool is_used = false;
    double value = 0;                    ///< Of a histogram: the sum.
    std::vector<std::uint64_t> buckets;  ///< Not cumulative, +Inf last.
    std::vector<Exemplar> exemplars;     ///< By bucket.
    bool is_collected = false;           ///< Has had a sample.
  };

  core::Hash128 key;
  telemetry::Labels labels;
  std::vector<FamilyState> families;
  TimestampMs updated;
};

namespace {

enum NamePart : std::uint8_t { kPlain, kBucket, kSum, kCount };

struct HashOfKey {
  std::size_t operator()(const core::Hash128& key) const { return key.low; }
};

core::Hash128 key_of(std::span<const LabelView> labels) {
  thread_local std::string bytes;
  bytes.clear();
  const auto append = [](std::string_view text) {
    const auto size = static_cast<std::uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes.append(text);
  };
  for (const LabelView& label : labels) {
    append(label.name);
    append(label.value);
  }
  return core::hash128(bytes, core::process_hash_seed());
}

}  // namespace

// ---- CollectedSeries

CollectedSeries::CollectedSeries() : arena_(std::make_unique<core::Arena>()) {}

CollectedSeries::~CollectedSeries() = default;

void CollectedSeries::begin(telemetry::MetricBatch& batch) {
  refs_.clear();
  ended_.clear();
  arena_ = std::make_unique<core::Arena>();
  batch.clear();
  batch.resolver = this;
}

Result<void> CollectedSeries::resolve(std::uint32_t series, core::Arena& /*arena*/,
                                      std::vector<LabelView>& labels) const {
  const Ref& ref = refs_[series];
  labels.push_back({.name = telemetry::kMetricNameLabel, .value = ref.name});
  if (!ref.le.empty()) labels.push_back({.name = "le", .value = ref.le});
  for (const telemetry::Label& label : ref.entry->labels) {
    labels.push_back({.name = label.name, .value = label.value});
  }
  return {};
}

// ---- MetricTable

struct MetricTable::Shard {
  core::Mutex mutex;
  boost::unordered_flat_map<core::Hash128, std::unique_ptr<MetricEntry>, HashOfKey> entries
      GANTRY_GUARDED_BY(mutex);
};

/// One collection. Knows how a series gets into the batch.
struct MetricTable::Round {
  CollectedSeries& collected;
  telemetry::MetricBatch& batch;
  TimestampMs now;
  TimestampMs zero_at;
  std::string_view exemplar_label;
  bool is_last = false;  ///< Of the entry: stale markers instead of values.

  /// Returns the sample's series.
  std::uint32_t add(const MetricEntry& entry, std::string_view name, std::string_view le,
                    double value, bool is_first) {
    const auto series = static_cast<std::uint32_t>(collected.refs_.size());
    collected.refs_.push_back({.entry = &entry, .name = name, .le = le});
    std::string identity(name);
    identity.push_back('\0');
    identity += le;
    batch.series.push_back(
        {.key = core::hash128(identity, entry.key.high ^ (entry.key.low * 0x9E3779B97F4A7C15))});
    if (is_first && !is_last) {
      batch.samples.push_back({.series = series, .timestamp_ms = zero_at.since_epoch, .value = 0});
    }
    batch.samples.push_back({.series = series,
                             .timestamp_ms = now.since_epoch,
                             .value = is_last ? telemetry::stale_nan() : value});
    return series;
  }

  void add_exemplar(std::uint32_t series, MetricEntry::Exemplar& exemplar) {
    if (!exemplar.is_new || is_last) return;
    exemplar.is_new = false;
    const std::string_view text = collected.arena_->copy(trace_id_text(exemplar.trace_id));
    batch.exemplars.push_back({.series = series,
                               .timestamp_ms = now.since_epoch,
                               .value = exemplar.value,
                               .labels = {{.name = exemplar_label, .value = text}}});
  }
};

MetricTable::MetricTable(MetricTableOptions options, core::MetricRegistry& registry,
                         std::string_view processor)
    : options_(std::move(options)),
      refused_(
          registry.counter("gantry_pipeline_refused_total",
                           "Spans that a processor left out of the metrics it derives, by reason.",
                           {{"processor", std::string(processor)}, {"reason", "series_limit"}})) {
  GANTRY_ASSERT(std::ranges::is_sorted(options_.bounds), "buckets are ascending");
  for (const MetricFamily& family : options_.families) {
    names_.push_back(
        {family.name, family.name + "_bucket", family.name + "_sum", family.name + "_count"});
  }
  for (const double bound : options_.bounds) {
    std::string text;
    core::append_float_plain(text, bound);
    le_texts_.push_back(std::move(text));
  }
  le_texts_.emplace_back("+Inf");
  for (auto& shard : shards_) shard = std::make_unique<Shard>();
}

MetricTable::~MetricTable() = default;

std::uint64_t MetricTable::series_per_entry() const {
  std::uint64_t count = 0;
  for (const MetricFamily& family : options_.families) {
    count += family.type == telemetry::MetricType::Histogram ? le_texts_.size() + 2 : 1;
  }
  return count;
}

std::unique_ptr<MetricEntry> MetricTable::make_entry(std::span<const LabelView> labels) const {
  auto entry = std::make_unique<MetricEntry>();
  for (const LabelView& label : labels) {
    if (label.value.empty()) continue;
    entry->labels.push_back({.name = std::string(label.name), .value = std::string(label.value)});
  }
  entry->families.resize(options_.families.size());
  for (std::size_t i = 0; i < entry->families.size(); ++i) {
    if (options_.families[i].type != telemetry::MetricType::Histogram) continue;
    entry->families[i].buckets.resize(le_texts_.size());
    entry->families[i].exemplars.resize(le_texts_.size());
  }
  return entry;
}

void MetricTable::apply(MetricEntry& entry, std::span<const Change> changes,
                        const telemetry::TraceId& trace_id, TimestampMs now) const {
  entry.updated = std::max(entry.updated, now);
  for (const Change& change : changes) {
    MetricEntry::FamilyState& state = entry.families[change.family];
    state.is_used = true;
    if (options_.families[change.family].type == telemetry::MetricType::Gauge) {
      state.value = change.value;
      continue;
    }
    state.value += change.value;
    if (state.buckets.empty()) continue;
    const auto bucket = static_cast<std::size_t>(
        std::ranges::lower_bound(options_.bounds, change.value) - options_.bounds.begin());
    ++state.buckets[bucket];
    state.exemplars[bucket] = {.trace_id = trace_id, .value = change.value, .is_new = true};
  }
}

void MetricTable::observe(std::span<const LabelView> labels, std::span<const Change> changes,
                          const telemetry::TraceId& trace_id, TimestampMs now) {
  const core::Hash128 key = key_of(labels);
  Shard& shard = *shards_[key.high % kShardCount];
  const core::Lock lock(shard.mutex);
  auto found = shard.entries.find(key);
  if (found == shard.entries.end()) {
    const std::uint64_t count = series_per_entry();
    // Taken before it is compared, so that two threads cannot both have the last one.
    if (active_series_.fetch_add(count, std::memory_order_relaxed) + count > options_.series_max) {
      active_series_.fetch_sub(count, std::memory_order_relaxed);
      refused_.add();
      return;
    }
    found = shard.entries.emplace(key, make_entry(labels)).first;
    found->second->key = key;
  }
  apply(*found->second, changes, trace_id, now);
}

void MetricTable::write_histogram(Round& round, MetricEntry& entry, std::size_t family) const {
  MetricEntry::FamilyState& state = entry.families[family];
  std::uint64_t count = 0;
  for (std::size_t bucket = 0; bucket < state.buckets.size(); ++bucket) {
    count += state.buckets[bucket];
    const std::uint32_t series = round.add(entry, names_[family][kBucket], le_texts_[bucket],
                                           static_cast<double>(count), !state.is_collected);
    round.add_exemplar(series, state.exemplars[bucket]);
  }
  round.add(entry, names_[family][kSum], {}, state.value, !state.is_collected);
  round.add(entry, names_[family][kCount], {}, static_cast<double>(count), !state.is_collected);
}

void MetricTable::write(Round& round, MetricEntry& entry) const {
  for (std::size_t family = 0; family < entry.families.size(); ++family) {
    MetricEntry::FamilyState& state = entry.families[family];
    // What was never collected has no series to end.
    if (!state.is_used || (round.is_last && !state.is_collected)) continue;
    const telemetry::MetricType type = options_.families[family].type;
    if (type == telemetry::MetricType::Histogram) {
      write_histogram(round, entry, family);
    } else {
      const bool is_first = type == telemetry::MetricType::Counter && !state.is_collected;
      round.add(entry, names_[family][kPlain], {}, state.value, is_first);
    }
    state.is_collected = true;
  }
}

void MetricTable::collect(TimestampMs now, CollectedSeries& collected,
                          telemetry::MetricBatch& batch) {
  // After any sample of the last round, which may have ended the same series.
  const TimestampMs before =
      collected_at_.since_epoch == 0 ? now - options_.interval : collected_at_;
  Round round{.collected = collected,
              .batch = batch,
              .now = now,
              .zero_at = before + DurationMs{1},
              .exemplar_label = options_.exemplar_label};
  for (std::size_t i = 0; i < options_.families.size(); ++i) {
    batch.metadata.push_back({.family = options_.families[i].name,
                              .type = options_.families[i].type,
                              .help = options_.families[i].help,
                              .unit = {}});
  }
  for (const auto& shard : shards_) {
    const core::Lock lock(shard->mutex);
    for (auto it = shard->entries.begin(); it != shard->entries.end();) {
      round.is_last = now - it->second->updated >= options_.stale_after;
      write(round, *it->second);
      if (!round.is_last) {
        ++it;
        continue;
      }
      collected.ended_.push_back(std::move(it->second));
      shard->entries.erase(it++);
      active_series_.fetch_sub(series_per_entry(), std::memory_order_relaxed);
    }
  }
  collected_at_ = now;
}

}  // namespace gantry::pipeline
