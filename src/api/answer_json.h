#pragma once

// PromQL answers as the Prometheus HTTP API writes them.

#include <string>

#include "net/http.h"
#include "promql/engine.h"
#include "telemetry/native_histogram.h"

namespace gantry::api {

/// The whole answer of /query and /query_range. Large matrices are streamed in pieces of about 256
/// KiB, so that the text is never in memory as a whole. `stats_json`: empty, or the value of the
/// `stats` key.
[[nodiscard]] net::Response answer_response(promql::Answer answer, std::string stats_json);

/// {"count":"10","sum":"12.5","buckets":[[0,"1","2","3"],…]}
void append_histogram(std::string& out, const telemetry::FloatHistogram& histogram);

/// The `stats` object of a query; times in seconds.
[[nodiscard]] std::string statistics_json(const promql::QueryStatistics& statistics,
                                          double total_seconds);

/// Cuts a vector or matrix to `limit` elements (0: none) and says so in the warnings.
void truncate_answer(promql::Answer& answer, std::size_t limit);

}  // namespace gantry::api
