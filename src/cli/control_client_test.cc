#include <string>
#include <utility>

#include "cli/control_client_internal.h"
#include <gtest/gtest.h>

namespace gantry::cli {
namespace {

Json policy() {
  return Json::parse(R"({
    "name": "team",
    "scopes": ["metrics:read", "logs:read"],
    "realms": [
      {"type": "stack", "identifier": "1000000",
       "labelPolicies": [{"selector": "{team=\"a\"}"}, {"selector": "{team=\"b\"}"}]},
      {"type": "org", "identifier": "1", "labelPolicies": []}],
    "conditions": {"allowedSubnets": ["10.0.0.0/8"]},
    "displayName": null})");
}

TEST(FormatObject, ShowsOneMemberALineAndWhatRealmsShow) {
  EXPECT_EQ(format_object(policy()),
            "name: team\n"
            "scopes: metrics:read,logs:read\n"
            "realms: stack:1000000 [{team=\"a\"} or {team=\"b\"}],org:1\n"
            "conditions: {\"allowedSubnets\":[\"10.0.0.0/8\"]}\n"
            "displayName: \n");
}

TEST(FormatTable, AlignsColumnsAndMarksWhatIsMissing) {
  Json items = Json::array({policy()});
  items.push_back({{"name", "longer-name"}, {"scopes", Json::array()}});
  EXPECT_EQ(
      format_table(items, {{"NAME", "name"}, {"SCOPES", "scopes"}, {"REALMS", "realms"}}),
      "NAME         SCOPES                  REALMS\n"
      "team         metrics:read,logs:read  stack:1000000 [{team=\"a\"} or {team=\"b\"}],org:1\n"
      "longer-name  -                       -\n");
}

TEST(DescribeRefusal, FindsTheMostExactMessage) {
  const auto message = [](int status, std::string body) {
    return describe_refusal({.status = status, .body = std::move(body)}).message;
  };
  EXPECT_EQ(message(409, R"({"code":"Conflict","message":"taken"})"), "taken");
  EXPECT_EQ(message(400, R"({"error":"bad"})"), "bad");
  EXPECT_EQ(message(404, R"({"error":{"code":404,"message":"Resource not found"}})"),
            "Resource not found");
  EXPECT_EQ(message(400, R"({"error":{"code":400,"message":"Invalid request parameters",)"
                         R"("metadata":{"reason":"type: is required"}}})"),
            "type: is required");
  EXPECT_EQ(message(400, R"({"error":{"code":400,"message":"Invalid request parameters",)"
                         R"("metadata":{"error_type":"connection_test_failed","test":)"
                         R"({"ok":false,"error":{"code":"dns","message":"no such host"}}}}})"),
            "no such host");
  EXPECT_EQ(message(502, "<html>"), "HTTP 502: <html>");
}

}  // namespace
}  // namespace gantry::cli
