#pragma once

// How much memory a regular expression takes, for those who must not let one be large.

#include <cstdint>
#include <string_view>

#include "core/error.h"

namespace gantry::promql {

/// Whether `expression`, anchored as a Matcher anchors it, compiles into a program of at most
/// `bytes_max`. Errors: InvalidArgument (too large, or no regular expression).
Result<void> check_regex_size(std::string_view expression, std::int64_t bytes_max);

}  // namespace gantry::promql
