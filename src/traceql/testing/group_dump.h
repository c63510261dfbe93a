#pragma once

// A group's content as text, to compare groups that are laid out differently.

#include <string>

#include "traceql/span_source.h"

namespace gantry::traceql::testing {

/// One line per span, by trace id and then in order of arrival, with everything the group says of
/// it, whatever its dictionaries, density or the numbers of its rows are; then the keys that have a
/// value. Fails the test that calls it when a column cannot be read or has another length than its
/// table.
[[nodiscard]] std::string dump(SpanGroup& group);

}  // namespace gantry::traceql::testing
