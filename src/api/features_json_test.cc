#include "api/features_json.h"

#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gantry::api {
namespace {

using Names = std::set<std::string>;

nlohmann::json features_of(const promql::EngineOptions& options) {
  return nlohmann::json::parse(features_json(options));
}

Names names_with(const nlohmann::json& features, const char* category, bool is_on) {
  Names names;
  for (const auto& [name, value] : features[category].items()) {
    if (value.get<bool>() == is_on) names.insert(name);
  }
  return names;
}

// The names are those of Prometheus 3.14's features endpoint.
TEST(FeaturesJson, DefaultsArePrometheuss) {
  const nlohmann::json features = features_of({});
  EXPECT_EQ(names_with(features, "promql", true),
            (Names{"at_modifier", "bool", "by", "duration_expr", "group_left", "group_right",
                   "ignoring", "negative_offset", "offset", "on", "per_query_lookback_delta",
                   "subqueries", "without"}));
  EXPECT_EQ(names_with(features, "promql", false),
            (Names{"anchored", "delayed_name_removal", "fill", "fill_left", "fill_right",
                   "per_step_stats", "smoothed", "type_and_unit_labels", "use_start_timestamps"}));
  EXPECT_EQ(
      names_with(features, "promql_functions", false),
      (Names{"double_exponential_smoothing", "end", "histogram_quantiles", "info", "mad_over_time",
             "max_of", "min_of", "range", "sort_by_label", "sort_by_label_desc", "start",
             "start_timestamp", "step", "ts_of_first_over_time", "ts_of_last_over_time",
             "ts_of_max_over_time", "ts_of_min_over_time"}));
  EXPECT_EQ(features["promql_functions"].size(), 90U);
  EXPECT_EQ(names_with(features, "promql_operators", true), (Names{"!=",
                                                                   "!~",
                                                                   "%",
                                                                   "*",
                                                                   "+",
                                                                   "-",
                                                                   "/",
                                                                   "<",
                                                                   "</",
                                                                   "<=",
                                                                   "==",
                                                                   "=~",
                                                                   ">",
                                                                   ">/",
                                                                   ">=",
                                                                   "@",
                                                                   "^",
                                                                   "and",
                                                                   "atan2",
                                                                   "avg",
                                                                   "bottomk",
                                                                   "count",
                                                                   "count_values",
                                                                   "group",
                                                                   "max",
                                                                   "min",
                                                                   "or",
                                                                   "quantile",
                                                                   "stddev",
                                                                   "stdvar",
                                                                   "sum",
                                                                   "topk",
                                                                   "unless"}));
  EXPECT_EQ(names_with(features, "promql_operators", false), (Names{"limit_ratio", "limitk"}));
  EXPECT_TRUE(features["api"]["remote_write_receiver"].get<bool>());
  EXPECT_FALSE(features["api"]["search"].get<bool>());
  EXPECT_TRUE(features["tsdb"]["native_histograms"].get<bool>());
}

TEST(FeaturesJson, EachSwitchIsReported) {
  struct Switch {
    promql::EngineOptions options;
    Names changed;  ///< Features that are otherwise than by default.
  };

  const Switch switches[] = {
      {{.parser = {.extended_range_selectors = true}}, {"anchored", "smoothed"}},
      {{.parser = {.binop_fill_modifiers = true}}, {"fill", "fill_left", "fill_right"}},
      {{.parser = {.duration_expressions = false}}, {"duration_expr"}},
      {{.delayed_name_removal = true}, {"delayed_name_removal"}},
      {{.type_and_unit_labels = true}, {"type_and_unit_labels"}},
      {{.use_start_timestamps = true}, {"use_start_timestamps"}},
  };
  const nlohmann::json defaults = features_of({});
  for (const Switch& one : switches) {
    const nlohmann::json features = features_of(one.options);
    Names changed;
    for (const auto& [name, value] : features["promql"].items()) {
      if (value != defaults["promql"][name]) changed.insert(name);
    }
    EXPECT_EQ(changed, one.changed);
  }
  const nlohmann::json experimental = features_of({.parser = {.experimental_functions = true}});
  EXPECT_EQ(names_with(experimental, "promql_functions", false), Names());
  EXPECT_EQ(names_with(experimental, "promql_operators", false), Names());
  EXPECT_EQ(experimental["promql"], defaults["promql"]);
}

}  // namespace
}  // namespace gantry::api
