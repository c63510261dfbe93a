#include "access/query_policy.h"

#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/duration.h"

namespace gantry::access {
namespace {

using Json = nlohmann::json;

std::unexpected<Error> refuse(std::string_view member, std::string_view why) {
  return fail(Code::InvalidArgument, fmt::format("attributes.queryPolicy{}{}: {}",
                                                 member.empty() ? "" : ".", member, why));
}

template <class T>
Result<void> take_number(const std::string& member, const Json& value, double least,
                         std::optional<T>& out) {
  constexpr double kMost = 1e15;
  const bool is_whole = std::is_floating_point_v<T> || value.is_number_integer();
  if (!value.is_number() || !is_whole) return refuse(member, "must be a number");
  const auto number = value.get<double>();
  const double most = std::min(kMost, static_cast<double>(std::numeric_limits<T>::max()));
  if (number < least || number > most)
    return refuse(member, fmt::format("must be from {:g} to {:g}", least, most));
  out = value.get<T>();
  return {};
}

Result<void> take_duration(const std::string& member, const Json& value,
                           std::optional<std::int64_t>& out) {
  if (!value.is_string()) return refuse(member, "must be a duration such as \"60s\"");
  const auto duration = core::parse_duration(value.get_ref<const std::string&>());
  if (!duration) return refuse(member, duration.error().message);
  if (duration->count <= 0) return refuse(member, "must be longer than nothing");
  out = duration->count;
  return {};
}

Result<void> take(const std::string& member, const Json& value, QueryPolicy& policy) {
  if (member == "requestsPerSecond")
    return take_number(member, value, 0.001, policy.requests_per_second);
  if (member == "burst") return take_number(member, value, 1, policy.burst);
  if (member == "concurrentQueries")
    return take_number(member, value, 1, policy.concurrent_queries);
  if (member == "timeout") return take_duration(member, value, policy.timeout_ms);
  if (member == "maxPoints") return take_number(member, value, 1, policy.points_max);
  if (member == "maxSamples") return take_number(member, value, 1, policy.samples_max);
  if (member == "maxResponseBytes")
    return take_number(member, value, 1024, policy.response_bytes_max);
  if (member == "maxLookback") return take_duration(member, value, policy.lookback_max_ms);
  return refuse(member, "is not known");
}

}  // namespace

Result<QueryPolicy> parse_query_policy(std::string_view attributes) {
  QueryPolicy policy;
  if (attributes.empty()) return policy;
  const Json json = Json::parse(attributes, nullptr, false);
  if (!json.is_object()) return fail(Code::InvalidArgument, "attributes: must be a JSON object");
  const auto found = json.find("queryPolicy");
  if (found == json.end() || found->is_null()) return policy;
  if (!found->is_object()) return refuse("", "must be an object");
  for (const auto& [member, value] : found->items()) GANTRY_CHECK(take(member, value, policy));
  return policy;
}

}  // namespace gantry::access
