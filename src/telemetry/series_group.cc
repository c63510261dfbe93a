#include "telemetry/series_group.h"

#include "core/hash.h"
#include "telemetry/labels.h"

namespace gantry::telemetry {

void SeriesGroup::add(std::string_view name, std::string_view value) {
  if (name == "le" || name == "quantile") return;
  if (name == kMetricNameLabel)
    for (const std::string_view suffix : {"_bucket", "_sum", "_count"})
      if (value.ends_with(suffix)) {
        value.remove_suffix(suffix.size());
        break;
      }
  hash_ = core::hash64(value, core::hash64(name, hash_));
}

}  // namespace gantry::telemetry
