#include "traceql/metrics/arithmetic.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace gantry::traceql::metrics {
namespace {

Series series(std::vector<std::pair<std::string, std::string>> labels, std::vector<double> values) {
  Series result;
  for (auto& [key, value] : labels) {
    result.labels.push_back({.key = key, .value = Static::of_string(value)});
  }
  result.values = std::move(values);
  return result;
}

SeriesTable one(Series s) {
  SeriesTable table;
  table.push_back(std::move(s));
  return table;
}

SeriesTable by_service(std::vector<double> api, std::vector<double> db) {
  SeriesTable table = one(series({{"service", "api"}}, std::move(api)));
  table.push_back(series({{"service", "db"}}, std::move(db)));
  return table;
}

SeriesTable named(std::string name, std::vector<double> values) {
  return one(series({{"__name__", std::move(name)}}, std::move(values)));
}

/// "{service=api}[1 -] …"
std::string print(const Operand& operand) {
  if (const auto* number = std::get_if<double>(&operand)) return fmt::format("{}", *number);
  std::string out;
  for (const Series& s : std::get<SeriesTable>(operand)) {
    if (!out.empty()) out += ' ';
    out += '{';
    for (const NamedValue& label : s.labels) {
      if (out.back() != '{') out += ',';
      out += label.key + '=' + label_text(label.value);
    }
    out += "}[";
    for (const double value : s.values) {
      if (out.back() != '[') out += ' ';
      out += std::isnan(value) ? "-" : fmt::format("{}", value);
    }
    out += ']';
  }
  return out;
}

TEST(Arithmetic, MeetsByEqualLabelsAndDropsTheRest) {
  SeriesTable right = one(series({{"service", "db"}}, {2, 4}));
  right.push_back(series({{"service", "web"}}, {1, 1}));
  EXPECT_EQ(print(combine(FieldOp::Divide, by_service({1, 2}, {8, 8}), std::move(right))),
            "{service=db}[4 2]");
}

TEST(Arithmetic, LabelsMeetInAnyOrderButNotAcrossTypes) {
  EXPECT_EQ(print(combine(FieldOp::Add, one(series({{"a", "1"}, {"b", "2"}}, {1})),
                          one(series({{"b", "2"}, {"a", "1"}}, {2})))),
            "{a=1,b=2}[3]");
  SeriesTable number;
  number.push_back(
      {.labels = {{.key = "a", .value = Static::of_int(1)}}, .values = {2}, .exemplars = {}});
  EXPECT_EQ(print(combine(FieldOp::Add, one(series({{"a", "1"}}, {1})), std::move(number))), "");
}

TEST(Arithmetic, ASingleUnlabelledSeriesMeetsEveryOther) {
  EXPECT_EQ(
      print(combine(FieldOp::Divide, by_service({1, 2}, {3, 4}), named("count_over_time", {2, 4}))),
      "{service=api}[0.5 0.5] {service=db}[1.5 1]");
  EXPECT_EQ(print(combine(FieldOp::Subtract, named("count_over_time", {9, 9}),
                          by_service({1, 2}, {3, 4}))),
            "{service=api}[8 7] {service=db}[6 5]");
}

TEST(Arithmetic, NamesTheResultAfterBothNames) {
  EXPECT_EQ(print(combine(FieldOp::Multiply, named("rate", {2}), named("sum_over_time", {3}))),
            "{__name__=(rate * sum_over_time)}[6]");
}

TEST(Arithmetic, NumbersKeepTheLabels) {
  EXPECT_EQ(print(combine(FieldOp::Subtract, named("rate", {2}), 5.0)), "{__name__=rate}[-3]");
  EXPECT_EQ(print(combine(FieldOp::Subtract, 5.0, named("rate", {2}))), "{__name__=rate}[3]");
  EXPECT_EQ(print(combine(FieldOp::Divide, 3.0, 2.0)), "1.5");
}

TEST(Arithmetic, DivisionByZeroAndMissingSamplesGiveNone) {
  EXPECT_EQ(print(combine(FieldOp::Divide, named("a", {1, 0, 1}), named("b", {0, 0, 2}))),
            "{__name__=(a / b)}[- - 0.5]");
  EXPECT_EQ(print(combine(FieldOp::Divide, named("a", {1}), 0.0)), "");
  EXPECT_EQ(print(combine(FieldOp::Add, named("a", {NAN, 1}), named("b", {1, 1}))),
            "{__name__=(a + b)}[- 2]");
}

TEST(Arithmetic, ExemplarsMoveOntoTheComputedLine) {
  SeriesTable left = named("rate", {1, 2});
  left[0].exemplars.push_back(
      {.exemplar = {.labels = {}, .value = 2, .timestamp_ms = 7}, .interval = 1});
  left[0].exemplars.push_back(
      {.exemplar = {.labels = {}, .value = 1, .timestamp_ms = 6}, .interval = 0});
  const Operand result = combine(FieldOp::Divide, std::move(left), named("rate", {0, 8}));
  const auto& exemplars = std::get<SeriesTable>(result).at(0).exemplars;
  ASSERT_EQ(exemplars.size(), 1U);
  EXPECT_EQ(exemplars[0].exemplar.value, 0.25);
  EXPECT_EQ(exemplars[0].exemplar.timestamp_ms, 7);
}

}  // namespace
}  // namespace gantry::traceql::metrics
