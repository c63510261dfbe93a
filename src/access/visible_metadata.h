#pragma once

// Which metric families a restricted principal may know of.

#include <string>
#include <utility>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "core/time.h"
#include "metrics/store.h"
#include "promql/series_source.h"

namespace gantry::access {

/// How long before `now` the last sample of a family's series may be.
inline constexpr DurationMs kMetadataWindow{std::int64_t{24} * 3600 * 1000};

/// Removes the families of which `visible` has no series with a sample since kMetadataWindow before
/// `now`. A family's series are those that its type says: a counter's may end in _total, a
/// histogram's in _bucket, _sum, _count, and so on. Errors: those of SeriesSource::label_values.
Result<void> keep_visible_families(
    std::vector<std::pair<std::string, std::vector<metrics::MetadataEntry>>>& families,
    const promql::SeriesSource& visible, TimestampMs now, const CancelToken& cancel);

}  // namespace gantry::access
