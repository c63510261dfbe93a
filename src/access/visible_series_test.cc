#include "access/visible_series.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "access/testing/label_source.h"
#include "access/visible_metadata.h"

namespace gantry::access {
namespace {

using promql::Matcher;
using promql::MatchOp;

constexpr std::int64_t kEverMs = std::numeric_limits<std::int64_t>::max();

std::shared_ptr<const LabelPolicySet> make_set(const std::vector<std::string>& selectors) {
  auto set = LabelPolicySet::parse(selectors);
  EXPECT_TRUE(set) << (set ? "" : set.error().message);
  return std::make_shared<const LabelPolicySet>(*std::move(set));
}

Matcher matcher(MatchOp op, std::string name, std::string value) {
  return *Matcher::make(op, std::move(name), std::move(value));
}

std::vector<TestSeries> some_series() {
  const auto series = [](std::string_view name, std::string_view ns, std::string_view env,
                         double value) {
    return TestSeries{.labels = test_labels({{"__name__", name}, {"ns", ns}, {"env", env}}),
                      .samples = {{10, value}},
                      .exemplars = {{10, std::string(ns) + std::string(env)}}};
  };
  return {series("up", "a", "prod", 1), series("up", "a", "dev", 2), series("up", "b", "prod", 3),
          series("up", "b", "dev", 4),  series("up", "c", "dev", 5), series("down", "b", "", 6)};
}

class VisibleSeriesTest : public testing::Test {
 protected:
  VisibleSeries visible(const std::vector<std::string>& selectors, bool rechecks = false) {
    return VisibleSeries(source_, make_set(selectors), {.rechecks = rechecks, .leaks = &leaks_});
  }

  std::vector<std::string> select(const VisibleSeries& visible,
                                  const std::vector<Matcher>& matchers) {
    const auto set =
        visible.select({.matchers = matchers, .start_ms = 0, .end_ms = kEverMs}, CancelToken());
    EXPECT_TRUE(set) << (set ? "" : set.error().message);
    return set ? describe(**set) : std::vector<std::string>{};
  }

  LabelSource source_{some_series()};
  core::Counter leaks_;
  const std::vector<Matcher> up_ = {matcher(MatchOp::Equal, "__name__", "up")};
};

TEST_F(VisibleSeriesTest, OnePolicyIsPushedDown) {
  EXPECT_EQ(select(visible({R"({ns="b"})"}), up_),
            (std::vector<std::string>{R"(up{env="prod", ns="b"} 3@10)",
                                      R"(up{env="dev", ns="b"} 4@10)"}));
  EXPECT_EQ(source_.last_request().match_count, 2U) << "the source looked at hidden series";
}

TEST_F(VisibleSeriesTest, ValuesOfOneLabelArePushedDownTogether) {
  EXPECT_EQ(select(visible({R"({ns="a"})", R"({ns="c"})"}), up_).size(), 3U);
  EXPECT_EQ(source_.last_request().match_count, 3U);
}

TEST_F(VisibleSeriesTest, SeveralPoliciesAreFilteredInTheSourcesOrder) {
  EXPECT_EQ(select(visible({R"({ns="b",env="dev"})", R"({ns="a",env="prod"})"}), up_),
            (std::vector<std::string>{R"(up{env="prod", ns="a"} 1@10)",
                                      R"(up{env="dev", ns="b"} 4@10)"}));
}

TEST_F(VisibleSeriesTest, AConflictIsEmptyNotReplaced) {
  const std::vector<Matcher> other = {up_.front(), matcher(MatchOp::Equal, "ns", "b")};
  EXPECT_TRUE(select(visible({R"({ns="a"})"}), other).empty());
}

TEST_F(VisibleSeriesTest, LimitsCountVisibleSeries) {
  for (const auto& selectors : std::vector<std::vector<std::string>>{
           {R"({env="prod"})"}, {R"({ns="a",env="prod"})", R"({ns="b",env="prod"})"}}) {
    const VisibleSeries filtered = visible(selectors);
    promql::SelectRequest request{
        .matchers = up_, .start_ms = 0, .end_ms = kEverMs, .series_limit = 2, .truncate = true};
    auto set = filtered.select(request, CancelToken());
    ASSERT_TRUE(set);
    EXPECT_EQ((*set)->size(), 2U);
    EXPECT_FALSE((*set)->is_truncated()) << "would tell that there is more";
    request.series_limit = 1;
    set = filtered.select(request, CancelToken());
    ASSERT_TRUE(set);
    EXPECT_EQ((*set)->size(), 1U);
    EXPECT_TRUE((*set)->is_truncated());
    request.truncate = false;
    EXPECT_EQ(filtered.select(request, CancelToken()).error().message,
              "the selector matches 2 series, the limit is 1");
  }
}

TEST_F(VisibleSeriesTest, LookUpsSeeVisibleSeriesOnly) {
  for (const bool rechecks : {false, true}) {
    const VisibleSeries exact = visible({R"({ns="b"})"}, rechecks);
    const auto names = exact.label_values("__name__", {}, 0, kEverMs, 0, CancelToken());
    ASSERT_TRUE(names);
    EXPECT_EQ(names->values, (std::vector<std::string>{"down", "up"}));
    const auto cut = exact.label_values("ns", {}, 0, kEverMs, 1, CancelToken());
    EXPECT_EQ(cut->values, std::vector<std::string>{"b"});
    EXPECT_FALSE(cut->is_truncated);

    const VisibleSeries rough = visible({R"({ns="b",env=""})", R"({ns="c"})"}, rechecks);
    const auto values = rough.label_values("ns", up_, 0, kEverMs, 0, CancelToken());
    EXPECT_EQ(values->values, std::vector<std::string>{"c"});
    const auto labels = rough.label_names({}, 0, kEverMs, 2, CancelToken());
    EXPECT_EQ(labels->values, (std::vector<std::string>{"__name__", "env"}));
    EXPECT_TRUE(labels->is_truncated);
    const auto unknown = rough.label_values("nosuch", {}, 0, kEverMs, 0, CancelToken());
    EXPECT_TRUE(unknown->values.empty());
  }
}

TEST_F(VisibleSeriesTest, ExemplarsFollowTheirSeries) {
  const std::vector<std::vector<Matcher>> selectors = {
      up_, {matcher(MatchOp::Equal, "__name__", "down")}};
  const auto found = visible({R"({ns="a",env="dev"})", R"({ns="b",env=""})"})
                         .exemplars(selectors, 0, kEverMs, CancelToken());
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[0].points.front().labels.front().second, "b");
  EXPECT_EQ((*found)[1].points.front().labels.front().second, "adev");
}

TEST_F(VisibleSeriesTest, NoPolicyShowsNothing) {
  const VisibleSeries filtered(
      source_, std::make_shared<const LabelPolicySet>(LabelPolicySet::nothing()), {});
  EXPECT_TRUE(select(filtered, up_).empty());
  EXPECT_TRUE(filtered.label_names({}, 0, kEverMs, 0, CancelToken())->values.empty());
  EXPECT_TRUE(filtered.label_values("ns", {}, 0, kEverMs, 0, CancelToken())->values.empty());
  const std::vector<std::vector<Matcher>> selectors = {up_};
  EXPECT_TRUE(filtered.exemplars(selectors, 0, kEverMs, CancelToken())->empty());
}

/// Hands out series that were not asked for.
class LeakySource final : public promql::SeriesSource {
 public:
  explicit LeakySource(const LabelSource& source) : source_(source) {}

  Result<std::unique_ptr<promql::SeriesSet>> select(const promql::SelectRequest& request,
                                                    const CancelToken& cancel) const override {
    promql::SelectRequest all = request;
    all.matchers = {};
    return source_.select(all, cancel);
  }

  Result<promql::LabelStrings> label_names(std::span<const Matcher>, std::int64_t start_ms,
                                           std::int64_t end_ms, std::size_t limit,
                                           const CancelToken& cancel) const override {
    return source_.label_names({}, start_ms, end_ms, limit, cancel);
  }

  Result<promql::LabelStrings> label_values(std::string_view name, std::span<const Matcher>,
                                            std::int64_t start_ms, std::int64_t end_ms,
                                            std::size_t limit,
                                            const CancelToken& cancel) const override {
    return source_.label_values(name, {}, start_ms, end_ms, limit, cancel);
  }

  Result<std::vector<promql::ExemplarSeries>> exemplars(std::span<const std::vector<Matcher>>,
                                                        std::int64_t start_ms, std::int64_t end_ms,
                                                        const CancelToken& cancel) const override {
    const std::vector<std::vector<Matcher>> all(1);
    return source_.exemplars(all, start_ms, end_ms, cancel);
  }

 private:
  const LabelSource& source_;
};

TEST_F(VisibleSeriesTest, ASecondLookStopsALeak) {
  const LeakySource leaky(source_);
  const VisibleSeries filtered(leaky, make_set({R"({ns="a"})"}),
                               {.rechecks = true, .leaks = &leaks_});
  const promql::SelectRequest request{.matchers = up_, .start_ms = 0, .end_ms = kEverMs};
  const auto set = filtered.select(request, CancelToken());
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, Code::Internal);
  EXPECT_EQ(set.error().message, "the answer was withheld: a check of access failed");
  EXPECT_FALSE(filtered.label_names({}, 0, kEverMs, 0, CancelToken()));
  EXPECT_FALSE(filtered.label_values("ns", {}, 0, kEverMs, 0, CancelToken()));
  const std::vector<std::vector<Matcher>> selectors = {up_};
  EXPECT_FALSE(filtered.exemplars(selectors, 0, kEverMs, CancelToken()));
  EXPECT_EQ(leaks_.value(), 4U);
}

TEST_F(VisibleSeriesTest, FamiliesNeedAVisibleSeriesOfTheirType) {
  constexpr std::int64_t kDayMs = 24 * 3'600'000;
  const auto series = [](std::string_view name, std::string_view ns, std::int64_t time) {
    return TestSeries{.labels = test_labels({{"__name__", name}, {"ns", ns}}),
                      .samples = {{time, 1}}};
  };
  const LabelSource source({series("up", "a", kDayMs), series("requests_total", "a", kDayMs),
                            series("latency_bucket", "a", kDayMs), series("old", "a", -1),
                            series("hidden", "b", kDayMs), series("depth_sum", "a", kDayMs)});
  const VisibleSeries filtered(source, make_set({R"({ns="a"})"}), {});
  std::vector<std::pair<std::string, std::vector<metrics::MetadataEntry>>> families;
  for (const auto& [name, type] :
       std::vector<std::pair<std::string, std::string>>{{"depth", "gauge"},
                                                        {"hidden", "gauge"},
                                                        {"latency", "histogram"},
                                                        {"old", "gauge"},
                                                        {"requests", "counter"},
                                                        {"up", "unknown"}})
    families.push_back({name, {{.type = type, .help = "h", .unit = ""}}});
  ASSERT_TRUE(keep_visible_families(families, filtered, {kDayMs}, CancelToken()));
  std::vector<std::string> left;
  for (const auto& [name, entries] : families) left.push_back(name);
  EXPECT_EQ(left, (std::vector<std::string>{"latency", "requests", "up"}));
}

rc::Gen<std::string> any_value() {
  return rc::gen::element<std::string>("", "a", "b", "c", "ab", "a.b", "a|b", "\n");
}

rc::Gen<std::string> any_selector() {
  return rc::gen::map(
      rc::gen::container<std::vector<std::tuple<std::string, std::string, std::string>>>(
          rc::gen::tuple(rc::gen::element<std::string>("__name__", "x", "y", "z"),
                         rc::gen::element<std::string>("=", "!=", "=~", "!~"),
                         rc::gen::element<std::string>("", "a", "b", "a|b", "a|b|", ".*", ".+",
                                                       "a.*", "[ab]+", "(a|b)c?", "a\\\\.b"))),
      [](std::vector<std::tuple<std::string, std::string, std::string>> matchers) {
        matchers.resize(std::clamp<std::size_t>(matchers.size(), 1, 4), {"x", "!=", "b"});
        std::string text = "{";
        for (const auto& [name, op, value] : matchers) text += name + op + '"' + value + "\",";
        return text + "}";
      });
}

std::vector<TestSeries> any_series() {
  std::vector<TestSeries> all;
  std::vector<telemetry::Labels> known;
  const int count = *rc::gen::inRange(0, 30);
  for (int i = 0; i < count; ++i) {
    auto labels = telemetry::make_labels({{.name = "__name__", .value = *any_value()},
                                          {.name = "x", .value = *any_value()},
                                          {.name = "y", .value = *any_value()}});
    if (std::ranges::find(known, labels) != known.end()) continue;
    known.push_back(labels);
    const std::int64_t time = *rc::gen::inRange(0, 4);
    all.push_back({.labels = std::move(labels),
                   .samples = {{time, static_cast<double>(i)}},
                   .exemplars = {{time, std::to_string(i)}}});
  }
  return all;
}

/// What select, label_names, label_values and exemplars answer, as text.
std::string ask_everything(const promql::SeriesSource& source, const promql::SelectRequest& request,
                           std::size_t limit) {
  std::string out;
  const auto set = source.select(request, CancelToken());
  if (!set) return "error: " + set.error().message;
  for (const std::string& series : describe(**set)) out += series + "\n";
  out += (*set)->is_truncated() ? "truncated\n" : "";
  const auto add = [&](const Result<promql::LabelStrings>& found) {
    for (const std::string& value : found->values) out += value + " ";
    out += found->is_truncated ? "truncated\n" : "\n";
  };
  add(source.label_names(request.matchers, request.start_ms, request.end_ms, limit, CancelToken()));
  for (const std::string_view name : {"__name__", "x", "y", "z"})
    add(source.label_values(name, request.matchers, request.start_ms, request.end_ms, limit,
                            CancelToken()));
  const std::vector<std::vector<Matcher>> selectors = {
      {request.matchers.begin(), request.matchers.end()}, {matcher(MatchOp::Equal, "x", "a")}};
  for (const auto& found :
       *source.exemplars(selectors, request.start_ms, request.end_ms, CancelToken()))
    for (const auto& point : found.points) out += point.labels.front().second + ";";
  return out;
}

RC_GTEST_PROP(VisibleSeriesProperty, AnswersAsAStoreWithoutTheHiddenSeries, ()) {
  const std::vector<TestSeries> all = any_series();
  auto selectors = *rc::gen::container<std::vector<std::string>>(any_selector());
  selectors.resize(std::clamp<std::size_t>(selectors.size(), 1, 12), R"({x="a"})");
  const auto policies = make_set(selectors);
  std::vector<TestSeries> shown;
  std::ranges::copy_if(all, std::back_inserter(shown), [&](const TestSeries& series) {
    std::vector<telemetry::LabelView> labels;
    for (const auto& label : series.labels) labels.push_back({label.name, label.value});
    return policies->shows(labels);
  });
  const LabelSource everything(all);
  const LabelSource filtered(shown);
  const std::vector<Matcher> matchers = LabelPolicy::parse(*any_selector())->matchers();
  const std::int64_t start_ms = *rc::gen::inRange(0, 4);
  const promql::SelectRequest request{
      .matchers = matchers,
      .start_ms = start_ms,
      .end_ms = start_ms + *rc::gen::inRange(0, 4),
      .series_limit = static_cast<std::size_t>(*rc::gen::inRange(0, 5)),
      .truncate = *rc::gen::arbitrary<bool>()};
  const auto limit = static_cast<std::size_t>(*rc::gen::inRange(0, 4));
  core::Counter leaks;
  const VisibleSeries visible(everything, policies,
                              {.rechecks = *rc::gen::arbitrary<bool>(), .leaks = &leaks});
  RC_ASSERT(ask_everything(visible, request, limit) == ask_everything(filtered, request, limit));
  RC_ASSERT(leaks.value() == 0U);
}

}  // namespace
}  // namespace gantry::access
