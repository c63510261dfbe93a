// Warnings and infos of queries as HTTP clients get them: below every path at which the Prometheus
// API is mounted, for instant and range queries, with and without label policies.

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "server/testing/lbac_world.h"

namespace gantry::server {
namespace {

constexpr std::int64_t kNowMs = 1'700'000'000'000;
constexpr std::array<std::string_view, 4> kMounts = {"", "/prometheus", "/api/prom",
                                                     "/metrics-api-bearer"};

/// Twelve gauges that everybody may see and three that policies hide.
WorldData make_data() {
  WorldData data;
  for (int i = 0; i < 15; ++i) {
    const bool is_shown = i < 12;
    WorldSeries series{
        .labels = telemetry::make_labels(
            {{.name = "__name__", .value = fmt::format("{}_{}", is_shown ? "level" : "hidden", i)},
             {.name = "n", .value = std::to_string(i)},
             {.name = "ns", .value = is_shown ? "a" : "b"}})};
    for (int minute = 10; minute >= 0; --minute)
      series.samples.emplace_back(kNowMs - minute * 60'000, minute % 3);
    data.series.push_back(std::move(series));
  }
  return data;
}

class PromqlAnnotations : public testing::Test {
 protected:
  PromqlAnnotations()
      : world_({kNowMs}),
        site_(world_.make_site(make_data())),
        everything_(world_.add_token("everything", std::nullopt)),
        part_(world_.add_token("part", std::vector<std::string>{R"({ns="a"})"})) {}

  /// The answers to an instant and a range query below every mount.
  std::vector<nlohmann::json> ask(const std::string& secret, const std::string& query) {
    std::vector<nlohmann::json> answers;
    for (const std::string_view mount : kMounts) {
      for (const std::string_view path : {"query", "query_range"}) {
        const net::Response response =
            site_->send({.path = fmt::format("{}/api/v1/{}", mount, path),
                         .query = encode_parameters({{"query", query},
                                                     {"start", "1699999940"},
                                                     {"end", "1700000000"},
                                                     {"step", "60"}}),
                         .headers = {{"Authorization", "Bearer " + secret}}});
        EXPECT_EQ(response.status, 200) << mount << ": " << response.body;
        answers.push_back(nlohmann::json::parse(response.body));
      }
    }
    return answers;
  }

  World world_;
  std::unique_ptr<WorldSite> site_;
  std::string everything_;
  std::string part_;
};

TEST_F(PromqlAnnotations, TellOnlyOfWhatAPolicyShows) {
  const std::string query = R"(rate({__name__=~"(level|hidden)_.*"}[5m]))";
  for (const nlohmann::json& answer : ask(part_, query)) {
    EXPECT_FALSE(answer.contains("warnings"));
    ASSERT_EQ(answer["infos"].size(), 11U);
    for (std::size_t i = 0; i < 10; ++i) {
      const std::string info = answer["infos"][i];
      EXPECT_TRUE(
          info.starts_with("PromQL info: metric might not be a counter, name does not end "
                           "in _total/_sum/_count/_bucket: \"level_"))
          << info;
      EXPECT_TRUE(info.ends_with("\" (1:6)")) << info;
    }
    EXPECT_EQ(answer["infos"][10], "2 more info annotations omitted");
  }
  for (const nlohmann::json& answer : ask(everything_, query)) {
    EXPECT_EQ(answer["infos"][10], "5 more info annotations omitted");
  }
}

TEST_F(PromqlAnnotations, TenOfEachKindHaveTheirPlaces) {
  std::string query = "rate({__name__=~\"level_.*\"}[5m])";
  for (int phi = 2; phi < 14; ++phi) query += fmt::format("\n or quantile({}, level_0)", phi);
  for (const nlohmann::json& answer : ask(part_, query)) {
    EXPECT_EQ(answer["infos"].size(), 11U);
    ASSERT_EQ(answer["warnings"].size(), 11U);
    std::set<std::string> expected;
    for (int phi = 2; phi < 14; ++phi) {
      expected.insert(fmt::format(
          "PromQL warning: quantile value should be between 0 and 1, got {} ({}:14)", phi, phi));
    }
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(expected.erase(answer["warnings"][i]), 1U) << answer["warnings"][i];
    }
    EXPECT_EQ(answer["warnings"][10], "2 more warning annotations omitted");
  }
}

}  // namespace
}  // namespace gantry::server
