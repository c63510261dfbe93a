#pragma once

// What rules make of spans and samples that somebody wants to try them on.

#include <string>
#include <string_view>

#include "access/control_error.h"
#include "pipeline/stack_rule_rows.h"

namespace gantry::api {

/// `body`: {"rules"?, "spans"?, "samples"?}: rules as PATCH takes them, over the stored ones; spans
/// as an ExportTraceServiceRequest in OTLP's JSON; samples as [{"labels":{…},"value":…}]. Returns
/// {"data":{"spans":{"kept":<request>,"filtered","sampled_out"},"samples":[{"labels":{…}|null}]}},
/// each where it was given; the counts are of spans, `null` is a sample that is left out. Errors:
/// InvalidArgument, which names the field.
[[nodiscard]] access::ControlResult<std::string> try_rules(const pipeline::StoredRules& stored,
                                                           std::string_view body);

}  // namespace gantry::api
