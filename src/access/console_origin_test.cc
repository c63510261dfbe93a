#include "access/console_origin.h"

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

struct SourceCase {
  std::string_view name, method, site, origin, referer, content_type, body;
  std::string_view refused;  ///< The reason; "" when it passes.
};

class SourceTest : public testing::TestWithParam<SourceCase> {};

net::Request request_of(const SourceCase& c) {
  net::Request request;
  request.method = c.method == "GET" ? net::Method::Get : net::Method::Post;
  const auto add = [&](std::string name, std::string_view value) {
    if (!value.empty()) request.headers.add(std::move(name), std::string(value));
  };
  add("Sec-Fetch-Site", c.site);
  add("Origin", c.origin);
  add("Referer", c.referer);
  add("Content-Type", c.content_type);
  request.body = c.body;
  return request;
}

TEST_P(SourceTest, PassesOrSaysWhy) {
  const ConsoleOrigin console({.public_url = "https://Gantry.example.com:443/base"});
  const auto checked = console.check_source(request_of(GetParam()));
  EXPECT_EQ(checked ? "" : checked.error().reason, GetParam().refused);
  if (!checked) EXPECT_EQ(checked.error().status, 403);
}

constexpr std::string_view kOurs = "https://gantry.example.com";
constexpr std::string_view kJson = "application/json; charset=utf-8";

INSTANTIATE_TEST_SUITE_P(
    Requests, SourceTest,
    testing::Values(
        SourceCase{"reading_is_free", "GET", "cross-site", "https://evil.example", "", "", "", ""},
        SourceCase{"same_origin", "POST", "same-origin", "", "", kJson, "{}", ""},
        SourceCase{"address_bar", "POST", "none", "", "", kJson, "{}", ""},
        SourceCase{"cross_site", "POST", "cross-site", kOurs, "", kJson, "{}", "csrf_site"},
        SourceCase{"sibling", "POST", "same-site", kOurs, "", kJson, "{}", "csrf_site"},
        SourceCase{"origin", "POST", "", kOurs, "", kJson, "{}", ""},
        SourceCase{"wrong_origin", "POST", "", "https://evil.example", "", kJson, "{}",
                   "csrf_origin"},
        SourceCase{"origin_as_prefix", "POST", "", "https://gantry.example.com.evil.example", "",
                   kJson, "{}", "csrf_origin"},
        SourceCase{"null_origin", "POST", "", "null", "", kJson, "{}", "csrf_origin"},
        SourceCase{"plain_origin", "POST", "", "http://gantry.example.com", "", kJson, "{}",
                   "csrf_origin"},
        SourceCase{"referer", "POST", "", "", "https://gantry.example.com/login?x", kJson, "{}",
                   ""},
        SourceCase{"wrong_referer", "POST", "", "", "https://evil.example/gantry.example.com",
                   kJson, "{}", "csrf_origin"},
        SourceCase{"silent_old_browser", "POST", "", "", "", kJson, "{}", "csrf_no_origin"},
        SourceCase{"form", "POST", "same-origin", "", "", "application/x-www-form-urlencoded",
                   "a=1", "csrf_content_type"},
        SourceCase{"text", "POST", "same-origin", "", "", "text/plain", "{}", "csrf_content_type"},
        SourceCase{"no_body", "POST", "same-origin", "", "", "", "", ""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(ConsoleOriginTest, PlainHttpIsForThisMachineOnly) {
  net::Request request;
  request.headers.add("Host", "localhost:9490");
  request.peer_address = "127.0.0.1";
  EXPECT_EQ(ConsoleOrigin({}).check_transport(request).error().reason, "plain_http");
  const ConsoleOrigin dev({.insecure_dev = true});
  EXPECT_TRUE(dev.check_transport(request));
  EXPECT_EQ(dev.cookie_name(request, "session"), "gantry_dev_session");
  EXPECT_EQ(dev.origin(request), "http://localhost:9490");
  request.peer_address = "10.0.0.7";
  EXPECT_FALSE(dev.check_transport(request));
  request.is_tls = true;
  EXPECT_TRUE(ConsoleOrigin({}).check_transport(request));
  EXPECT_EQ(ConsoleOrigin({}).cookie_name(request, "session"), "__Host-gantry_session");
  request.is_tls = false;
  EXPECT_TRUE(ConsoleOrigin({.public_url = "https://g.example"}).check_transport(request))
      << "the proxy in front speaks TLS";
}

TEST(ConsoleOriginTest, ReturnsOnlyToItself) {
  EXPECT_EQ(safe_return_path("/explore?q=1#x"), "/explore?q=1#x");
  for (const std::string_view bad :
       {"", "explore", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb",
        "/a\tb", "\\/evil", "javascript:alert(1)"})
    EXPECT_EQ(safe_return_path(bad), "/") << bad;
}

}  // namespace
}  // namespace gantry::access
