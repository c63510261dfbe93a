#include "metrics/query/matching.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::metrics {
namespace {

using promql::Matcher;
using promql::MatchOp;

Matcher make(MatchOp op, std::string name, std::string value) {
  return *Matcher::make(op, std::move(name), std::move(value));
}

/// Series with labels a, b, c of few values, some absent.
class MatchingTest : public testing::Test {
 protected:
  void fill(std::size_t count, std::uint64_t seed) {
    std::uint64_t state = seed;
    const auto draw = [&](std::uint64_t limit) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      return (state >> 33) % limit;
    };
    for (std::size_t i = 0; i < count; ++i) {
      std::map<std::string, std::string> labels{{"__name__", "m" + std::to_string(draw(3))}};
      if (draw(4) != 0) labels["a"] = std::string(1, static_cast<char>('p' + draw(4)));
      if (draw(2) != 0) labels["b"] = "v" + std::to_string(draw(40));
      labels["c"] = std::to_string(i);
      std::vector<telemetry::LabelView> views;
      for (const auto& [name, value] : labels) views.push_back({.name = name, .value = value});
      SeriesRegistry::Lookup lookup{.labels = views};
      registry_.add(std::span(&lookup, 1));
      model_[lookup.series] = labels;
    }
  }

  std::vector<std::uint32_t> naive(std::span<const Matcher> matchers) {
    std::vector<std::uint32_t> out;
    for (const auto& [id, labels] : model_) {
      const bool matches = std::ranges::all_of(matchers, [&](const Matcher& matcher) {
        const auto found = labels.find(matcher.name());
        return matcher.matches(found == labels.end() ? std::string_view() : found->second);
      });
      if (matches) out.push_back(id);
    }
    return out;
  }

  std::vector<std::uint32_t> match(std::span<const Matcher> matchers) {
    const SeriesRegistry::Reader reader(registry_);
    auto found = match_series(reader, cache_, matchers, CancelToken());
    EXPECT_TRUE(found.has_value());
    return *found;
  }

  SeriesRegistry registry_;
  RegexCache cache_;
  std::map<std::uint32_t, std::map<std::string, std::string>> model_;
};

RC_GTEST_FIXTURE_PROP(MatchingTest, AgreesWithTestingEverySeries, ()) {
  fill(*rc::gen::inRange<std::size_t>(0, 300), *rc::gen::arbitrary<std::uint64_t>());
  std::vector<Matcher> matchers;
  const int count = *rc::gen::inRange(0, 4);
  for (int i = 0; i < count; ++i) {
    const auto op = static_cast<MatchOp>(*rc::gen::inRange(0, 4));
    const std::string name = *rc::gen::element<std::string>("__name__", "a", "b", "c", "nothing");
    const bool is_regex = op == MatchOp::Regex || op == MatchOp::NotRegex;
    const std::string value =
        is_regex ? *rc::gen::element<std::string>("", ".*", ".+", "p|q", "p|", "v1.*", "m[01]",
                                                  "absent", "v1|v2|v30", "(m0|m1)", "[0-9]+")
                 : *rc::gen::element<std::string>("", "p", "q", "m0", "v1", "7", "absent");
    matchers.push_back(make(op, name, value));
  }
  RC_ASSERT(match(matchers) == naive(matchers));
  RC_ASSERT(match(matchers) == naive(matchers));  // and from the cache
}

TEST_F(MatchingTest, TheRegexCacheSeesNewAndCollectedValues) {
  fill(20, 1);
  const Matcher matchers[] = {make(MatchOp::Regex, "c", "1.*")};
  EXPECT_EQ(match(matchers), naive(matchers));
  fill(1, 2);  // c="0"
  const std::vector<telemetry::LabelView> labels{{.name = "__name__", .value = "m"},
                                                 {.name = "c", .value = "1999"}};
  SeriesRegistry::Lookup lookup{.labels = labels};
  registry_.add(std::span(&lookup, 1));
  model_[lookup.series] = {{"__name__", "m"}, {"c", "1999"}};
  EXPECT_EQ(match(matchers), naive(matchers));
  registry_.collect({&lookup.series, 1});
  model_.erase(lookup.series);
  EXPECT_EQ(match(matchers), naive(matchers));
}

TEST_F(MatchingTest, LargeListsAreIntersected) {
  fill(5000, 3);
  const Matcher matchers[] = {make(MatchOp::Equal, "__name__", "m1"),
                              make(MatchOp::Equal, "a", "p"), make(MatchOp::Regex, "b", "v.*")};
  EXPECT_EQ(match(matchers), naive(matchers));
  EXPECT_FALSE(match(matchers).empty());
}

TEST_F(MatchingTest, StopsWhenCancelled) {
  fill(10, 4);
  CancelToken cancelled;
  cancelled.cancel();
  const Matcher matchers[] = {make(MatchOp::Equal, "a", "p")};
  const SeriesRegistry::Reader reader(registry_);
  EXPECT_EQ(match_series(reader, cache_, matchers, cancelled).error().code, Code::Cancelled);
}

}  // namespace
}  // namespace gantry::metrics
