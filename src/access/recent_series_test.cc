#include "access/recent_series.h"

#include <gtest/gtest.h>

#include "access/testing/label_source.h"

namespace gantry::access {
namespace {

class RecentSeriesTest : public testing::Test {
 protected:
  /// What is read when everything is asked for, whatever was selected.
  std::vector<std::string> read(std::int64_t start_ms, std::int64_t end_ms) {
    const promql::SelectRequest request{.matchers = {}, .start_ms = start_ms, .end_ms = end_ms};
    const auto set = recent_.select(request, {});
    EXPECT_TRUE(set);
    warnings_ = (*set)->warnings();
    return describe(**set);
  }

  std::shared_ptr<const LabelSource> source_ = std::make_shared<const LabelSource>(
      std::vector<TestSeries>{{.labels = test_labels({{"__name__", "x"}}),
                               .samples = {{1000, 1}, {2000, 2}, {3000, 3}},
                               .exemplars = {{1000, "a"}, {3000, "b"}}},
                              {.labels = test_labels({{"__name__", "old"}, {"o", "1"}}),
                               .samples = {{1000, 1}},
                               .exemplars = {}}});
  RecentSeries recent_{source_, 2000};
  std::vector<std::string> warnings_;
};

using Texts = std::vector<std::string>;

TEST_F(RecentSeriesTest, CutsWhatIsOlderAndSaysSo) {
  EXPECT_EQ(read(0, 5000), Texts{"x 2@2000 3@3000"});
  EXPECT_EQ(warnings_, (Texts{"a part is damaged",
                              "this token may not look back before 1970-01-01T00:00:02Z"}));
  EXPECT_EQ(read(0, 1999), Texts());
}

TEST_F(RecentSeriesTest, IsTheSourceWhereNothingIsCut) {
  EXPECT_EQ(read(2000, 5000).size(), 1U);
  EXPECT_EQ(warnings_, Texts{"a part is damaged"});
}

TEST_F(RecentSeriesTest, LooksUpOnlyWhatIsRecent) {
  EXPECT_EQ(recent_.label_names({}, 0, 5000, 0, {})->values, Texts{"__name__"});
  EXPECT_EQ(recent_.label_values("__name__", {}, 0, 5000, 0, {})->values, Texts{"x"});
  EXPECT_EQ(recent_.label_names({}, 0, 1999, 0, {})->values, Texts());
  EXPECT_EQ(recent_.label_values("__name__", {}, 0, 1999, 0, {})->values, Texts());
  const auto everything = *promql::Matcher::make(promql::MatchOp::Regex, "__name__", ".+");
  const std::vector<std::vector<promql::Matcher>> selectors = {{everything}};
  EXPECT_EQ(recent_.exemplars(selectors, 0, 5000, {})->at(0).points.size(), 1U);
  EXPECT_TRUE(recent_.exemplars(selectors, 0, 1999, {})->empty());
}

}  // namespace
}  // namespace gantry::access
