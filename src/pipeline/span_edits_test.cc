#include "pipeline/span_edits.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "codec/otlp_traces_encoder.h"
#include "pipeline/testing/spans.h"
#include "pipeline/testing/twin_batch.h"

namespace gantry::pipeline {
namespace {

using testing::kMarker;
using testing::SpanBatchBuilder;
using testing::SpanSpec;

std::string after(std::string_view rules_json, bool is_private) {
  SpanBatchBuilder builder;
  builder.resource({{"service.name", "chat"}})
      .span(SpanSpec{.attributes = {{"gen_ai.prompt", kMarker}, {"model", "one"}}});
  const auto rules = AttributeRules::parse(rules_json);
  EXPECT_TRUE(rules) << rules.error().message;
  const SpanEdits edits(*rules, is_private, builder.batch());
  return codec::encode_otlp_traces(edits.batch());
}

TEST(SpanEdits, NothingToEditIsTheBatchItself) {
  SpanBatchBuilder builder;
  builder.resource({}).span({});
  EXPECT_EQ(&SpanEdits(AttributeRules(), false, builder.batch()).batch(), &builder.batch());
}

TEST(SpanEdits, NoRuleBringsContentPastPrivacy) {
  constexpr std::string_view kCopy =
      R"([{"action":"insert","key":"copy","from_attribute":"gen_ai.prompt"}])";
  EXPECT_TRUE(after(kCopy, false).contains("copy"));
  EXPECT_TRUE(after(kCopy, false).contains(kMarker));
  for (const std::string_view rules :
       {kCopy, std::string_view(R"([{"action":"rename","key":"gen_ai.prompt","new_key":"x"}])"),
        std::string_view(
            R"j([{"action":"extract","key":"gen_ai.prompt","pattern":"(?P<x>.*)"}])j")}) {
    const std::string seen = after(rules, true);
    EXPECT_FALSE(seen.contains(kMarker)) << rules;
    EXPECT_TRUE(seen.contains("model")) << rules;
  }
}

TEST(SpanEdits, PrivacyLooksAtWhatRulesAdd) {
  EXPECT_FALSE(after(R"([{"action":"upsert","key":"gen_ai.prompt","value":"typed in"}])", true)
                   .contains("typed in"));
  EXPECT_TRUE(after(R"([{"action":"upsert","key":"team","value":"web"}])", true).contains("web"));
}

}  // namespace
}  // namespace gantry::pipeline
