#include "metrics/annotations/annotations_file.h"

#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>
#include <fmt/format.h>

#include "core/hash.h"
#include "metrics/log/log_record.h"
#include "storage/byte_cursor.h"

namespace gantry::metrics {
namespace {

constexpr std::string_view kMagic = "GNTRANNO";
constexpr std::uint32_t kVersion = 1;

}  // namespace

void encode_annotations(const SeriesRegistry& registry, const ExemplarStorage& exemplars,
                        const MetadataStorage& metadata, std::vector<std::byte>& out) {
  const std::vector<StoredExemplar> all = exemplars.all();
  // Views, kept alive by `all` and the registry.
  std::vector<std::vector<telemetry::LabelView>> exemplar_labels(all.size());
  boost::unordered_flat_map<std::uint32_t, std::vector<telemetry::LabelView>> series_labels;
  BatchRecord record;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const telemetry::Label& label : all[i].labels) {
      exemplar_labels[i].push_back({.name = label.name, .value = label.value});
    }
    record.exemplars.push_back({.series = all[i].series,
                                .timestamp_ms = all[i].timestamp_ms,
                                .value = all[i].value,
                                .labels = exemplar_labels[i]});
    const auto [entry, is_new] = series_labels.try_emplace(all[i].series);
    if (is_new) registry.labels_of(all[i].series, entry->second);
  }
  for (const auto& [series, labels] : series_labels) {
    record.definitions.push_back({.series = series, .labels = labels});
  }
  std::vector<std::byte> batch;
  encode_batch(record, batch);
  std::vector<std::byte> families;
  metadata.encode(families);

  out.clear();
  storage::ByteWriter writer(out);
  writer.raw(kMagic.data(), kMagic.size());
  writer.u32(kVersion);
  writer.varint(batch.size());
  writer.bytes(batch);
  writer.varint(families.size());
  writer.bytes(families);
  writer.u32(core::crc32c(out));
}

Result<void> decode_annotations(std::span<const std::byte> bytes, const SeriesRegistry& registry,
                                ExemplarStorage& exemplars, MetadataStorage& metadata) {
  const auto damaged = [] { return fail(Code::DataLoss, "the annotations file is damaged"); };
  if (bytes.size() < kMagic.size() + 2 * sizeof(std::uint32_t) ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return damaged();
  }
  storage::ByteReader reader(bytes.subspan(kMagic.size(), bytes.size() - kMagic.size() - 4));
  const std::uint32_t version = reader.u32();
  if (version > kVersion) {
    return fail(Code::FailedPrecondition,
                fmt::format("the annotations file has format {}, this program knows up to {}",
                            version, kVersion));
  }
  if (storage::ByteReader(bytes.last(4)).u32() != core::crc32c(bytes.first(bytes.size() - 4))) {
    return damaged();
  }
  const std::span<const std::byte> batch_bytes = reader.bytes(reader.count(1));
  const std::span<const std::byte> family_bytes = reader.bytes(reader.count(1));
  if (!reader.at_end()) return damaged();

  DecodedBatch batch;
  GANTRY_CHECK(decode_batch(batch_bytes, batch));
  std::vector<SeriesRegistry::Lookup> lookups;
  for (const SeriesDefinition& definition : batch.record.definitions) {
    lookups.push_back({.labels = definition.labels});
  }
  registry.find(lookups);
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> ids;
  for (std::size_t i = 0; i < lookups.size(); ++i) {
    if (lookups[i].series != SeriesRegistry::kNone) {
      ids.emplace(batch.record.definitions[i].series, lookups[i].series);
    }
  }
  for (const PlannedExemplar& planned : batch.record.exemplars) {
    const auto series = ids.find(planned.series);
    if (series == ids.end()) continue;
    StoredExemplar exemplar{.series = series->second,
                            .timestamp_ms = planned.timestamp_ms,
                            .value = planned.value,
                            .labels = {}};
    for (const telemetry::LabelView& label : planned.labels) {
      exemplar.labels.push_back(
          {.name = std::string(label.name), .value = std::string(label.value)});
    }
    exemplars.add(std::move(exemplar));
  }
  GANTRY_TRY(const auto families, decode_metadata(family_bytes));
  for (const telemetry::MetricMetadata& entry : families) metadata.add(entry);
  return {};
}

}  // namespace gantry::metrics
