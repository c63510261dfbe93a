#include "api/features_json.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json_writer.h"
#include "promql/ast.h"
#include "promql/function_table.h"

namespace gantry::api {
namespace {

using Features = std::vector<std::pair<std::string_view, bool>>;

void append_category(core::JsonWriter& json, std::string_view category, Features features) {
  std::ranges::sort(features);
  json.key(category).begin_object();
  for (const auto& [name, is_on] : features) json.key(name).boolean(is_on);
  json.end_object();
}

Features http_features() {
  Features features;
  for (const std::string_view name :
       {"admin", "exclude_alerts", "label_values_match", "otlp_write_receiver", "query_stats",
        "query_warnings", "remote_write_receiver", "time_range_labels", "time_range_series"}) {
    features.emplace_back(name, true);
  }
  for (const std::string_view name : {"lifecycle", "openapi_3.1", "openapi_3.2", "search"}) {
    features.emplace_back(name, false);
  }
  return features;
}

Features language_features(const promql::EngineOptions& options) {
  Features features = {
      {"anchored", options.parser.extended_range_selectors},
      {"smoothed", options.parser.extended_range_selectors},
      {"fill", options.parser.binop_fill_modifiers},
      {"fill_left", options.parser.binop_fill_modifiers},
      {"fill_right", options.parser.binop_fill_modifiers},
      {"duration_expr", options.parser.duration_expressions},
      {"delayed_name_removal", options.delayed_name_removal},
      {"use_start_timestamps", options.use_start_timestamps},
      {"per_step_stats", false},
      {"type_and_unit_labels", options.type_and_unit_labels},
  };
  for (const std::string_view name :
       {"at_modifier", "bool", "by", "group_left", "group_right", "ignoring", "negative_offset",
        "offset", "on", "per_query_lookback_delta", "subqueries", "without"}) {
    features.emplace_back(name, true);
  }
  return features;
}

Features operator_features(const promql::EngineOptions& options) {
  Features features = {{"@", true}, {"=~", true}, {"!~", true}};
  for (int op = 0; op <= static_cast<int>(promql::BinaryOp::Unless); ++op) {
    features.emplace_back(promql::binary_op_text(static_cast<promql::BinaryOp>(op)), true);
  }
  for (int op = 0; op <= static_cast<int>(promql::AggregateOp::LimitRatio); ++op) {
    const auto aggregate = static_cast<promql::AggregateOp>(op);
    const bool is_experimental =
        aggregate == promql::AggregateOp::LimitK || aggregate == promql::AggregateOp::LimitRatio;
    features.emplace_back(promql::aggregate_op_text(aggregate),
                          !is_experimental || options.parser.experimental_functions);
  }
  return features;
}

Features function_features(const promql::EngineOptions& options) {
  Features features;
  for (const promql::FunctionSignature& function : promql::all_functions()) {
    features.emplace_back(function.name,
                          !function.is_experimental || options.parser.experimental_functions);
  }
  return features;
}

}  // namespace

std::string features_json(const promql::EngineOptions& options) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  append_category(json, "api", http_features());
  append_category(json, "promql", language_features(options));
  append_category(json, "promql_functions", function_features(options));
  append_category(json, "promql_operators", operator_features(options));
  append_category(json, "tsdb", {{"exemplar_storage", true}, {"native_histograms", true}});
  json.end_object();
  return out;
}

}  // namespace gantry::api
