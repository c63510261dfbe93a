#pragma once

// Tempo's answers as protobuf, for clients that accept `application/protobuf`. Message and field
// numbers: grafana/tempo, pkg/tempopb/tempo.proto.

#include <string>
#include <string_view>
#include <vector>

#include "api/tempo_json.h"
#include "traceql/engine.h"

namespace gantry::api {

/// SearchResponse.
[[nodiscard]] std::string search_protobuf(const traceql::SearchAnswer& answer,
                                          const traceql::SearchStatistics& statistics);

/// QueryRangeResponse. `partial_message`: "" for a whole answer.
[[nodiscard]] std::string range_protobuf(const traceql::MetricsAnswer& answer,
                                         const traceql::SearchStatistics& statistics,
                                         std::string_view partial_message);

/// QueryInstantResponse.
[[nodiscard]] std::string instant_protobuf(const traceql::MetricsAnswer& answer,
                                           const traceql::SearchStatistics& statistics,
                                           std::string_view partial_message);

/// SearchTagsResponse.
[[nodiscard]] std::string tag_names_protobuf(const std::vector<std::string>& names,
                                             const traceql::SearchStatistics& statistics);

/// SearchTagsV2Response; scopes without tags are left out.
[[nodiscard]] std::string tag_scopes_protobuf(const std::vector<TagScope>& scopes,
                                              const traceql::SearchStatistics& statistics);

/// SearchTagValuesResponse.
[[nodiscard]] std::string tag_values_protobuf(const std::vector<traceql::Static>& values,
                                              const traceql::SearchStatistics& statistics);

/// SearchTagValuesV2Response.
[[nodiscard]] std::string typed_tag_values_protobuf(const std::vector<traceql::Static>& values,
                                                    const traceql::SearchStatistics& statistics);

}  // namespace gantry::api
