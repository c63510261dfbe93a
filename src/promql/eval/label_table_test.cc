#include "promql/eval/label_table.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "promql/testing/memory_source.h"
#include "telemetry/labels.h"

namespace gantry::promql::eval {
namespace {

LabelSetId make_set(LabelTable& table, const telemetry::Labels& labels) {
  std::vector<LabelPair> pairs;
  for (const telemetry::Label& label : labels) {
    pairs.push_back({.name = table.intern(label.name), .value = table.intern(label.value)});
  }
  return table.intern_set(pairs);
}

TEST(LabelTable, EqualTextsAndSetsHaveEqualIds) {
  LabelTable table;
  EXPECT_EQ(table.intern(""), kEmptySymbol);
  EXPECT_EQ(table.intern_set({}), kEmptyLabels);
  EXPECT_EQ(table.intern("job"), table.intern(std::string("jo") + "b"));
  const LabelSetId a = make_set(table, {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(a, make_set(table, {{"a", "1"}, {"b", "2"}}));
  EXPECT_NE(a, make_set(table, {{"a", "2"}, {"b", "1"}}));
}

TEST(LabelTable, SurvivesGrowth) {
  LabelTable table;
  std::vector<LabelSetId> ids;
  for (int i = 0; i < 5000; ++i) ids.push_back(make_set(table, {{"i", std::to_string(i)}}));
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(make_set(table, {{"i", std::to_string(i)}}), ids[static_cast<std::size_t>(i)]);
    ASSERT_EQ(table.text(table.value(ids[static_cast<std::size_t>(i)], table.intern("i"))),
              std::to_string(i));
  }
}

TEST(LabelTable, ChangesOneLabel) {
  LabelTable table;
  const LabelSetId base = make_set(table, {{"__name__", "x"}, {"b", "2"}});
  const Symbol a = table.intern("a");
  const Symbol b = table.intern("b");
  EXPECT_EQ(table.format(table.with(base, a, table.intern("1"))),
            R"({__name__="x", a="1", b="2"})");
  EXPECT_EQ(table.format(table.with(base, table.intern("z"), table.intern("9"))),
            R"({__name__="x", b="2", z="9"})");
  EXPECT_EQ(table.with(base, b, table.intern("2")), base);
  EXPECT_EQ(table.with(base, b, kEmptySymbol), make_set(table, {{"__name__", "x"}}));
  EXPECT_EQ(table.with(base, a, kEmptySymbol), base);
}

TEST(LabelTable, DropsNameTypeAndUnit) {
  LabelTable table;
  const LabelSetId set =
      make_set(table, {{"__name__", "x"}, {"__type__", "counter"}, {"__unit__", "s"}, {"a", "1"}});
  EXPECT_EQ(table.without_metadata(set), make_set(table, {{"a", "1"}}));
  EXPECT_EQ(table.name_of(set), "x");
}

TEST(LabelTable, OrdersAsPrometheus) {
  LabelTable table;
  const LabelSetId none = kEmptyLabels;
  const LabelSetId a1 = make_set(table, {{"a", "1"}});
  const LabelSetId a1b1 = make_set(table, {{"a", "1"}, {"b", "1"}});
  const LabelSetId a2 = make_set(table, {{"a", "2"}});
  const LabelSetId b0 = make_set(table, {{"b", "0"}});
  const std::vector<LabelSetId> ordered = {none, a1, a1b1, a2, b0};
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t k = 0; k < ordered.size(); ++k) {
      const int result = table.compare(ordered[i], ordered[k]);
      EXPECT_EQ(result < 0, i < k) << i << " " << k;
      EXPECT_EQ(result == 0, i == k) << i << " " << k;
    }
  }
}

TEST(Projection, KeepsAndRemoves) {
  LabelTable table;
  const LabelSetId set = make_set(table, {{"__name__", "x"}, {"a", "1"}, {"b", "2"}});
  Projection keep(Projection::Mode::Keep, {table.intern("b"), table.intern("missing")});
  Projection remove(Projection::Mode::Remove, {table.metric_name(), table.intern("b")});
  EXPECT_EQ(keep.apply(table, set), make_set(table, {{"b", "2"}}));
  EXPECT_EQ(keep.apply(table, set), make_set(table, {{"b", "2"}}));
  EXPECT_EQ(remove.apply(table, set), make_set(table, {{"a", "1"}}));
  EXPECT_TRUE(keep.ignores_metadata(table));
  EXPECT_FALSE(remove.ignores_metadata(table));
}

TEST(SourceLabels, ProjectionEqualsImportThenApply) {
  promqltest::MemorySource source;
  for (int i = 0; i < 50; ++i) {
    std::vector<telemetry::Label> labels = {{"__name__", "x"}, {"i", std::to_string(i % 7)}};
    if (i % 3 == 0) labels.push_back({"job", std::to_string(i)});
    if (i % 5 == 0) labels.push_back({"a", "1"});
    const promqltest::Sample sample{.timestamp_ms = i, .value = 1, .histogram = nullptr};
    source.append(telemetry::make_labels(std::move(labels)), std::span(&sample, 1));
  }
  const auto matcher = Matcher::make(MatchOp::Equal, "__name__", "x");
  const auto set = source.select(
      {.matchers = std::span(&*matcher, 1), .start_ms = 0, .end_ms = 100, .hints = {}},
      CancelToken());
  ASSERT_TRUE(set);
  LabelTable table;
  SourceLabels labels(table, **set);
  Projection by(Projection::Mode::Keep, {table.intern("job"), table.intern("i")});
  Projection without(Projection::Mode::Remove, {table.metric_name(), table.intern("a")});
  for (Projection* projection : {&by, &without}) {
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      EXPECT_EQ(labels.project(i, *projection), projection->apply(table, labels.import(i)));
    }
  }
  EXPECT_FALSE(labels.has_type_or_unit());
}

}  // namespace
}  // namespace gantry::promql::eval
