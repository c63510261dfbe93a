// The specification of label policies, on random databases, policies and queries:
//
//   eval(query, database, policy) == eval(query, what the policy shows of the database, everything)
//
// bit for bit, warnings included, through the whole HTTP surface.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "server/testing/lbac_world.h"

namespace gantry::server {
namespace {

constexpr std::int64_t kNowMs = 1'700'000'000'000;

rc::Gen<std::string> any_of(std::vector<std::string> values) {
  return rc::gen::elementOf(std::move(values));
}

std::string any_matcher() {
  return fmt::format("{}{}\"{}\"", *any_of({"ns", "env", "le", "nosuch"}),
                     *any_of({"=", "!=", "=~", "!~"}),
                     *any_of({"", "a", "b", "1", "a|b", "a|", ".*", ".+", "[ab]", "b.*", "1|5"}));
}

std::string any_policy() {
  std::string text = "{" + any_matcher();
  const int more = *rc::gen::inRange(0, 3);
  for (int i = 0; i < more; ++i) text += "," + any_matcher();
  if (*rc::gen::inRange(0, 4) == 0) text += R"(,__name__=~"requests_total|m")";
  return text + "}";
}

std::string any_selector() {
  const std::string name = *any_of({"m", "n", "requests_total", "latency_bucket"});
  if (*rc::gen::inRange(0, 5) == 0) return R"({__name__=~".+"})";
  return *rc::gen::inRange(0, 2) == 0 ? name : name + "{" + any_matcher() + "}";
}

std::string any_query() {
  static const std::vector<std::string> kTemplates = {
      "{0}",
      "sum({0})",
      "sum by (ns) ({0})",
      "avg without (env) ({0})",
      "stddev({0})",
      "quantile(0.3, {0})",
      "topk(2, {0})",
      "count_values(\"v\", {0})",
      "rate({0}[2m])",
      "sum(rate({0}[2m]))",
      "increase({0}[1m])",
      "deriv({0}[3m])",
      "{0} + {1}",
      "{0} * on (ns) group_left {1}",
      "{0} and {1}",
      "{0} or {1}",
      "{0} unless on (ns) {1}",
      "absent({0})",
      "absent_over_time({0}[1m])",
      "label_replace({0}, \"ns\", \"b\", \"\", \"\")",
      "label_join({0}, \"j\", \"-\", \"ns\", \"env\")",
      "max_over_time(sum({0})[3m:1m])",
      "{0} offset 1m",
      "{0} @ 1699999900",
      "sort_desc({0})",
      "histogram_quantile(0.9, {0})",
      "topk(scalar(count({0})), {1})",
      "{0} > bool scalar({1})",
      "timestamp({0})",
      "changes({0}[4m])",
      "limitk(2, {0})",
      "limit_ratio(0.5, {0})",
      "info({0}, {{__name__=\"n\"}})",
      "info({0}, {{__name__=~\"m|n\", env=~\"a|b\"}})",
      "group({0})"};
  return fmt::format(fmt::runtime(*rc::gen::elementOf(kTemplates)), any_selector(), any_selector());
}

WorldData any_data() {
  WorldData data;
  const int count = *rc::gen::inRange(1, 24);
  for (int i = 0; i < count; ++i) {
    WorldSeries series{
        .labels = telemetry::make_labels(
            {{.name = "__name__", .value = *any_of({"m", "n", "requests_total", "latency_bucket"})},
             {.name = "ns", .value = *any_of({"", "a", "b", "c"})},
             {.name = "env", .value = *any_of({"", "a", "b"})},
             {.name = "instance", .value = *any_of({"", "", "i"})},
             {.name = "le", .value = *any_of({"", "1", "5", "+Inf"})}})};
    const bool is_known = std::ranges::any_of(
        data.series, [&](const WorldSeries& other) { return other.labels == series.labels; });
    if (is_known) continue;
    const int samples = *rc::gen::inRange(1, 12);
    const std::int64_t first_ms = kNowMs - *rc::gen::inRange(0, 120) * 30'000;
    for (int at = 0; at < samples && first_ms + at * 15'000 <= kNowMs; ++at) {
      // Values whose sum depends on the order in which they are added.
      series.samples.emplace_back(first_ms + at * 15'000,
                                  *rc::gen::element(0.1, 1e16, -1e16, 3.0, 1.0 / 3, 7.7e-9));
    }
    series.exemplars.emplace_back(
        first_ms, telemetry::make_labels({{.name = "trace_id", .value = std::to_string(i)}}));
    data.series.push_back(std::move(series));
  }
  for (const std::string name : {"m", "n", "requests_total"})
    data.families.push_back({.name = name, .help = "About " + name});
  return data;
}

std::vector<WorldRequest> any_requests() {
  const std::string range = "&start=1699999400&end=1700000000";
  const std::string limit = "&limit=" + std::to_string(*rc::gen::inRange(0, 5));
  const auto match = [] { return encode_parameters({{"match[]", any_selector()}}); };
  std::vector<WorldRequest> requests;
  for (int i = 0; i < 6; ++i) {
    const std::string query = encode_parameters({{"query", any_query()}});
    requests.push_back({.path = "/api/v1/query", .query = query + "&time=1700000000" + limit});
    requests.push_back({.path = "/api/v1/query_range", .query = query + range + "&step=45"});
    requests.push_back({.path = "/api/v1/query_exemplars", .query = query + range});
  }
  requests.push_back({.path = "/api/v1/series", .query = match() + "&" + match() + limit});
  requests.push_back({.path = "/api/v1/series", .query = match() + range});
  requests.push_back({.path = "/api/v1/labels", .query = limit});
  requests.push_back({.path = "/api/v1/labels", .query = match() + range});
  for (const std::string name : {"__name__", "ns", "nosuch"}) {
    requests.push_back({.path = "/api/v1/label/" + name + "/values", .query = limit});
    requests.push_back({.path = "/api/v1/label/" + name + "/values", .query = match() + range});
  }
  requests.push_back({.path = "/api/v1/metadata"});
  requests.push_back({.path = "/federate", .query = match() + "&" + match()});
  return requests;
}

TEST(LbacProperty, ARestrictedAnswerIsThatOfAStoreWithoutTheHidden) {
  World world({kNowMs});
  const std::string unrestricted = world.add_token("everything", std::nullopt);
  int count = 0;
  int told_apart = 0;
  const bool holds = rc::check("restricted equals filtered", [&] {
    const WorldData data = any_data();
    std::vector<std::string> selectors = {any_policy()};
    const int more = *rc::gen::element(0, 0, 1, 2, 4, 11);
    for (int i = 0; i < more; ++i) selectors.push_back(any_policy());
    const std::string token = world.add_token(fmt::format("p{}", count++), selectors);
    const auto whole = world.make_site(data);
    const auto visible =
        world.make_site(visible_part(data, *access::LabelPolicySet::parse(selectors)));
    for (WorldRequest& request : any_requests()) {
      request.headers = {{"Authorization", "Bearer " + token}};
      const net::Response restricted = whole->send(request);
      request.headers = {{"Authorization", "Bearer " + unrestricted}};
      const net::Response expected = visible->send(request);
      if (whole->send(request).body != expected.body) ++told_apart;
      RC_LOG(
          fmt::format("{}?{} under {}", request.path, request.query, fmt::join(selectors, " or ")));
      RC_ASSERT(restricted.status == expected.status);
      RC_ASSERT(restricted.body == expected.body);
    }
  });
  EXPECT_TRUE(holds);
  EXPECT_GT(told_apart, 5 * count) << "hardly anything was hidden: the test is weak";
}

}  // namespace
}  // namespace gantry::server
