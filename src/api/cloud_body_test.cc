#include <string>

#include <gtest/gtest.h>

#include "api/cloud_internal.h"
#include "core/time.h"

namespace gantry::api {
namespace {

struct BodyCase {
  std::string_view name;
  std::string body;
  std::string_view expected;  ///< JSON, or "error: …".
};

class CloudBodyTest : public testing::TestWithParam<BodyCase> {};

TEST_P(CloudBodyTest, IsReadOrRefused) {
  const auto body = parse_cloud_body(GetParam().body);
  EXPECT_EQ(body ? body->dump() : "error: " + body.error().message, GetParam().expected);
}

std::string nested(int depth) {
  std::string text = R"({"a":)";
  for (int i = 1; i < depth; ++i) text += '[';
  for (int i = 1; i < depth; ++i) text += ']';
  return text + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, CloudBodyTest,
    testing::Values(
        BodyCase{"object", R"({"a":1})", R"({"a":1})"}, BodyCase{"absent", "", "{}"},
        BodyCase{"blank", " \r\n", "{}"},
        BodyCase{"array", "[]", "error: the body must be a JSON object"},
        BodyCase{"broken", R"({"a":)", "error: the body is not valid JSON"},
        BodyCase{"two_values", "{}{}", "error: the body is not valid JSON"},
        BodyCase{"not_utf8", "{\"a\":\"\xff\"}", "error: the body is not valid JSON"},
        BodyCase{"duplicate", R"({"a":1,"a":2})", "error: a: is in the body twice"},
        BodyCase{"duplicate_inside", R"({"b":{"a":1,"a":2}})", "error: a: is in the body twice"},
        BodyCase{"same_key_in_two_objects", R"([{"a":1},{"a":2}])",
                 "error: the body must be a JSON object"},
        BodyCase{"too_deep", nested(100), "error: the body is nested deeper than 32 levels"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(BodyReader, CollectsWhatIsWrong) {
  const Json body = Json::parse(
      R"({"text":5,"flag":"yes","time":"soon","list":["a",1],"object":[],"nothing":null})");
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "x", problems);
  EXPECT_EQ(reader.required_text("missing"), "");
  EXPECT_FALSE(reader.text("text"));
  EXPECT_FALSE(reader.boolean("flag"));
  EXPECT_FALSE(reader.time("time"));
  EXPECT_EQ(reader.texts("list"), std::vector<std::string>{"a"});
  EXPECT_EQ(reader.object("object"), nullptr);
  EXPECT_FALSE(reader.text("nothing"));
  EXPECT_TRUE(reader.is_null("nothing"));
  std::string paths;
  for (const access::FieldProblem& problem : problems) paths += problem.path + " ";
  EXPECT_EQ(paths, "x.missing x.text x.flag x.time x.list[1] x.object ");
}

TEST(BodyReader, TakesNumbersAsNumbersAndAsText) {
  const Json body = Json::parse(
      R"({"a":5,"b":"6","max":18446744073709551615,"neg":-1,"frac":1.5,"text":"6x","empty":"","big":"18446744073709551616","no":null})");
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  EXPECT_EQ(reader.number("a"), 5U);
  EXPECT_EQ(reader.number("b"), 6U);
  EXPECT_EQ(reader.number("max"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_FALSE(reader.number("no"));
  EXPECT_FALSE(reader.number("missing"));
  EXPECT_TRUE(problems.empty());
  for (const std::string_view key : {"neg", "frac", "text", "empty", "big"})
    EXPECT_FALSE(reader.number(key)) << key;
  EXPECT_EQ(problems.size(), 5U);
}

TEST(RequestRate, RefusesUntilTheNextMinute) {
  ManualClock clock({std::int64_t{60'000} * 1000 + 15'000});
  RequestRate rate(clock, 2);
  EXPECT_EQ(rate.take("a"), 0);
  EXPECT_EQ(rate.take("a"), 0);
  EXPECT_EQ(rate.take("a"), 45);
  EXPECT_EQ(rate.take("b"), 0) << "each asker has their own";
  clock.advance({44'999});
  EXPECT_EQ(rate.take("a"), 1);
  clock.advance({1});
  EXPECT_EQ(rate.take("a"), 0);
}

TEST(RequestRate, ZeroIsNoLimit) {
  ManualClock clock({0});
  RequestRate rate(clock, 0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(rate.take("a"), 0);
}

TEST(CloudError, HasFourMembersAndFields) {
  net::Request request;
  request.request_id = "r1";
  const auto response =
      cloud_error_response(request, access::ControlError(Code::InvalidArgument, "name: bad",
                                                         {{.path = "name", .reason = "bad"}}));
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.body,
            R"({"code":"InvalidArgument","message":"name: bad","requestId":"r1","statusCode":409,)"
            R"("fields":[{"path":"name","reason":"bad"}]})");
  const auto internal =
      cloud_error_response(request, ControlError(Code::Internal, "disk /secret/path failed"));
  EXPECT_EQ(internal.status, 500);
  EXPECT_EQ(internal.body.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace gantry::api
