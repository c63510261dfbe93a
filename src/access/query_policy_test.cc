#include "access/query_policy.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

TEST(QueryPolicyTest, TakesEveryMember) {
  const auto policy = parse_query_policy(
      R"({"other":1,"queryPolicy":{"requestsPerSecond":0.5,"burst":3,"concurrentQueries":2,
          "timeout":"1m30s","maxPoints":100,"maxSamples":1000,"maxResponseBytes":2048,
          "maxLookback":"30d"}})");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->requests_per_second, 0.5);
  EXPECT_EQ(policy->burst, 3);
  EXPECT_EQ(policy->concurrent_queries, 2U);
  EXPECT_EQ(policy->timeout_ms, 90'000);
  EXPECT_EQ(policy->points_max, 100U);
  EXPECT_EQ(policy->samples_max, 1000U);
  EXPECT_EQ(policy->response_bytes_max, 2048U);
  EXPECT_EQ(policy->lookback_max_ms, std::int64_t{30} * 24 * 3600 * 1000);
}

TEST(QueryPolicyTest, IsTheDefaultsWithoutOne) {
  for (const char* text : {"", "{}", R"({"queryPolicy":null})", R"({"queryPolicy":{}})",
                           R"({"lokiQueryPolicy":{"maxQueryLengthSeconds":1}})"})
    EXPECT_TRUE(parse_query_policy(text)->is_default()) << text;
}

TEST(QueryPolicyTest, NamesWhatIsWrong) {
  const auto message = [](std::string_view policy) {
    return parse_query_policy(R"({"queryPolicy":)" + std::string(policy) + "}").error().message;
  };
  EXPECT_EQ(message("[]"), "attributes.queryPolicy: must be an object");
  EXPECT_EQ(message(R"({"timeout":60})"),
            "attributes.queryPolicy.timeout: must be a duration such as \"60s\"");
  EXPECT_TRUE(message(R"({"timeout":"soon"})").starts_with("attributes.queryPolicy.timeout: "));
  EXPECT_EQ(message(R"({"burst":"many"})"), "attributes.queryPolicy.burst: must be a number");
  EXPECT_EQ(message(R"({"maxPoints":1.5})"), "attributes.queryPolicy.maxPoints: must be a number");
  EXPECT_EQ(message(R"({"concurrentQueries":0})"),
            "attributes.queryPolicy.concurrentQueries: must be from 1 to 4.29497e+09");
  EXPECT_EQ(message(R"({"maxpoints":5})"), "attributes.queryPolicy.maxpoints: is not known");
  EXPECT_EQ(parse_query_policy("[").error().message, "attributes: must be a JSON object");
}

}  // namespace
}  // namespace gantry::access
