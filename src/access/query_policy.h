#pragma once

// What one token may ask of the read-only endpoint. A policy overrides the endpoint's defaults in
// its attributes:
//   {"queryPolicy":{"requestsPerSecond":50,"burst":100,"concurrentQueries":20,"timeout":"60s",
//                   "maxPoints":11000,"maxSamples":50000000,"maxResponseBytes":67108864,
//                   "maxLookback":"30d"}}

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace gantry::access {

/// Absent: the endpoint's default.
struct QueryPolicy {
  std::optional<double> requests_per_second;
  std::optional<double> burst;
  std::optional<std::uint32_t> concurrent_queries;
  std::optional<std::int64_t> timeout_ms;
  std::optional<std::uint32_t> points_max;  ///< Per series of a range query.
  std::optional<std::uint64_t> samples_max;
  std::optional<std::uint64_t> response_bytes_max;
  std::optional<std::int64_t> lookback_max_ms;  ///< How far before now a query may reach.

  [[nodiscard]] bool is_default() const { return *this == QueryPolicy(); }

  friend bool operator==(const QueryPolicy&, const QueryPolicy&) = default;
};

/// Of a policy's `attributes`: the defaults when it has no queryPolicy. Errors: InvalidArgument
/// naming the member that is not what it should be, or is not known.
[[nodiscard]] Result<QueryPolicy> parse_query_policy(std::string_view attributes);

}  // namespace gantry::access
