#pragma once

// Random queries of the whole language, about what random_traces() makes.

#include <cstdint>
#include <string>

namespace gantry::traceql::testing {

enum class QueryKind : std::uint8_t { Search, Metrics };

/// A query that parses; the same for the same seed. Its answer is defined: structural operators
/// have one span set on each side, and what is compared to nil is an attribute.
[[nodiscard]] std::string random_query(std::uint64_t seed, QueryKind kind);

/// A condition for braces.
[[nodiscard]] std::string random_condition(std::uint64_t seed);

}  // namespace gantry::traceql::testing
