// The bypass attempts of tests/lbac/cases.json, each against the real router, gate and store, below
// every path at which the Prometheus API is mounted.

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "server/testing/lbac_world.h"

namespace gantry::server {
namespace {

using nlohmann::json;

constexpr std::string_view kReadOnlyMount = "/metrics-api-bearer";

json read_cases() {
  std::ifstream file(GANTRY_LBAC_CASES);
  json cases = json::parse(file, nullptr, false);
  EXPECT_FALSE(cases.is_discarded()) << GANTRY_LBAC_CASES;
  return cases;
}

telemetry::Labels labels_of(const json& object) {
  std::vector<telemetry::Label> labels;
  for (const auto& [name, value] : object.items())
    labels.push_back({.name = name, .value = value.get<std::string>()});
  return telemetry::make_labels(std::move(labels));
}

WorldData dataset_of(const json& cases) {
  const std::int64_t now_ms = cases["time"].get<std::int64_t>() * 1000;
  WorldData data;
  for (const json& metric : cases["dataset"]["metrics"]) {
    WorldSeries series{.labels = labels_of(metric["labels"])};
    for (std::int64_t time = now_ms - 3'600'000; time <= now_ms; time += 15'000)
      series.samples.emplace_back(time, metric["value"].get<double>());
    data.series.push_back(std::move(series));
  }
  for (const json& exemplar : cases["dataset"]["exemplars"]) {
    const auto series =
        std::ranges::find(data.series, labels_of(exemplar["series"]), &WorldSeries::labels);
    series->exemplars.emplace_back(exemplar["time"].get<std::int64_t>() * 1000,
                                   labels_of(exemplar["labels"]));
  }
  for (const json& family : cases["dataset"]["metadata"])
    data.families.push_back({.name = family["metric"], .help = family["help"]});
  return data;
}

std::optional<std::vector<std::string>> selectors_of(const json& policy) {
  if (policy.is_null()) return std::nullopt;
  return policy.get<std::vector<std::string>>();
}

/// A policy's name as access policies have them.
std::string token_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '_' ? '-' : static_cast<char>(std::tolower(c));
  return out;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(const json& object) {
  Pairs pairs;
  for (const auto& [name, value] : object.items()) {
    if (value.is_array()) {
      for (const json& one : value) pairs.emplace_back(name, one.get<std::string>());
    } else {
      pairs.emplace_back(name, value.get<std::string>());
    }
  }
  return pairs;
}

WorldRequest request_of(const json& spec, std::string_view mount, const std::string& secret,
                        const std::string& unrestricted_secret) {
  WorldRequest request;
  if (spec.value("method", "GET") == "POST") request.method = net::Method::Post;
  request.path = std::string(mount) + spec.value("raw_path", spec.value("path", ""));
  request.query = spec.contains("raw_query")
                      ? spec["raw_query"].get<std::string>()
                      : encode_parameters(pairs_of(spec.value("params", json::object())));
  if (spec.contains("form")) {
    request.body = encode_parameters(pairs_of(spec["form"]));
    request.headers.emplace_back("Content-Type",
                                 spec.value("content_type", "application/x-www-form-urlencoded"));
  } else if (spec.contains("body")) {
    request.body = spec["body"];
    request.headers.emplace_back("Content-Type", spec["content_type"]);
  }
  bool has_credentials = false;
  const auto add_header = [&](std::string name, std::string value) {
    has_credentials = has_credentials || name == "Authorization";
    if (value == "Bearer <token A>") value = "Bearer " + secret;
    if (value == "Bearer <token none>") value = "Bearer " + unrestricted_secret;
    request.headers.emplace_back(std::move(name), std::move(value));
  };
  for (const auto& [name, value] : pairs_of(spec.value("headers", json::object())))
    add_header(name, value);
  for (const json& header : spec.value("headers_list", json::array()))
    add_header(header[0], header[1]);
  if (!has_credentials) add_header("Authorization", "Bearer " + secret);
  return request;
}

/// Null when there is none.
json member(const json& object, const char* name) {
  return object.is_object() ? object.value(name, json()) : json();
}

std::multiset<std::string> texts_of(const json& list) {
  std::multiset<std::string> texts;
  for (const json& item : list) texts.insert(item.dump());
  return texts;
}

/// The labels of each sample line of a text exposition.
std::multiset<std::string> exposed_series(const std::string& body) {
  std::multiset<std::string> series;
  std::size_t start = 0;
  while (start < body.size()) {
    const std::size_t end = body.find('\n', start);
    const std::string line = body.substr(start, end - start);
    start = end == std::string::npos ? body.size() : end + 1;
    if (line.empty() || line.starts_with('#')) continue;
    json labels;
    const std::size_t open = line.find('{');
    const std::size_t close = line.rfind('}');
    labels["__name__"] = line.substr(0, open);
    for (std::size_t at = open + 1; at < close;) {
      const std::size_t equals = line.find("=\"", at);
      const std::size_t quote = line.find('"', equals + 2);
      labels[line.substr(at, equals - at)] = line.substr(equals + 2, quote - equals - 2);
      at = quote + 2;
    }
    series.insert(labels.dump());
  }
  return series;
}

class LbacCases : public testing::Test {
 protected:
  LbacCases()
      : cases_(read_cases()),
        data_(dataset_of(cases_)),
        world_({cases_["time"].get<std::int64_t>() * 1000}),
        site_(world_.make_site(data_)) {
    for (const auto& [name, selectors] : cases_["policies"].items())
      secrets_[name] = world_.add_token(token_name(name), selectors_of(selectors));
  }

  /// The secret of a case's token.
  std::string secret_of(const json& one) {
    const std::string policy = one["policy"];
    if (!one["request"].contains("policy_attributes")) return secrets_.at(policy);
    const std::string attributes = one["request"]["policy_attributes"].dump();
    const std::string name = token_name(policy) + "-with-attributes";
    if (!secrets_.contains(name))
      secrets_[name] = world_.add_token(name, selectors_of(cases_["policies"][policy]), attributes);
    return secrets_[name];
  }

  net::Response ask_as(const std::string& policy, const std::string& query) {
    return site_->send({.path = "/api/v1/query",
                        .query = encode_parameters({{"query", query}}),
                        .headers = {{"Authorization", "Bearer " + secrets_.at(policy)}}});
  }

  /// The store that never had what the case's policy hides.
  const WorldSite& filtered_site(const json& one) {
    std::vector<std::string> selectors =
        *selectors_of(cases_["policies"][one["policy"].get<std::string>()]);
    auto visible = *access::LabelPolicySet::parse(selectors);
    if (one["request"].contains("policy_attributes")) {
      const std::vector<std::string> header = {R"({ns="b"})"};
      visible =
          access::LabelPolicySet::intersection(visible, *access::LabelPolicySet::parse(header));
    }
    const std::string key = access::visibility_key(
        access::Visibility::only(std::make_shared<const access::LabelPolicySet>(visible)));
    auto& site = filtered_[key];
    if (!site) site = world_.make_site(visible_part(data_, visible));
    return *site;
  }

  net::Response run_sequence(const json& one, std::string_view mount) {
    net::Response last;
    for (const json& step : one["request"]["sequence"]) {
      if (step.contains("control")) {
        apply(step["control"]);
      } else if (step.contains("wait_s")) {
        world_.clock().advance({step["wait_s"].get<std::int64_t>() * 1000});
      } else {
        std::string secret;
        if (step.contains("as_inline_policy")) {
          if (!secrets_.contains("inline"))
            secrets_["inline"] = world_.add_token("inline", selectors_of(step["as_inline_policy"]));
          secret = secrets_["inline"];
        } else {
          secret = secrets_.at(step["as"]);
        }
        last = site_->send(request_of(step["request"], mount, secret, secrets_.at("none")));
      }
    }
    world_.clock().set({cases_["time"].get<std::int64_t>() * 1000});
    world_.store_selectors("a", R"(["{ns=\"a\"}"])");
    return last;
  }

  void apply(const std::string& control) {
    if (control == R"(update policy A to {ns="nosuch"})") {
      world_.store_selectors("a", R"(["{ns=\"nosuch\"}"])");
    } else if (control == "corrupt stored selector of policy A") {
      world_.store_selectors("a", R"(["{ns="])");
    } else {
      ADD_FAILURE() << "unknown control step: " << control;
    }
  }

  void run(const json& one, const std::string& mount) {
    const json& request = one["request"];
    const json& expect = one["expect"];
    if (request.contains("sequence")) {
      const net::Response last = run_sequence(one, mount);
      check_status(expect, last, mount);
      check_content(expect, last);
      return;
    }
    const WorldRequest sent = request_of(request, mount, secret_of(one), secrets_.at("none"));
    const net::Response response = site_->send(sent);
    check_status(expect, response, mount);
    // Not mounted here: there is nothing more to look at.
    if (response.status == 404 && !expects_status(expect, 404)) return;
    check_content(expect, response);
    if (!expect.value("equals_filtered_db", false)) return;
    const WorldRequest unrestricted =
        request_of(request, mount, secrets_.at("none"), secrets_.at("none"));
    const net::Response oracle = filtered_site(one).send(unrestricted);
    EXPECT_EQ(response.status, oracle.status);
    EXPECT_EQ(response.body, oracle.body);
    EXPECT_EQ(response.headers.fields(), oracle.headers.fields());
  }

  static bool expects_status(const json& expect, int status) {
    if (expect.contains("status")) return expect["status"] == status;
    const json& any = expect["status_one_of"];
    return std::ranges::find(any, json(status)) != any.end();
  }

  /// An endpoint that exists below the read-only mount only, to say 403, is unknown elsewhere.
  static void check_status(const json& expect, const net::Response& response,
                           std::string_view mount) {
    const bool may_be_unknown = mount != kReadOnlyMount && expects_status(expect, 403);
    if (response.status == 404 && may_be_unknown) return;
    EXPECT_TRUE(expects_status(expect, response.status)) << response.status << " " << response.body;
  }

  static void check_content(const json& expect, const net::Response& response) {
    for (const json& text : expect.value("must_not_contain", json::array())) {
      EXPECT_EQ(response.body.find(text.get<std::string>()), std::string::npos)
          << text << " in " << response.body;
      for (const auto& [name, value] : response.headers.fields())
        EXPECT_EQ(value.find(text.get<std::string>()), std::string::npos) << name;
    }
    for (const auto& [name, value] : pairs_of(expect.value("headers", json::object())))
      EXPECT_TRUE(response.headers.find(name).starts_with(value)) << response.headers.find(name);
    if (expect.contains("exposition_series_unordered"))
      EXPECT_EQ(exposed_series(response.body), texts_of(expect["exposition_series_unordered"]));
    const json body = json::parse(response.body, nullptr, false);
    if (body.is_discarded()) return;
    if (expect.contains("error")) EXPECT_EQ(member(body, "error"), expect["error"]);
    if (expect.contains("errorType")) EXPECT_EQ(member(body, "errorType"), expect["errorType"]);
    if (expect.contains("data")) EXPECT_EQ(member(body, "data"), expect["data"]);
    if (expect.contains("data_unordered"))
      EXPECT_EQ(texts_of(member(body, "data")), texts_of(expect["data_unordered"]));
    if (expect.contains("data_keys")) {
      json keys = json::array();
      for (const auto& [key, value] : member(body, "data").items()) keys.push_back(key);
      EXPECT_EQ(keys, expect["data_keys"]);
    }
    if (expect.contains("warnings")) EXPECT_EQ(member(body, "warnings"), expect["warnings"]);
    if (expect.value("warnings_absent", false)) EXPECT_FALSE(body.contains("warnings"));
    if (expect.contains("series_count"))
      EXPECT_EQ(member(member(body, "data"), "result").size(),
                expect["series_count"].get<std::size_t>());
    if (expect.contains("result")) check_result(expect["result"], expect, member(body, "data"));
    if (expect.contains("result_if_200") && response.status == 200)
      check_result(expect["result_if_200"], expect, member(body, "data"));
  }

  static void check_result(const json& expected, const json& expect, const json& data) {
    if (expect.value("result_type", "vector") == "scalar") {
      ASSERT_EQ(member(data, "resultType"), "scalar");
      EXPECT_EQ(member(data, "result").at(1), expected);
      return;
    }
    json actual = json::array();
    const json found = member(data, "result");
    for (const json& series : found)
      actual.push_back({{"metric", series["metric"]}, {"value", series["value"][1]}});
    EXPECT_EQ(texts_of(actual), texts_of(expected));
  }

  json cases_;
  WorldData data_;
  World world_;
  std::unique_ptr<WorldSite> site_;
  std::map<std::string, std::unique_ptr<WorldSite>> filtered_;
  std::map<std::string, std::string> secrets_;
  const std::vector<std::string> mounts_ = {"", "/prometheus", "/api/prom",
                                            std::string(kReadOnlyMount)};
};

int failure_count() {
  return testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

TEST_F(LbacCases, MetricsHold) {
  int passed = 0;
  int failed = 0;
  int without_traces = 0;
  for (const json& one : cases_["cases"]) {
    const std::string surface = one["surface"];
    if (surface == "policy") continue;
    if (surface != "promql" && surface != "http") {
      ++without_traces;  // api/tempo_lbac_test.cc asks them
      continue;
    }
    const int failures_before = failure_count();
    for (const std::string& mount : mounts_) {
      SCOPED_TRACE(fmt::format("{} below \"{}\": {}", one["id"].get<std::string>(), mount,
                               one["why"].get<std::string>()));
      run(one, mount);
    }
    (failure_count() == failures_before ? passed : failed) += 1;
  }
  fmt::print("lbac cases: {} passed, {} failed, skipped {} about traces, {} mounts\n", passed,
             failed, without_traces, mounts_.size());
  EXPECT_GT(passed, 100);
  EXPECT_EQ(failed, 0);
}

/// What saving an access policy checks of its label policies; the text of the refusal, or "".
std::string refusal_of(const json& request) {
  std::vector<std::string> selectors;
  for (const json& policy : request["labelPolicies"]) selectors.push_back(policy["selector"]);
  const auto policies = access::LabelPolicySet::parse(selectors);
  if (!policies) return policies.error().message;
  const auto scopes =
      access::check_restricted_scopes(request["scopes"].get<std::vector<std::string>>());
  return scopes ? "" : scopes.error().message;
}

TEST_F(LbacCases, PoliciesHold) {
  int passed = 0;
  for (const json& one : cases_["cases"]) {
    if (one["surface"] != "policy") continue;
    SCOPED_TRACE(
        fmt::format("{}: {}", one["id"].get<std::string>(), one["why"].get<std::string>()));
    const json& request = one["request"];
    const json& expect = one["expect"];
    ++passed;
    if (expect["kind"] == "denied") {
      // Who may read a part cannot make a policy for everything.
      const auto own = access::read_visibility(selectors_of(cases_["policies"]["A"]), "A");
      EXPECT_TRUE(request["labelPolicies"].empty());
      EXPECT_FALSE(access::is_within(access::Visibility::everything(), own));
      continue;
    }
    const std::string refusal = refusal_of(request);
    EXPECT_EQ(refusal.empty(), expect["kind"] == "allowed") << refusal;
    if (expect.contains("message")) EXPECT_EQ(json(refusal), expect["message"]);
    if (!expect.contains("warnings_min")) continue;
    std::vector<std::string> selectors;
    for (const json& policy : request["labelPolicies"]) selectors.push_back(policy["selector"]);
    const auto warnings =
        access::label_policy_warnings(*access::LabelPolicySet::parse(selectors), std::nullopt);
    EXPECT_GE(warnings.size(), expect["warnings_min"].get<std::size_t>());
  }
  fmt::print("lbac cases: {} about policies\n", passed);
  EXPECT_GT(passed, 10);
}

TEST_F(LbacCases, AnUnreadablePolicyIsCounted) {
  world_.store_selectors("a", R"(["{ns="])");
  const net::Response response = ask_as("A", "1");
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.body.find("ns="), std::string::npos);
  EXPECT_EQ(site_->registry()
                .counter("gantry_access_refused_total", "", {{"reason", "label_policy_error"}})
                .value(),
            1U);
}

}  // namespace
}  // namespace gantry::server
