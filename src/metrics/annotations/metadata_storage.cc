#include "metrics/annotations/metadata_storage.h"

#include <algorithm>

#include "metrics/log/log_record.h"

namespace gantry::metrics {

MetadataStorage::Verdict MetadataStorage::check(const telemetry::MetricMetadata& entry,
                                                const Limits& limits) const {
  const core::Lock lock(mutex_);
  const auto family = families_.find(entry.family);
  if (family == families_.end()) {
    const bool is_full =
        limits.metadata_families_max > 0 && families_.size() >= limits.metadata_families_max;
    return is_full ? Verdict::TooManyFamilies : Verdict::New;
  }
  for (const Entry& known : family->second) {
    if (is_same(known, entry)) return Verdict::Known;
  }
  const bool is_full =
      limits.metadata_per_family_max > 0 && family->second.size() >= limits.metadata_per_family_max;
  return is_full ? Verdict::TooManyPerFamily : Verdict::New;
}

void MetadataStorage::add(const telemetry::MetricMetadata& entry) {
  const core::Lock lock(mutex_);
  auto family = families_.find(entry.family);
  if (family == families_.end()) {
    family = families_.emplace(std::string(entry.family), std::vector<Entry>()).first;
  }
  std::vector<Entry>& entries = family->second;
  const auto known =
      std::ranges::find_if(entries, [&](const Entry& other) { return is_same(other, entry); });
  if (known != entries.end()) {
    std::rotate(known, known + 1, entries.end());
    return;
  }
  entries.push_back(
      {.type = entry.type, .help = std::string(entry.help), .unit = std::string(entry.unit)});
}

std::vector<std::pair<std::string, std::vector<MetadataEntry>>> MetadataStorage::list(
    std::string_view family) const {
  std::vector<std::pair<std::string, std::vector<MetadataEntry>>> out;
  const core::Lock lock(mutex_);
  const auto add_family = [&](const std::string& name, const std::vector<Entry>& entries) {
    std::vector<MetadataEntry>& list = out.emplace_back(name, std::vector<MetadataEntry>()).second;
    for (const Entry& entry : entries) {
      list.push_back({.type = std::string(telemetry::metric_type_name(entry.type)),
                      .help = entry.help,
                      .unit = entry.unit});
    }
  };
  if (family.empty()) {
    for (const auto& [name, entries] : families_) add_family(name, entries);
  } else if (const auto found = families_.find(family); found != families_.end()) {
    add_family(found->first, found->second);
  }
  return out;
}

void MetadataStorage::encode(std::vector<std::byte>& out) const {
  std::vector<telemetry::MetricMetadata> all;
  const core::Lock lock(mutex_);
  for (const auto& [family, entries] : families_) {
    for (const Entry& entry : entries) {
      all.push_back({.family = family, .type = entry.type, .help = entry.help, .unit = entry.unit});
    }
  }
  encode_metadata(all, out);
}

std::size_t MetadataStorage::allocated_bytes() const {
  std::size_t bytes = 0;
  const core::Lock lock(mutex_);
  for (const auto& [family, entries] : families_) {
    bytes += sizeof(std::pair<std::string, std::vector<Entry>>) + family.size();
    for (const Entry& entry : entries) {
      bytes += sizeof(Entry) + entry.help.size() + entry.unit.size();
    }
  }
  return bytes;
}

}  // namespace gantry::metrics
