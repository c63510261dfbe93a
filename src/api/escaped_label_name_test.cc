#include "api/escaped_label_name.h"

#include <string_view>

#include <gtest/gtest.h>

namespace gantry::api {
namespace {

struct NameCase {
  std::string_view name, escaped, expected;
};

class EscapedLabelNameTest : public ::testing::TestWithParam<NameCase> {};

TEST_P(EscapedLabelNameTest, IsUnescaped) {
  EXPECT_EQ(unescape_label_name(GetParam().escaped), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Names, EscapedLabelNameTest,
    ::testing::Values(
        NameCase{"plain", "job", "job"}, NameCase{"dots", "U__service_2e_name", "service.name"},
        NameCase{"underscores", "U__a__b____c", "a_b__c"},
        NameCase{"capital_digits", "U__a_2E_b", "a.b"},
        NameCase{"everything", "U__junk_0a__7b__7d__2c__3d_:_20__20_chars", "junk\n{},=:  chars"},
        NameCase{"two_bytes", "U__gr_f6__df_e",
                 "gr\xc3\xb6\xc3\x9f"
                 "e"},
        NameCase{"four_bytes", "U___1f600_", "\xf0\x9f\x98\x80"},
        NameCase{"only_the_prefix", "U__", ""}, NameCase{"another_prefix", "U_a_2e_b", "U_a_2e_b"},
        NameCase{"small_prefix", "u__a_2e_b", "u__a_2e_b"},
        NameCase{"not_escaped", "a_2e_b", "a_2e_b"}, NameCase{"open_end", "U__a_2e", "U__a_2e"},
        NameCase{"last_underscore", "U__a_", "U__a_"},
        NameCase{"no_digits", "U__a_xy_", "U__a_xy_"},
        NameCase{"a_sign", "U__a_-2e_b", "U__a_-2e_b"},
        NameCase{"surrogate", "U___d800_", "U___d800_"},
        NameCase{"six_digits", "U___10ffff_", "U___10ffff_"}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace gantry::api
