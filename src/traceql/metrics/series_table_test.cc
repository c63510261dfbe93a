#include "traceql/metrics/series_table.h"

#include <cmath>

#include <gtest/gtest.h>

namespace gantry::traceql::metrics {
namespace {

Series series(std::vector<NamedValue> labels, std::vector<double> values) {
  return {.labels = std::move(labels), .values = std::move(values), .exemplars = {}};
}

NamedValue text(std::string key, std::string value) {
  return {.key = std::move(key), .value = Static::of_string(std::move(value))};
}

TEST(SeriesTable, SortsFewerLabelsFirstThenByText) {
  SeriesTable table;
  table.push_back(series({text("b", "1"), text("a", "2")}, {1}));
  table.push_back(series({text("z", "1")}, {2}));
  table.push_back(series({{.key = "n", .value = Static::of_int(200)}}, {3}));
  table.push_back(series({{.key = "n", .value = Static::of_int(1000)}}, {4}));
  table.push_back(series({text("a", "1"), text("b", "9")}, {5}));
  sort_series(table);
  std::vector<double> order;
  for (const Series& s : table) order.push_back(s.values[0]);
  EXPECT_EQ(order, (std::vector<double>{4, 3, 2, 5, 1}));
}

TEST(SeriesTable, DropsSeriesAndExemplarsWithoutSamples) {
  SeriesTable table;
  table.push_back(series({text("a", "1")}, {NAN, NAN}));
  table.push_back(series({text("a", "2")}, {NAN, 0}));
  table[1].exemplars = {{.exemplar = {}, .interval = 0}, {.exemplar = {}, .interval = 1}};
  table.push_back(series({text("a", "3")}, {}));
  table[2].is_notice = true;
  drop_empty(table);
  ASSERT_EQ(table.size(), 2U);
  ASSERT_EQ(table[0].exemplars.size(), 1U);
  EXPECT_EQ(table[0].exemplars[0].interval, 1U);
  EXPECT_TRUE(table[1].is_notice);
}

TEST(SeriesTable, LabelsShowWordsForStatusKindAndDuration) {
  EXPECT_EQ(to_label_value(Static::of_status(2)), Static::of_string("error"));
  EXPECT_EQ(to_label_value(Static::of_kind(3)), Static::of_string("client"));
  EXPECT_EQ(to_label_value(Static::of_duration(1'600'000'000)), Static::of_string("1.6s"));
  EXPECT_EQ(to_label_value(Static::of_int(7)), Static::of_int(7));
}

TEST(SeriesTable, KeysAreEqualExactlyForEqualValues) {
  const auto key = [](const Static& value) {
    std::string bytes;
    append_key(bytes, value);
    return bytes;
  };
  EXPECT_NE(key(Static::of_int(1)), key(Static::of_float(1)));
  EXPECT_NE(key(Static::of_string("1")), key(Static::of_int(1)));
  EXPECT_NE(key(Static::nil()), key(Static::of_string("nil")));
  EXPECT_NE(key(Static::of_bool(true)), key(Static::of_bool(false)));
  EXPECT_EQ(key(Static::of_float(0.0)), key(Static::of_float(-0.0)));
  EXPECT_EQ(key(Static::of_float(NAN)), key(Static::of_float(-NAN)));
  // Two texts never read as two others.
  EXPECT_NE(key(Static::of_string("a")) + key(Static::of_string("bc")),
            key(Static::of_string("ab")) + key(Static::of_string("c")));
}

}  // namespace
}  // namespace gantry::traceql::metrics
