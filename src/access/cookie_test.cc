#include "access/cookie.h"

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

net::Headers with_cookies(std::initializer_list<std::string_view> lines) {
  net::Headers headers;
  for (const auto line : lines) headers.add("cookie", std::string(line));
  return headers;
}

TEST(CookieTest, FindsTheOneOfItsName) {
  EXPECT_EQ(find_cookie(with_cookies({"a=1; b=2;c=3"}), "b"), "2");
  EXPECT_EQ(find_cookie(with_cookies({"a=1", "b=2"}), "b"), "2");
  EXPECT_EQ(find_cookie(with_cookies({"b=x=y"}), "b"), "x=y");
  EXPECT_EQ(find_cookie(with_cookies({"b="}), "b"), "");
}

TEST(CookieTest, NamesAreWholeAndCaseSensitive) {
  EXPECT_EQ(find_cookie(with_cookies({"bb=1; B=2; =3; b"}), "b"), std::nullopt);
  EXPECT_EQ(find_cookie({}, "b"), std::nullopt);
}

TEST(CookieTest, TwoDifferentValuesAreNone) {
  EXPECT_EQ(find_cookie(with_cookies({"b=1; b=2"}), "b"), std::nullopt);
  EXPECT_EQ(find_cookie(with_cookies({"b=1; b=1"}), "b"), "1");
}

TEST(CookieTest, IsWrittenWithEveryGuard) {
  EXPECT_EQ(format_cookie({.name = "__Host-x", .value = "v"}),
            "__Host-x=v; Path=/; HttpOnly; SameSite=Lax; Secure");
  EXPECT_EQ(
      format_cookie(
          {.name = "x", .value = "v", .transport = CookieTransport::Plain, .max_age_seconds = 60}),
      "x=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
  EXPECT_EQ(format_expired_cookie("x", CookieTransport::Secure),
            "x=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0");
}

}  // namespace
}  // namespace gantry::access
