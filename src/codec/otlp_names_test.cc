#include "codec/otlp_names.h"

#include <gtest/gtest.h>

#include "codec/testing/conformance.h"

namespace gantry::codec {
namespace {

using enum TranslationStrategy;

std::string name_of(std::string_view name, std::string_view unit, NameType type,
                    TranslationStrategy strategy, std::string_view name_space = {}) {
  const auto result = prometheus_metric_name(name, unit, type, strategy, name_space);
  return result ? *result : "error: " + result.error().message;
}

std::string label_of(std::string_view key, const LabelNameOptions& options) {
  std::string out;
  const auto result = prometheus_label_name(key, options, out);
  return result ? out : "error: " + result.error().message;
}

struct NameCase {
  std::string_view name, unit;
  NameType type;
  std::string_view with, without, utf8;
};

TEST(OtlpNames, MetricNames) {
  for (const NameCase& c : {
           NameCase{"http.server.duration", "ms", NameType::Other,
                    "http_server_duration_milliseconds", "http_server_duration",
                    "http.server.duration_milliseconds"},
           NameCase{"requests", "1/s", NameType::MonotonicSum, "requests_per_second_total",
                    "requests", "requests_per_second_total"},
           NameCase{"app.total.requests", "", NameType::MonotonicSum, "app_requests_total",
                    "app_total_requests", "app.total.requests_total"},
           NameCase{"cpu.utilization", "1", NameType::Gauge, "cpu_utilization_ratio",
                    "cpu_utilization", "cpu.utilization_ratio"},
           NameCase{"x_total", "s", NameType::MonotonicSum, "x_seconds_total", "x_total",
                    "x_seconds_total"},
           NameCase{"tokens", "{token}", NameType::Other, "tokens", "tokens", "tokens"},
           NameCase{"9lives", "", NameType::Other, "_9lives", "_9lives", "9lives"},
           NameCase{"fuel", "kBy", NameType::Other, "fuel_kBy", "fuel", "fuel_kBy"},
           NameCase{"a__b", "", NameType::Other, "a_b", "a__b", "a__b"},
       }) {
    EXPECT_EQ(name_of(c.name, c.unit, c.type, UnderscoreEscapingWithSuffixes), c.with);
    EXPECT_EQ(name_of(c.name, c.unit, c.type, UnderscoreEscapingWithoutSuffixes), c.without);
    EXPECT_EQ(name_of(c.name, c.unit, c.type, NoUtf8EscapingWithSuffixes), c.utf8);
    EXPECT_EQ(name_of(c.name, c.unit, c.type, NoTranslation), c.name);
  }
  EXPECT_EQ(name_of("x", "", NameType::Other, UnderscoreEscapingWithSuffixes, "ns"), "ns_x");
  EXPECT_EQ(name_of("@#", "", NameType::Other, UnderscoreEscapingWithSuffixes),
            "error: metric name \"@#\" has no character that a Prometheus name may hold");
  EXPECT_EQ(name_of("", "s", NameType::Other, NoTranslation), "error: metric without a name");
}

TEST(OtlpNames, Units) {
  EXPECT_EQ(prometheus_unit("By/s"), "bytes_per_second");
  EXPECT_EQ(prometheus_unit("1/m"), "per_minute");
  EXPECT_EQ(prometheus_unit("{requests}/s"), "per_second");
  EXPECT_EQ(prometheus_unit("1"), "");
  EXPECT_EQ(prometheus_unit("TiBy"), "tibibytes");
  EXPECT_EQ(prometheus_unit("m{2}"), "");
}

TEST(OtlpNames, LabelNames) {
  const LabelNameOptions keep{};
  const LabelNameOptions collapse{.keeps_repeated_underscores = false};
  EXPECT_EQ(label_of("http.route", keep), "http_route");
  EXPECT_EQ(label_of("a..b", keep), "a__b");
  EXPECT_EQ(label_of("a..b", collapse), "a_b");
  EXPECT_EQ(label_of("__a..b__", collapse), "__a_b__");
  EXPECT_EQ(label_of("ключ", {.prefixes_underscore = false}),
            "error: attribute \"ключ\" has no character that a label name may hold");
  EXPECT_EQ(label_of("1st", keep), "key_1st");
  EXPECT_EQ(label_of("_x", keep), "key_x");
  EXPECT_EQ(label_of("", keep), "error: attribute without a key");
  EXPECT_EQ(label_of("a.b", {.strategy = NoTranslation}), "a.b");
}

TEST(OtlpNames, StrategiesAreParsed) {
  for (const std::string_view word :
       {"UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes",
        "NoUTF8EscapingWithSuffixes", "NoTranslation"}) {
    EXPECT_TRUE(parse_translation_strategy(word)) << word;
  }
  EXPECT_FALSE(parse_translation_strategy("underscores"));
}

TEST(OtlpNamesConformance, MetricNames) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/metric-names.json");
  testing::Score score("otlp-prom/metric-names.json");
  for (const auto& test : file.at("cases")) {
    const auto type_word = test.at("type").get<std::string>();
    const NameType type = type_word == "gauge"           ? NameType::Gauge
                          : type_word == "sum_monotonic" ? NameType::MonotonicSum
                                                         : NameType::Other;
    const auto strategy = parse_translation_strategy(test.at("strategy").get<std::string>());
    ASSERT_TRUE(strategy);
    const auto unit = test.at("unit").get<std::string>();
    const auto result = prometheus_metric_name(test.at("name").get<std::string>(), unit, type,
                                               *strategy, test.value("namespace", ""));
    bool passed = result.has_value() != test.contains("error");
    if (result) passed = passed && *result == test.value("prometheus_name", "");
    if (test.contains("prometheus_unit") && test["prometheus_unit"].is_string()) {
      passed = passed && prometheus_unit(unit) == test["prometheus_unit"].get<std::string>();
    }
    EXPECT_TRUE(passed) << test << " got " << (result ? *result : result.error().message);
    score.add(passed);
  }
}

TEST(OtlpNamesConformance, LabelNames) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/label-names.json");
  testing::Score score("otlp-prom/label-names.json");
  const std::pair<std::string_view, LabelNameOptions> columns[] = {
      {"prometheus_default", {}},
      {"collapse", {.keeps_repeated_underscores = false}},
      {"preserve_no_key_prefix", {.prefixes_underscore = false}},
      {"collapse_no_key_prefix",
       {.keeps_repeated_underscores = false, .prefixes_underscore = false}},
      {"utf8", {.strategy = NoTranslation}},
  };
  for (const auto& test : file.at("cases")) {
    for (const auto& [column, options] : columns) {
      std::string out;
      const auto result =
          prometheus_label_name(test.at("attribute").get<std::string>(), options, out);
      const auto& want = test.at(std::string(column));
      const bool passed = want.is_null() ? !result.has_value()
                                         : result.has_value() && want.get<std::string>() == out;
      EXPECT_TRUE(passed) << test << " " << column << " got " << out;
      score.add(passed);
    }
  }
}

}  // namespace
}  // namespace gantry::codec
