#include <gtest/gtest.h>

#include "net/router.h"

namespace gantry::net {
namespace {

struct PathCase {
  std::string_view name, raw, expected;
};

class NormalisePath : public testing::TestWithParam<PathCase> {};

TEST_P(NormalisePath, DecodesOrRefuses) {
  const auto path = normalise_path(GetParam().raw);
  EXPECT_EQ(path ? *path : "error: " + path.error().message, GetParam().expected);
  if (!path) {
    EXPECT_EQ(path.error().code, Code::InvalidArgument);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Paths, NormalisePath,
    testing::Values(
        PathCase{"root", "/", "/"}, PathCase{"plain", "/api/v1/query", "/api/v1/query"},
        PathCase{"trailing_slash", "/a/", "/a/"}, PathCase{"decoded_once", "/a%2562", "/a%62"},
        PathCase{"escape_in_segment", "/label/a%20b%C3%A9/values", "/label/a b\xc3\xa9/values"},
        PathCase{"three_dots_is_a_name", "/...", "/..."},
        PathCase{"empty", "", "error: invalid request path: it does not start with '/'"},
        PathCase{"relative", "a", "error: invalid request path: it does not start with '/'"},
        PathCase{"asterisk", "*", "error: invalid request path: it does not start with '/'"},
        PathCase{"double_slash", "/a//b", "error: invalid request path: empty segment (//)"},
        PathCase{"leading_double_slash", "//a", "error: invalid request path: empty segment (//)"},
        PathCase{"dot", "/a/./b", "error: invalid request path: dot segment"},
        PathCase{"dot_dot", "/a/../b", "error: invalid request path: dot segment"},
        PathCase{"dot_dot_at_end", "/a/..", "error: invalid request path: dot segment"},
        PathCase{"encoded_dots", "/a/%2e%2E/b", "error: invalid request path: dot segment"},
        PathCase{"half_encoded_dots", "/a/.%2e/b", "error: invalid request path: dot segment"},
        PathCase{"encoded_slash", "/a%2fb", "error: invalid request path: encoded slash (%2F)"},
        PathCase{"encoded_backslash", "/a%5cb", "error: invalid request path: character 0x5c"},
        PathCase{"backslash", "/a\\b", "error: invalid request path: character 0x5c"},
        PathCase{"encoded_nul", "/a%00", "error: invalid request path: character 0x00"},
        PathCase{"semicolon", "/a;b=c/d", "error: invalid request path: character 0x3b"},
        PathCase{"encoded_semicolon", "/a%3Bb", "error: invalid request path: character 0x3b"},
        PathCase{"encoded_newline", "/a%0a", "error: invalid request path: character 0x0a"},
        PathCase{"fragment", "/a#b", "error: invalid request path: fragment (#)"},
        PathCase{"cut_escape", "/a%2", "error: invalid request path: broken percent escape"},
        PathCase{"bad_escape", "/a%zz", "error: invalid request path: broken percent escape"},
        PathCase{"not_utf8", "/a%ff", "error: invalid request path: not UTF-8"}),
    [](const auto& c) { return std::string(c.param.name); });

}  // namespace
}  // namespace gantry::net
