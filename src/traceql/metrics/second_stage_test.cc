#include "traceql/metrics/second_stage.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

namespace gantry::traceql::metrics {
namespace {

/// Series a, b, c, … with these samples.
SeriesTable table(std::vector<std::vector<double>> rows) {
  SeriesTable result;
  char name = 'a';
  for (auto& row : rows) {
    result.push_back({.labels = {{.key = "s", .value = Static::of_string(std::string(1, name++))}},
                      .values = std::move(row),
                      .exemplars = {}});
  }
  return result;
}

/// "a[1 -] b[2 3]": a dash where there is no sample.
std::string print(const SeriesTable& series) {
  std::string out;
  for (const Series& s : series) {
    if (!out.empty()) out += ' ';
    out += label_text(s.labels.front().value) + '[';
    for (std::size_t i = 0; i < s.values.size(); ++i) {
      if (i != 0) out += ' ';
      out += std::isnan(s.values[i]) ? "-" : std::to_string(static_cast<int>(s.values[i]));
    }
    out += ']';
  }
  return out;
}

std::string apply(SeriesTable series, std::vector<SecondStage> stages) {
  apply_second_stages(series, stages);
  return print(series);
}

SecondStage topk(std::int64_t n) {
  return {.kind = SecondStage::Kind::TopK, .limit = n};
}

SecondStage bottomk(std::int64_t n) {
  return {.kind = SecondStage::Kind::BottomK, .limit = n};
}

SecondStage filter(FieldOp op, double value) {
  return {.kind = SecondStage::Kind::Filter, .limit = 0, .op = op, .value = value};
}

TEST(SecondStage, TopkKeepsTheLargestOfEachTimestamp) {
  EXPECT_EQ(apply(table({{1, 9, 3}, {2, 1, NAN}, {0, 5, NAN}}), {topk(1)}), "a[- 9 3] b[2 - -]");
  EXPECT_EQ(apply(table({{1, 9, 3}, {2, 1, NAN}, {0, 5, NAN}}), {topk(2)}),
            "a[1 9 3] b[2 - -] c[- 5 -]");
}

TEST(SecondStage, BottomkKeepsTheSmallest) {
  EXPECT_EQ(apply(table({{1, 9}, {2, 1}, {0, 5}}), {bottomk(1)}), "b[- 1] c[0 -]");
}

TEST(SecondStage, ManyEnoughSeriesStayAsTheyAre) {
  EXPECT_EQ(apply(table({{1, 9}, {2, 1}}), {topk(2)}), "a[1 9] b[2 1]");
  EXPECT_EQ(apply(table({{1, 9}, {2, 1}}), {bottomk(5)}), "a[1 9] b[2 1]");
}

TEST(SecondStage, TiesGoToTheFirstOnTopAndTheLastAtTheBottom) {
  EXPECT_EQ(apply(table({{4}, {4}, {4}}), {topk(1)}), "a[4]");
  EXPECT_EQ(apply(table({{4}, {4}, {4}}), {bottomk(1)}), "c[4]");
}

TEST(SecondStage, FilterComparesEachSample) {
  const auto filtered = [](FieldOp op) {
    return apply(table({{1, 2, 3}, {0, NAN, 2}}), {filter(op, 2)});
  };
  EXPECT_EQ(filtered(FieldOp::Equal), "a[- 2 -] b[- - 2]");
  EXPECT_EQ(filtered(FieldOp::NotEqual), "a[1 - 3] b[0 - -]");
  EXPECT_EQ(filtered(FieldOp::Less), "a[1 - -] b[0 - -]");
  EXPECT_EQ(filtered(FieldOp::LessOrEqual), "a[1 2 -] b[0 - 2]");
  EXPECT_EQ(filtered(FieldOp::Greater), "a[- - 3]");
  EXPECT_EQ(filtered(FieldOp::GreaterOrEqual), "a[- 2 3] b[- - 2]");
}

TEST(SecondStage, StagesWorkOnWhatIsLeft) {
  EXPECT_EQ(apply(table({{1, 5}, {2, 1}, {9, 9}}), {filter(FieldOp::Less, 9), topk(1)}),
            "a[- 5] b[2 -]");
  EXPECT_EQ(apply(table({{1, 5}, {2, 1}, {9, 9}}), {topk(1), filter(FieldOp::Less, 9)}), "");
}

}  // namespace
}  // namespace gantry::traceql::metrics
