#include "access/visible_metadata.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string_view>

#include "telemetry/labels.h"

namespace gantry::access {
namespace {

/// Prometheus's latest time; further ones overflow when something is added.
constexpr std::int64_t kLatestMs = std::numeric_limits<std::int64_t>::max() / 1000;

struct TypeSuffixes {
  std::string_view type;
  std::array<std::string_view, 5>
      suffixes;  ///< Of the names of its series; "" is the family's own.
  std::size_t count = 1;
};

/// OpenMetrics 1.0, and native histograms, whose series have the family's own name.
constexpr std::array<TypeSuffixes, 5> kTypeSuffixes = {{
    {.type = "counter", .suffixes = {"", "_total", "_created"}, .count = 3},
    {.type = "histogram", .suffixes = {"", "_bucket", "_sum", "_count", "_created"}, .count = 5},
    {.type = "gaugehistogram", .suffixes = {"", "_bucket", "_gsum", "_gcount"}, .count = 4},
    {.type = "summary", .suffixes = {"", "_sum", "_count", "_created"}, .count = 4},
    {.type = "info", .suffixes = {"", "_info"}, .count = 2},
}};

std::span<const std::string_view> suffixes_of(std::string_view type) {
  static constexpr std::array<std::string_view, 1> kOwnName = {""};
  const auto found = std::ranges::find(kTypeSuffixes, type, &TypeSuffixes::type);
  if (found == kTypeSuffixes.end()) return kOwnName;
  return std::span(found->suffixes).first(found->count);
}

bool has_series(const std::string& family, const std::vector<metrics::MetadataEntry>& entries,
                const std::vector<std::string>& sorted_names) {
  return std::ranges::any_of(entries, [&](const metrics::MetadataEntry& entry) {
    return std::ranges::any_of(suffixes_of(entry.type), [&](std::string_view suffix) {
      return std::ranges::binary_search(sorted_names, family + std::string(suffix));
    });
  });
}

}  // namespace

Result<void> keep_visible_families(
    std::vector<std::pair<std::string, std::vector<metrics::MetadataEntry>>>& families,
    const promql::SeriesSource& visible, TimestampMs now, const CancelToken& cancel) {
  if (families.empty()) return {};
  GANTRY_TRY(const promql::LabelStrings names,
             visible.label_values(telemetry::kMetricNameLabel, {},
                                  now.since_epoch - kMetadataWindow.count, kLatestMs, 0, cancel));
  std::erase_if(families, [&](const auto& family) {
    return !has_series(family.first, family.second, names.values);
  });
  return {};
}

}  // namespace gantry::access
