#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "gateway/testing/random_json.h"
#include "gateway/usage_cost_internal.h"

namespace gantry::gateway {
namespace {

Pricing priced() {
  Pricing pricing;
  pricing.prices = Prices{.input = PicoUsd{2'500'000},
                          .output = PicoUsd{10'000'000},
                          .cache_read = {},
                          .cache_write = {},
                          .request = {}};
  return pricing;
}

Pricing trusted() {
  Pricing pricing = priced();
  pricing.trusts_upstream_cost = true;
  return pricing;
}

/// The usage in a longer text, as it comes out.
std::string edited(const std::string& usage, const Pricing& pricing) {
  const std::string text = R"({"usage":)" + usage + "}";
  constexpr std::size_t kBegin = 9;
  ByteEdits edits;
  edit_cost_members(text, {kBegin, kBegin + usage.size()}, pricing, edits);
  std::string out;
  edits.apply(text, out);
  EXPECT_TRUE(out.starts_with(R"({"usage":)") && out.ends_with("}")) << out;
  return out.substr(kBegin, out.size() - kBegin - 1);
}

TEST(UsageCost, StandsBehindTheProvidersBytes) {
  EXPECT_EQ(edited(R"({"prompt_tokens": 1e1, "completion_tokens":2,"total_tokens":12 })", priced()),
            R"({"prompt_tokens": 1e1, "completion_tokens":2,"total_tokens":12 ,"cost":0.000045,)"
            R"("cost_details":{"upstream_inference_cost":null,)"
            R"("upstream_inference_prompt_cost":0.000025,)"
            R"("upstream_inference_completions_cost":0.00002},"is_byok":false})");
}

TEST(UsageCost, HasTheImagesInThePrompts) {
  Pricing seeing = priced();
  seeing.prices->image = PicoUsd{1'000'000'000};
  seeing.prices->request = PicoUsd{2'000'000'000};
  seeing.images = 3;
  EXPECT_EQ(edited(R"({"prompt_tokens":10,"completion_tokens":2})", seeing),
            R"({"prompt_tokens":10,"completion_tokens":2,"cost":0.005045,)"
            R"("cost_details":{"upstream_inference_cost":null,)"
            R"("upstream_inference_prompt_cost":0.003025,)"
            R"("upstream_inference_completions_cost":0.00002},"is_byok":false})");
}

TEST(UsageCost, ReplacesTheProvidersOwn) {
  EXPECT_EQ(
      edited(R"({"cost":0.5,"prompt_tokens":10,"is_byok":true,"completion_tokens":2,"x":1})",
             priced()),
      R"({"cost":0.000045,"prompt_tokens":10,"is_byok":false,"completion_tokens":2,"x":1,)"
      R"("cost_details":{"upstream_inference_cost":0.5,"upstream_inference_prompt_cost":0.000025,)"
      R"("upstream_inference_completions_cost":0.00002}})");
}

TEST(UsageCost, LeavesNoSecondWord) {
  const std::string out = edited(R"({"cost":7,"prompt_tokens":10,"cost":8})", priced());
  EXPECT_TRUE(out.starts_with(R"({"cost":0.000025,"prompt_tokens":10,"cost":0.000025,)")) << out;
}

TEST(UsageCost, IsTheProvidersWhereThatIsTrusted) {
  EXPECT_EQ(
      edited(R"({"prompt_tokens":10,"completion_tokens":2,"cost":0.5,"cost_details":{"a":1}})",
             trusted()),
      R"({"prompt_tokens":10,"completion_tokens":2,"cost":0.5,)"
      R"("cost_details":{"upstream_inference_cost":0.5},"is_byok":false})");
  EXPECT_TRUE(edited(R"({"prompt_tokens":10,"completion_tokens":2})", trusted())
                  .contains(R"("cost":0.000045,)"));
}

TEST(UsageCost, IsNeverZeroForUnknown) {
  const std::string usage = R"({"prompt_tokens":10,"completion_tokens":2})";
  EXPECT_EQ(edited(usage, {}), usage);
  EXPECT_EQ(edited("{}", priced()), "{}") << "no count";
  EXPECT_EQ(edited(R"({"prompt_tokens":10,"cost":0.5})", {}),
            R"({"prompt_tokens":10,"cost":null,"cost_details":{"upstream_inference_cost":0.5},)"
            R"("is_byok":false})");
  EXPECT_EQ(edited(R"({"prompt_tokens":0})", priced()),
            R"({"prompt_tokens":0,"cost":0,"cost_details":{"upstream_inference_cost":null,)"
            R"("upstream_inference_prompt_cost":0,"upstream_inference_completions_cost":0},)"
            R"("is_byok":false})");
}

RC_GTEST_PROP(UsageCostProperty, KeepsEveryOtherValue, ()) {
  using nlohmann::json;
  std::vector<std::pair<std::string, std::string>> members;
  auto expected = json::object();
  for (const char* key : {"x", "cost", "y", "is_byok", "cost_details", "z"}) {
    if (!*rc::gen::arbitrary<bool>()) continue;
    const std::string value = testing::random_json(2);
    members.emplace_back(testing::random_spelling(key), value);
    expected[key] = json::parse(value);
  }
  members.emplace_back(testing::random_spelling("prompt_tokens"), "10");
  expected["prompt_tokens"] = 10;
  const std::string usage = testing::random_layout(members);
  const std::string out = edited(usage, priced());
  RC_LOG() << usage << "\n" << out;
  const json got = json::parse(out);
  RC_ASSERT(got["cost_details"]["upstream_inference_prompt_cost"] == 0.000025);
  expected["cost"] = 0.000025;
  expected["is_byok"] = false;
  expected["cost_details"] = got["cost_details"];
  RC_ASSERT(got == expected);
}

}  // namespace
}  // namespace gantry::gateway
