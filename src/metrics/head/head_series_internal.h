#pragma once

// Shared by the sources that make up head_series.h.

#include "metrics/head/head_series.h"
#include "metrics/head/series_extra.h"

namespace gantry::metrics {

enum class Lateness : bool { InOrder, Late };

SeriesExtra& extra_of(SeriesRecord& record);

/// After every change of `extra`: frees it when empty, keeps the count of its bytes.
void settle_extra(SeriesRecord& record, HeadContext& context);

void seal_open_floats(SeriesRecord& record, HeadContext& context);
void seal_late_floats(SeriesRecord& record, HeadContext& context);
void seal_histograms(SeriesRecord& record, HeadContext& context, Lateness lateness);

}  // namespace gantry::metrics
