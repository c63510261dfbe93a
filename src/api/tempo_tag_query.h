#pragma once

// The search by tags of before TraceQL, as TraceQL.

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gantry::api {

using TempoTags = std::vector<std::pair<std::string, std::string>>;

/// logfmt: `service.name=shop error=true name="GET /"`. Errors: what goes after `invalid tags: `.
[[nodiscard]] std::expected<TempoTags, std::string> parse_tempo_tags(std::string_view text);

/// One span set filter that every tag must satisfy. service.name, name, root.name and
/// root.service.name hold a part of the value, status.code is one of unset, ok and error, anything
/// else is an attribute of the span or its resource with that value.
[[nodiscard]] std::string tags_as_traceql(const TempoTags& tags);

}  // namespace gantry::api
