#pragma once

// Type, help and unit of metric families.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "metrics/store.h"
#include "telemetry/metric_batch.h"

namespace gantry::metrics {

/// Thread-safe.
class MetadataStorage {
 public:
  enum class Verdict : std::uint8_t {
    Known,  ///< The family has this entry.
    New,
    TooManyFamilies,   ///< Limits::metadata_families_max
    TooManyPerFamily,  ///< Limits::metadata_per_family_max
  };

  [[nodiscard]] Verdict check(const telemetry::MetricMetadata& entry, const Limits& limits) const;

  /// An entry that the family has becomes its newest.
  void add(const telemetry::MetricMetadata& entry);

  [[nodiscard]] std::vector<std::pair<std::string, std::vector<MetadataEntry>>> list(
      std::string_view family) const;

  /// All entries as encode_metadata writes them. Replaces `out`.
  void encode(std::vector<std::byte>& out) const;

  [[nodiscard]] std::size_t allocated_bytes() const;

 private:
  struct Entry {
    telemetry::MetricType type = telemetry::MetricType::Unknown;
    std::string help;
    std::string unit;
  };

  static bool is_same(const Entry& entry, const telemetry::MetricMetadata& other) {
    return entry.type == other.type && entry.help == other.help && entry.unit == other.unit;
  }

  mutable core::Mutex mutex_;
  std::map<std::string, std::vector<Entry>, std::less<>> families_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::metrics
