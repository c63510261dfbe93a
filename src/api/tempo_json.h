#pragma once

// Tempo's answers as JSON: exactly the members that Grafana's data source knows, since it refuses
// an answer with others. Members with default values are left out; 64-bit integers are texts.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "traceql/engine.h"

namespace gantry::api {

/// Without leading zeros, as Tempo prints trace ids in lists.
[[nodiscard]] std::string short_trace_id(const telemetry::TraceId& id);

/// GET /api/search.
[[nodiscard]] std::string search_json(const traceql::SearchAnswer& answer,
                                      const traceql::SearchStatistics& statistics);

/// GET /api/metrics/query_range. `partial_message`: "" for a whole answer.
[[nodiscard]] std::string range_json(const traceql::MetricsAnswer& answer,
                                     const traceql::SearchStatistics& statistics,
                                     std::string_view partial_message);

/// GET /api/metrics/query: one value for each series.
[[nodiscard]] std::string instant_json(const traceql::MetricsAnswer& answer,
                                       const traceql::SearchStatistics& statistics,
                                       std::string_view partial_message);

/// GET /api/search/tags.
[[nodiscard]] std::string tag_names_json(const std::vector<std::string>& names,
                                         const traceql::SearchStatistics& statistics);

struct TagScope {
  std::string_view name;
  std::vector<std::string> tags;
};

/// GET /api/v2/search/tags; scopes without tags are left out.
[[nodiscard]] std::string tag_scopes_json(const std::vector<TagScope>& scopes,
                                          const traceql::SearchStatistics& statistics);

/// GET /api/search/tag/{name}/values.
[[nodiscard]] std::string tag_values_json(const std::vector<traceql::Static>& values,
                                          const traceql::SearchStatistics& statistics);

/// GET /api/v2/search/tag/{identifier}/values.
[[nodiscard]] std::string typed_tag_values_json(const std::vector<traceql::Static>& values,
                                                const traceql::SearchStatistics& statistics);

}  // namespace gantry::api
