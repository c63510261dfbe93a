#include "api/pipelines.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/testing/control_api_fixture.h"
#include "pipeline/stack_rule_rows.h"

namespace gantry::api {
namespace {

using access::Scope;
using nlohmann::json;
using testing::Answer;

constexpr std::string_view kPath = "/api/v1/observability/pipeline";
constexpr std::string_view kNoGo =
    R"([{"source_labels":["__name__"],"regex":"go_.*","action":"drop"}])";

class PipelinesApiTest : public testing::ControlApiFixture {
 protected:
  PipelinesApiTest() : ControlApiFixture(kPath, "write") {
    allow("write", {Scope::PipelinesRead, Scope::PipelinesWrite}, whole_stack());
    allow("read", {Scope::PipelinesRead}, whole_stack());
    allow("none", {Scope::MetricsRead, Scope::DestinationsWrite}, whole_stack());
    add_pipeline_routes(router_, services_);
  }

  Answer get() { return send(net::Method::Get, "", {}, "read"); }

  static std::string relabel(std::string_view more = "") {
    return fmt::format(R"({{"metric_relabel_configs":{}{}}})", kNoGo, more);
  }

  int refreshes_ = 0;
  Result<void> refreshed_;
  PipelineServices services_{.gate = gate_, .control = plane_, .rate = rate_, .refresh = [this] {
                               ++refreshes_;
                               return refreshed_;
                             }};
};

TEST_F(PipelinesApiTest, ShowsWhatCanBeSet) {
  const Answer answer = get();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      answer.body["data"],
      json::parse(
          R"({"workspace_id":"1000000","sampling_rate":1.0,"filter_rules":null,)"
          R"("attribute_rules":null,"privacy_mode":false,"metric_relabel_configs":null,"stream_aggregation":null,"version":0,)"
          R"("updated_at":null})"));
}

TEST_F(PipelinesApiTest, PutReplacesAndPatchChanges) {
  Answer answer = send(net::Method::Put, "", relabel(R"(,"sampling_rate":0.5)"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body["data"]["version"], 1);
  EXPECT_EQ(answer.body["data"]["metric_relabel_configs"], json::parse(kNoGo));
  EXPECT_EQ(refreshes_, 1) << "applied before the answer";
  answer = send(net::Method::Patch, "", R"({"privacy_mode":true})");
  EXPECT_EQ(answer.body["data"]["sampling_rate"], 0.5);
  EXPECT_EQ(answer.body["data"]["privacy_mode"], true);
  answer = send(net::Method::Put, "?workspace_id=main", R"({"privacy_mode":true})");
  EXPECT_EQ(answer.body["data"]["sampling_rate"], 1.0);
  EXPECT_EQ(answer.body["data"]["metric_relabel_configs"], nullptr);
  EXPECT_EQ(answer.body["data"]["version"], 3);
  EXPECT_EQ(get().body, answer.body);
  answer = send(net::Method::Delete, "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body["data"]["privacy_mode"], false);
  EXPECT_EQ(answer.body["data"]["version"], 4);
}

TEST_F(PipelinesApiTest, WhatWasReadCanBeSentBackOnce) {
  ASSERT_EQ(send(net::Method::Put, "", relabel()).status, 200);
  json seen = get().body["data"];
  seen["sampling_rate"] = 0.5;
  EXPECT_EQ(send(net::Method::Put, "", seen.dump()).status, 200);
  seen["sampling_rate"] = 0.25;
  const Answer late = send(net::Method::Put, "", seen.dump());
  EXPECT_EQ(late.status, 409);
  EXPECT_EQ(late.body["error"]["metadata"]["reason"],
            "somebody else has just changed the rules of the stack");
  EXPECT_EQ(get().body["data"]["sampling_rate"], 0.5);
}

TEST_F(PipelinesApiTest, NamesTheFieldToMend) {
  const Answer answer = send(net::Method::Put, "", R"({"sampling_rate":0,"privacy_mode":1})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body["error"]["message"], "Invalid request parameters");
  EXPECT_EQ(answer.body["error"]["metadata"]["fields"],
            json::parse(R"([{"path":"sampling_rate","reason":"must be from 0.0001 to 1"},)"
                        R"({"path":"privacy_mode","reason":"must be true or false"}])"));
  EXPECT_EQ(send(net::Method::Patch, "", R"({"sampling":1})").status, 400);
  EXPECT_EQ(send(net::Method::Put, "", R"({"workspace_id":"nobody"})").status, 400);
  EXPECT_EQ(refreshes_, 0);
  EXPECT_EQ(get().body["data"]["version"], 0);
}

TEST_F(PipelinesApiTest, AsksForItsScopes) {
  for (const auto method : {net::Method::Put, net::Method::Patch, net::Method::Delete})
    EXPECT_EQ(send(method, "", "{}", "read").status, 403);
  EXPECT_EQ(send(net::Method::Get, "", {}, "none").status, 403);
  EXPECT_EQ(send(net::Method::Post, "/test", "{}", "none").status, 403);
  EXPECT_EQ(send(net::Method::Get, "", {}, "").status, 401);
}

TEST_F(PipelinesApiTest, WhatIsSavedIsSavedThoughItIsNotAppliedYet) {
  refreshed_ = fail(Code::Unavailable, "the database is away");
  EXPECT_EQ(send(net::Method::Put, "", relabel()).status, 200);
  EXPECT_EQ(get().body["data"]["version"], 1);
}

TEST_F(PipelinesApiTest, TriesRulesAndKeepsNothing) {
  ASSERT_EQ(send(net::Method::Put, "", relabel()).status, 200);
  const std::string body =
      R"({"rules":{"privacy_mode":true},"samples":[{"labels":{"__name__":"go_gc"},"value":1},)"
      R"({"labels":{"__name__":"up","job":"a"}}],"spans":{"resourceSpans":[{"scopeSpans":[{)"
      R"("spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",)"
      R"("name":"chat","attributes":[{"key":"gen_ai.prompt","value":{"stringValue":"hush"}},)"
      R"({"key":"gen_ai.request.model","value":{"stringValue":"m"}}]}]}]}]}})";
  const Answer answer = send(net::Method::Post, "/test", body, "read");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json& data = answer.body["data"];
  EXPECT_EQ(data["samples"],
            json::parse(R"([{"labels":null},{"labels":{"__name__":"up","job":"a"}}])"));
  EXPECT_EQ(data["spans"]["filtered"], 0);
  EXPECT_EQ(data["spans"]["sampled_out"], 0);
  const json& span = data["spans"]["kept"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
  EXPECT_EQ(span["name"], "chat");
  EXPECT_EQ(span["attributes"].size(), 1U);
  EXPECT_FALSE(answer.body.dump().contains("hush"));
  EXPECT_EQ(get().body["data"]["privacy_mode"], false);
  EXPECT_EQ(refreshes_, 1);
}

TEST_F(PipelinesApiTest, ATrialNamesTheFieldToMend) {
  const auto reason_of = [&](std::string body) -> std::string {
    const Answer answer = send(net::Method::Post, "/test", std::move(body));
    EXPECT_EQ(answer.status, 400);
    return answer.body["error"]["metadata"]["reason"];
  };
  EXPECT_EQ(reason_of("{}"), "spans: or samples are required");
  EXPECT_EQ(reason_of(R"({"samples":[],"span":{}})"), "span: is unknown");
  EXPECT_EQ(reason_of(R"({"samples":{}})"), "samples: must be an array of at most 1000");
  EXPECT_EQ(reason_of(R"({"samples":[{"labels":{"a":1}}]})"),
            "samples[0].labels.a: must be a string");
  EXPECT_EQ(reason_of(R"({"samples":[1]})"), "samples[0]: must be an object with labels");
  EXPECT_TRUE(reason_of(R"({"spans":[]})").starts_with("spans: "));
  EXPECT_EQ(reason_of(R"({"samples":[],"rules":{"privacy_mode":1}})"),
            "privacy_mode: must be true or false");
}

}  // namespace
}  // namespace gantry::api
