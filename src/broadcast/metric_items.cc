#include "broadcast/metric_items.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <optional>
#include <utility>

#include "codec/remote_write.h"
#include "core/arena.h"
#include "core/hash.h"
#include "telemetry/series_group.h"

namespace gantry::broadcast {
namespace {

using codec::WriteSeries;

constexpr std::int64_t kMetadataIntervalMs = 60'000;
constexpr std::size_t kMetadataKept = 100'000;
/// Of a sample in a message, about.
constexpr std::size_t kSampleBytes = 27;
constexpr std::size_t kHistogramBytes = 200;

std::optional<telemetry::Labels> labels_of(const telemetry::MetricBatch& batch,
                                           std::uint32_t series) {
  core::Arena arena;
  std::vector<telemetry::LabelView> views;
  if (!batch.resolver->resolve(series, arena, views)) return std::nullopt;
  std::vector<telemetry::Label> labels;
  labels.reserve(views.size());
  for (const auto& [name, value] : views)
    labels.push_back({.name = std::string(name), .value = std::string(value)});
  return telemetry::make_labels(std::move(labels));
}

std::size_t bytes_of(const telemetry::Labels& labels) {
  std::size_t bytes = 0;
  for (const telemetry::Label& label : labels) bytes += label.name.size() + label.value.size() + 6;
  return bytes;
}

/// The series of a histogram or summary have one, so that they stay together: OTLP makes one point
/// of them. The same in every process, so that a series keeps its place after a restart.
std::uint64_t group_of(const telemetry::Labels& labels) {
  telemetry::SeriesGroup group;
  for (const telemetry::Label& label : labels) group.add(label.name, label.value);
  return group.value();
}

codec::WriteMetadata metadata_of(const telemetry::MetricMetadata& metadata) {
  return {.family = std::string(metadata.family),
          .type = metadata.type,
          .help = std::string(metadata.help),
          .unit = std::string(metadata.unit)};
}

/// What a batch holds, by series. Refused samples are left out; a series has none when all of its
/// samples were refused, and then its exemplars do not count either.
std::vector<WriteSeries> write_series_of(const telemetry::MetricBatch& batch,
                                         const telemetry::AppendResult& stored) {
  std::vector<bool> is_refused(batch.samples.size());
  for (const std::uint32_t sample : stored.refused_samples) is_refused.at(sample) = true;
  std::vector<bool> is_histogram_refused(batch.histograms.size());
  for (const std::uint32_t sample : stored.refused_histograms)
    is_histogram_refused.at(sample) = true;
  std::vector<WriteSeries> all(batch.series.size());
  for (std::size_t i = 0; i < batch.samples.size(); ++i) {
    if (is_refused[i]) continue;
    const telemetry::FloatSample& sample = batch.samples[i];
    all.at(sample.series)
        .samples.push_back({.timestamp_ms = sample.timestamp_ms,
                            .value = sample.value,
                            .start_timestamp_ms = batch.start_timestamps_ms.empty()
                                                      ? 0
                                                      : batch.start_timestamps_ms[i]});
  }
  for (std::size_t i = 0; i < batch.histograms.size(); ++i) {
    if (is_histogram_refused[i]) continue;
    const telemetry::HistogramSample& sample = batch.histograms[i];
    all.at(sample.series)
        .histograms.push_back({.timestamp_ms = sample.timestamp_ms,
                               .start_timestamp_ms = sample.start_timestamp_ms,
                               .histogram = sample.histogram});
  }
  for (const telemetry::Exemplar& exemplar : batch.exemplars) {
    WriteSeries& series = all.at(exemplar.series);
    if (series.samples.empty() && series.histograms.empty()) continue;
    codec::WriteExemplar out{.timestamp_ms = exemplar.timestamp_ms, .value = exemplar.value};
    for (const auto& [name, value] : exemplar.labels)
      out.labels.push_back({.name = std::string(name), .value = std::string(value)});
    series.exemplars.push_back(std::move(out));
  }
  return all;
}

std::size_t count_of(const WriteSeries& series) {
  return series.samples.size() + series.histograms.size();
}

std::uint64_t series_seed(const telemetry::Labels& labels, std::uint32_t stack) {
  std::uint64_t seed = core::process_hash_seed() ^ stack;
  for (const telemetry::Label& label : labels)
    seed = core::hash64(label.value, core::hash64(label.name, seed));
  return seed;
}

std::uint64_t sample_key(std::uint64_t series_seed, std::int64_t timestamp_ms, double value,
                         double count) {
  const std::array<std::uint64_t, 3> parts = {static_cast<std::uint64_t>(timestamp_ms),
                                              std::bit_cast<std::uint64_t>(value),
                                              std::bit_cast<std::uint64_t>(count)};
  return core::hash64({reinterpret_cast<const char*>(parts.data()), sizeof(parts)}, series_seed);
}

/// Series of one shard, cut into items.
class ShardItems {
 public:
  ShardItems(std::uint64_t order_key, const MetricItemLimits& limits, std::vector<MetricItem>& out)
      : order_key_(order_key), limits_(limits), out_(out) {}

  /// Series of a group are cut apart only where they are too much for one item.
  void begin_group(std::size_t samples) {
    if (samples_ + samples > limits_.samples_max) flush();
  }

  void add(WriteSeries series) {
    std::ranges::stable_sort(series.samples, {}, &codec::WriteSample::timestamp_ms);
    std::ranges::stable_sort(series.histograms, {}, &codec::WriteHistogram::timestamp_ms);
    const std::size_t label_bytes = bytes_of(series.labels);
    open(series.labels, label_bytes);
    for (const codec::WriteSample& sample : series.samples) {
      make_room(series.labels, label_bytes, kSampleBytes);
      request_.series.back().samples.push_back(sample);
    }
    for (codec::WriteHistogram& sample : series.histograms) {
      make_room(series.labels, label_bytes, kHistogramBytes);
      request_.series.back().histograms.push_back(std::move(sample));
    }
    request_.series.back().exemplars = std::move(series.exemplars);
  }

  void flush() {
    if (samples_ == 0) return;
    MetricItem item{.order_key = order_key_, .samples = samples_, .payload = {}};
    codec::encode_remote_write(codec::RemoteWriteVersion::V1, request_, item.payload,
                               {.has_start_timestamps = true});
    out_.push_back(std::move(item));
    request_.series.clear();
    samples_ = 0;
    bytes_ = 0;
  }

 private:
  void open(const telemetry::Labels& labels, std::size_t label_bytes) {
    request_.series.push_back({.labels = labels, .samples = {}, .histograms = {}});
    bytes_ += label_bytes;
  }

  void make_room(const telemetry::Labels& labels, std::size_t label_bytes, std::size_t bytes) {
    if (samples_ > 0 && (samples_ >= limits_.samples_max || bytes_ + bytes > limits_.bytes_max)) {
      if (request_.series.back().samples.empty() && request_.series.back().histograms.empty())
        request_.series.pop_back();
      flush();
      open(labels, label_bytes);
    }
    ++samples_;
    bytes_ += bytes;
  }

  const std::uint64_t order_key_;
  const MetricItemLimits limits_;
  std::vector<MetricItem>& out_;
  codec::WriteRequest request_;
  std::uint32_t samples_ = 0;
  std::size_t bytes_ = 0;
};

/// A message of the queue, as its encoder took it.
codec::WriteRequest write_request_of(const telemetry::MetricBatch& batch) {
  codec::WriteRequest request{.series = write_series_of(batch, {}), .metadata = {}};
  for (std::uint32_t i = 0; i < request.series.size(); ++i)
    request.series[i].labels = labels_of(batch, i).value_or(telemetry::Labels());
  std::erase_if(request.series, [](const WriteSeries& series) { return series.labels.empty(); });
  return request;
}

}  // namespace

telemetry::AppendResult refuse_known(const telemetry::MetricBatch& batch,
                                     const telemetry::AppendResult& stored, std::uint32_t stack,
                                     RecentItems& recent) {
  std::vector<std::uint64_t> seeds(batch.series.size());
  for (std::uint32_t i = 0; i < seeds.size(); ++i)
    if (const auto labels = labels_of(batch, i)) seeds[i] = series_seed(*labels, stack);
  telemetry::AppendResult result = stored;
  const auto refuse = [&](std::size_t count, std::vector<std::uint32_t>& refused, auto key_of) {
    std::vector<bool> is_refused(count);
    for (const std::uint32_t position : refused) is_refused.at(position) = true;
    std::vector<std::uint32_t> positions;
    std::vector<std::uint64_t> keys;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (is_refused[i]) continue;
      positions.push_back(i);
      keys.push_back(key_of(i));
    }
    const std::vector<bool> is_new = recent.take_new(keys);
    for (std::size_t i = 0; i < positions.size(); ++i)
      if (!is_new[i]) refused.push_back(positions[i]);
  };
  refuse(batch.samples.size(), result.refused_samples, [&](std::uint32_t i) {
    const telemetry::FloatSample& sample = batch.samples[i];
    return sample_key(seeds[sample.series], sample.timestamp_ms, sample.value, 0);
  });
  refuse(batch.histograms.size(), result.refused_histograms, [&](std::uint32_t i) {
    const telemetry::HistogramSample& sample = batch.histograms[i];
    const telemetry::FloatHistogram histogram = telemetry::to_float(sample.histogram);
    return sample_key(seeds[sample.series], sample.timestamp_ms, histogram.sum, histogram.count);
  });
  return result;
}

std::vector<MetricItem> encode_metric_items(const telemetry::MetricBatch& batch,
                                            const telemetry::AppendResult& stored,
                                            const MetricItemLimits& limits) {
  std::vector<MetricItem> items;
  std::vector<ShardItems> shards;
  for (std::uint64_t key = 1; key <= kOrderShards; ++key) shards.emplace_back(key, limits, items);
  std::vector<WriteSeries> all = write_series_of(batch, stored);
  std::map<std::uint64_t, std::vector<std::uint32_t>> groups;
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    if (count_of(all[i]) == 0) continue;
    auto labels = labels_of(batch, i);
    if (!labels) continue;
    all[i].labels = *std::move(labels);
    groups[group_of(all[i].labels)].push_back(i);
  }
  for (const auto& [group, members] : groups) {
    ShardItems& shard = shards.at(group % kOrderShards);
    std::size_t samples = 0;
    for (const std::uint32_t i : members) samples += count_of(all[i]);
    shard.begin_group(samples);
    for (const std::uint32_t i : members) shard.add(std::move(all[i]));
  }
  for (ShardItems& shard : shards) shard.flush();
  return items;
}

Result<void> decode_metric_items(std::string_view messages, codec::RemoteWriteDecoder& decoder) {
  return decoder.decode(codec::RemoteWriteVersion::V1, messages, {.has_start_timestamps = true});
}

void add_metadata(std::string_view message, std::vector<MetricItem>& items) {
  if (message.empty()) return;
  if (items.empty()) {
    items.push_back({.order_key = 0, .samples = 0, .payload = std::string(message)});
    return;
  }
  std::uint64_t last_key = 0;
  for (MetricItem& item : items) {
    if (item.order_key != last_key) item.payload.insert(0, message);
    last_key = item.order_key;
  }
}

std::string MetadataRhythm::take_due(std::uint32_t stack, const telemetry::MetricBatch& batch,
                                     TimestampMs now) {
  codec::WriteRequest due;
  {
    const core::Lock lock(mutex_);
    // Forgotten, an entry is sent once more.
    if (last_.size() > kMetadataKept) last_.clear();
    for (const telemetry::MetricMetadata& metadata : batch.metadata) {
      std::uint64_t key = core::hash64(
          metadata.family, stack * std::uint64_t{8} + std::to_underlying(metadata.type));
      key = core::hash64(metadata.unit, core::hash64(metadata.help, key));
      const auto [last, is_new] = last_.try_emplace(key, now);
      if (!is_new && (now - last->second).count < kMetadataIntervalMs) continue;
      last->second = now;
      due.metadata.push_back(metadata_of(metadata));
    }
  }
  std::string message;
  if (!due.metadata.empty())
    codec::encode_remote_write(codec::RemoteWriteVersion::V1, due, message);
  return message;
}

Result<std::string> RemoteWrite2Translator::translate(std::string_view messages) {
  codec::RemoteWriteDecoder decoder;
  GANTRY_CHECK(decode_metric_items(messages, decoder));
  codec::WriteRequest request = write_request_of(decoder.batch());
  {
    const core::Lock lock(mutex_);
    for (const telemetry::MetricMetadata& metadata : decoder.batch().metadata)
      families_.learn(metadata);
    for (WriteSeries& series : request.series) {
      const auto match =
          families_.find(telemetry::find_label(series.labels, telemetry::kMetricNameLabel));
      if (match) series.metadata = *match->family;
    }
  }
  std::string message;
  if (request.series.empty()) return message;
  codec::encode_remote_write(codec::RemoteWriteVersion::V2, request, message);
  return message;
}

}  // namespace gantry::broadcast
