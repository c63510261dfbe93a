// What people try in order to see more than their label policies show. Each request must get, byte
// for byte, what anybody gets from a store that never had the hidden series.

#include <map>
#include <memory>
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
constexpr std::string_view kSecret = "topsecret";

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

WorldSeries make_series(Labels labels, double value) {
  std::vector<telemetry::Label> all;
  for (const auto& [name, label] : labels)
    all.push_back({.name = std::string(name), .value = std::string(label)});
  WorldSeries series{.labels = telemetry::make_labels(std::move(all))};
  for (std::int64_t time = kNowMs - 600'000; time <= kNowMs; time += 15'000)
    series.samples.emplace_back(time, value);
  series.exemplars.emplace_back(
      kNowMs - 60'000, telemetry::make_labels(
                           {{.name = "trace_id", .value = std::string(labels.begin()[1].second)}}));
  return series;
}

WorldData make_data() {
  WorldData data;
  data.series = {
      make_series({{"__name__", "up"}, {"ns", "a"}, {"job", "api"}, {"instance", "1"}}, 1),
      make_series({{"__name__", "up"}, {"ns", "a"}, {"job", "web"}, {"instance", "2"}}, 0),
      make_series({{"__name__", "up"}, {"ns", kSecret}, {"job", "api"}, {"instance", "3"}}, 1),
      make_series({{"__name__", "up"}, {"ns", "b"}, {"job", "api"}, {"owner", kSecret}}, 7),
      make_series({{"__name__", "topsecret_metric"}, {"ns", "b"}, {"job", "api"}}, 7),
      make_series({{"__name__", "target_info"}, {"ns", "b"}, {"job", "api"}, {"v", kSecret}}, 1),
      make_series({{"__name__", "dotted.metric"}, {"ns", "a"}, {"dotted.label", "x"}}, 1),
      make_series({{"__name__", "dotted.metric"}, {"ns", "b"}, {"dotted.label", kSecret}}, 1),
      make_series({{"__name__", "latency_bucket"}, {"ns", "a"}, {"le", "1"}}, 3),
      make_series({{"__name__", "latency_bucket"}, {"ns", "b"}, {"le", kSecret}}, 3),
  };
  data.families = {{.name = "up", .help = "Visible."},
                   {.name = "topsecret_metric", .help = "Hidden."}};
  return data;
}

struct Attack {
  std::string_view name;
  std::string_view path;
  std::string query;
  std::string form;  ///< Sent by POST when not empty.
};

std::string encoded(std::string_view name, std::string_view value) {
  return encode_parameters({{std::string(name), std::string(value)}});
}

Attack ask(std::string_view name, std::string_view query) {
  return {name, "/api/v1/query", encoded("query", query) + "&time=1700000000", ""};
}

std::vector<Attack> make_attacks() {
  std::vector<Attack> attacks = {
      ask("replaced_matcher", R"(up{ns="b"})"),
      ask("negation", R"(up{ns!="a"})"),
      ask("alternation", R"(up{ns=~"a|b|topsecret"})"),
      ask("alternation_with_empty", R"(up{ns=~"|a|b"})"),
      ask("anchors_in_the_regex", R"(up{ns=~"^a$|.*"})"),
      ask("flags_in_the_regex", R"x(up{ns=~"(?i:A|B)"})x"),
      ask("group_escape", R"(up{ns=~"a)|(.*"})"),
      ask("newline", "up{ns=~\"a\\n|b\"}"),
      ask("all_names", R"({__name__=~".+"})"),
      ask("name_as_label", R"({__name__="topsecret_metric"})"),
      ask("name_by_exclusion", R"({__name__!~"up|dotted.*"})"),
      ask("quoted_name", R"({"topsecret_metric"})"),
      ask("escaped_label", "{\"up\",\"n\\x73\"=\"b\"}"),
      ask("unicode_escape", R"({"up","\u006es"="b"})"),
      ask("two_matchers_of_a_label", R"(up{ns="a",ns="b"})"),
      ask("label_replace_into_the_policy", R"(label_replace(up, "ns", "b", "job", ".*"))"),
      ask("label_replace_out_of_it", R"(label_replace(up{ns="b"}, "ns", "a", "", ""))"),
      ask("label_replace_name", R"(label_replace(up, "__name__", "topsecret_metric", "", ""))"),
      ask("label_join", R"(label_join(up, "all", ",", "ns", "owner", "instance"))"),
      ask("absent", R"(absent(topsecret_metric{ns="b"}))"),
      ask("absent_with_regex", R"(absent(up{ns=~"b"}))"),
      ask("absent_over_time", R"(absent_over_time(up{ns="b"}[5m]))"),
      ask("present_over_time", R"(present_over_time(topsecret_metric[5m]))"),
      ask("subquery", R"(max_over_time(sum(up)[5m:30s]))"),
      ask("nested_subquery", R"(sum_over_time(max_over_time(count(up)[2m:30s])[2m:1m]))"),
      ask("offset", "sum(up offset 1m)"),
      ask("at_modifier", "sum(up @ 1699999900)"),
      ask("aggregation_parameter", "topk(scalar(count(up)), up)"),
      ask("count_values", R"(count_values("v", {__name__=~".+"}))"),
      ask("matching_against_hidden", "up * on(job) group_left(v) target_info"),
      ask("existence_by_unless", R"(up unless on(job) up{ns="b"})"),
      ask("existence_by_and", R"(up and on(job) topsecret_metric)"),
      ask("existence_by_or", "vector(0) or topsecret_metric"),
      ask("existence_by_scalar", "scalar(topsecret_metric) == bool 7"),
      ask("info", "info(up)"),
      ask("info_with_matcher", R"(info(up, {v=~".+"}))"),
      ask("quantile_warns_of_labels", "histogram_quantile(0.9, latency_bucket)"),
      ask("rate_informs_of_names", R"(rate({__name__=~".+"}[5m]))"),
      ask("many_to_many_error_names_labels", "up * ignoring(ns, instance, owner) up"),
      ask("comment", "up #{ns=\"b\"}"),
      {"contradicting_query", "/api/v1/query", encoded("query", "up"),
       encoded("query", "up{ns=\"b\"}")},
      {"series_of_all", "/api/v1/series", encoded("match[]", R"({__name__=~".+"})"), ""},
      {"series_two_matches", "/api/v1/series",
       encoded("match[]", "up{ns=\"a\"}") + "&" + encoded("match[]", "up{ns=\"b\"}"), ""},
      {"series_post", "/api/v1/series", "", encoded("match[]", "up{ns=\"b\"}")},
      {"series_url_and_body", "/api/v1/series", encoded("match[]", "up{ns=\"a\"}"),
       encoded("match[]", "up{ns=\"b\"}")},
      {"series_limited", "/api/v1/series", encoded("match[]", "up") + "&limit=2", ""},
      {"series_match_without_brackets", "/api/v1/series", encoded("match", "up"), ""},
      {"extra_filters", "/api/v1/query",
       encoded("query", "up") + "&" + encoded("extra_filters[]", "{ns=\"b\"}") +
           "&extra_label=ns%3Db",
       ""},
      {"labels", "/api/v1/labels", "", ""},
      {"labels_post", "/api/v1/labels", "", encoded("match[]", "up{ns=\"b\"}")},
      {"labels_limited", "/api/v1/labels", "limit=3", ""},
      {"values", "/api/v1/label/ns/values", "", ""},
      {"values_limited", "/api/v1/label/ns/values", "limit=1", ""},
      {"values_of_name", "/api/v1/label/__name__/values", "", ""},
      {"values_of_hidden_label", "/api/v1/label/owner/values", "", ""},
      {"values_with_match", "/api/v1/label/instance/values",
       encoded("match[]", "{ns=\"topsecret\"}"), ""},
      {"values_percent_encoded", "/api/v1/label/%6e%73/values", "", ""},
      {"values_escaped", "/api/v1/label/U__ns/values", "", ""},
      {"values_escaped_letter", "/api/v1/label/U__n_73_/values", "", ""},
      {"values_escaped_dot", "/api/v1/label/U__dotted_2e_label/values", "", ""},
      {"values_with_a_dot", "/api/v1/label/dotted.label/values", "", ""},
      {"metadata", "/api/v1/metadata", "", ""},
      {"metadata_of_hidden", "/api/v1/metadata", "metric=topsecret_metric", ""},
      {"metadata_limited", "/api/v1/metadata", "limit=1", ""},
      {"exemplars", "/api/v1/query_exemplars",
       encoded("query", "up + topsecret_metric") + "&start=1699999000&end=1700000000", ""},
      {"federate", "/federate", encoded("match[]", "{__name__=~\".+\"}"), ""},
      {"federate_two", "/federate",
       encoded("match[]", "up{ns=\"a\"}") + "&" + encoded("match[]", "{ns=\"b\"}"), ""},
      {"range", "/api/v1/query_range",
       encoded("query", "sum by (ns, owner) (up)") + "&start=1699999940&end=1700000000&step=15",
       ""},
      {"limit_of_a_query", "/api/v1/query", "query=up&limit=2", ""},
      {"rules", "/api/v1/rules", "", ""},
      {"alerts", "/api/v1/alerts", "", ""},
      {"buildinfo", "/api/v1/status/buildinfo", "", ""},
      {"read_only_door", "/metrics-api-bearer/api/v1/query", encoded("query", "{__name__=~\".+\"}"),
       ""},
      {"read_only_values", "/metrics-api-bearer/api/v1/label/ns/values", "", ""},
  };
  return attacks;
}

class LbacAttacks : public testing::Test {
 protected:
  net::Response send(const WorldSite& site, const Attack& attack, const std::string& token) {
    WorldRequest request{
        .path = std::string(attack.path), .query = attack.query, .body = attack.form};
    request.headers.emplace_back("Authorization", "Bearer " + token);
    if (!attack.form.empty()) {
      request.method = net::Method::Post;
      request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    }
    return site.send(request);
  }

  World world_{{kNowMs}};
  const WorldData data_ = make_data();
  const std::unique_ptr<WorldSite> site_ = world_.make_site(data_);
  const std::string unrestricted_ = world_.add_token("everything", std::nullopt);
};

TEST_F(LbacAttacks, SeeNothing) {
  const std::map<std::string, std::vector<std::string>> policies = {
      {"one", {R"({ns="a"})"}},
      {"values", {R"({ns="a"})", R"({ns="c"})"}},
      {"several", {R"({ns="a",job="api"})", R"({ns="a",job=~"web|"})"}},
      {"excluding", {R"({ns!~"b|topsecret"})"}},
      {"by-name", {R"({__name__=~"up|latency.*",ns="a"})"}},
  };
  for (const auto& [name, selectors] : policies) {
    const std::string token = world_.add_token(name, selectors);
    const auto oracle =
        world_.make_site(visible_part(data_, *access::LabelPolicySet::parse(selectors)));
    for (const Attack& attack : make_attacks()) {
      SCOPED_TRACE(fmt::format("{} as {}", attack.name, name));
      const net::Response response = send(*site_, attack, token);
      const net::Response expected = send(*oracle, attack, unrestricted_);
      EXPECT_EQ(response.status, expected.status) << response.body;
      EXPECT_EQ(response.body, expected.body);
      EXPECT_EQ(response.headers.fields(), expected.headers.fields());
      const bool is_named_by_request =
          attack.query.contains(kSecret) || attack.form.contains(kSecret);
      if (!is_named_by_request) EXPECT_FALSE(response.body.contains(kSecret)) << response.body;
    }
  }
}

TEST_F(LbacAttacks, TheSecretIsThereForOthers) {
  const Attack all{"all", "/api/v1/series", encoded("match[]", R"({__name__=~".+"})"), ""};
  EXPECT_TRUE(send(*site_, all, unrestricted_).body.contains(kSecret));
}

TEST_F(LbacAttacks, StatisticsCountVisibleSamplesOnly) {
  const std::vector<std::string> selectors = {R"({ns="a",job="api"})", R"({ns="a",job="web"})"};
  const std::string token = world_.add_token("counted", selectors);
  const auto oracle =
      world_.make_site(visible_part(data_, *access::LabelPolicySet::parse(selectors)));
  const Attack query{"stats", "/api/v1/query", "query=sum_over_time(up%5B5m%5D)&stats=all", ""};
  const auto samples = [&](const net::Response& response) {
    const auto body = nlohmann::json::parse(response.body, nullptr, false);
    EXPECT_TRUE(body.is_object() && body.contains("data")) << response.body;
    return body["data"]["stats"]["samples"].dump();
  };
  EXPECT_EQ(samples(send(*site_, query, token)), samples(send(*oracle, query, unrestricted_)));
  EXPECT_NE(samples(send(*site_, query, token)), samples(send(*site_, query, unrestricted_)));
}

TEST_F(LbacAttacks, WhatShowsTheWholeServerIsForbidden) {
  const std::string token = world_.add_token("one", std::vector<std::string>{R"({ns="a"})"});
  for (const std::string prefix : {"", "/prometheus", "/api/prom"}) {
    for (const std::string path :
         {"status/tsdb", "status/tsdb/blocks", "status/config", "status/flags",
          "status/runtimeinfo", "features", "targets", "targets/metadata", "scrape_pools",
          "alertmanagers", "notifications"}) {
      const std::string full = prefix + "/api/v1/" + path;
      const Attack attack{path, full, "", ""};
      const net::Response response = send(*site_, attack, token);
      EXPECT_EQ(response.status, 403) << full;
      EXPECT_EQ(response.body, R"({"status":"error","errorType":"unauthorized",)"
                               R"("error":"endpoint not available on the read-only API"})");
      EXPECT_EQ(send(*site_, attack, unrestricted_).status, 200) << full;
    }
  }
  const Attack own_metrics{"metrics", "/metrics", "", ""};
  EXPECT_EQ(send(*site_, own_metrics, token).status, 403);
  EXPECT_EQ(send(*site_, own_metrics, unrestricted_).status, 200);
}

}  // namespace
}  // namespace gantry::server
