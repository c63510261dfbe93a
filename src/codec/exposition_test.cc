#include "codec/exposition.h"

#include <limits>

#include <gtest/gtest.h>

namespace gantry::codec {
namespace {

std::vector<core::CollectedFamily> families() {
  return {
      {.name = "gantry_requests_total",
       .help = "Requests by path.\nBackslash \\ and \"quotes\".",
       .type = core::MetricType::Counter,
       .samples = {{"gantry_requests_total", {{"path", "C:\\a\n\"b\""}}, 1027},
                   {"gantry_requests_total", {}, 0}}},
      {.name = "gantry_temperature",
       .help = "",
       .type = core::MetricType::Gauge,
       .samples = {{"gantry_temperature", {}, -2.5e-7},
                   {"gantry_temperature", {{"at", "x"}}, std::numeric_limits<double>::infinity()}}},
      {.name = "gantry_seconds",
       .help = "Durations.",
       .type = core::MetricType::Histogram,
       .samples = {{"gantry_seconds_bucket", {{"le", "1"}}, 2},
                   {"gantry_seconds_bucket", {{"le", "+Inf"}}, 3},
                   {"gantry_seconds_sum", {}, 4.5},
                   {"gantry_seconds_count", {}, 3}}},
  };
}

TEST(Exposition, Text) {
  std::string out;
  write_exposition({}, families(), out);
  EXPECT_EQ(out, R"(# HELP gantry_requests_total Requests by path.\nBackslash \\ and "quotes".
# TYPE gantry_requests_total counter
gantry_requests_total{path="C:\\a\n\"b\""} 1027
gantry_requests_total 0
# TYPE gantry_temperature gauge
gantry_temperature -2.5e-07
gantry_temperature{at="x"} +Inf
# HELP gantry_seconds Durations.
# TYPE gantry_seconds histogram
gantry_seconds_bucket{le="1"} 2
gantry_seconds_bucket{le="+Inf"} 3
gantry_seconds_sum 4.5
gantry_seconds_count 3
)");
}

TEST(Exposition, OpenMetrics) {
  std::string out;
  write_exposition({.format = ExpositionFormat::OpenMetrics}, families(), out);
  EXPECT_EQ(out, R"(# HELP gantry_requests Requests by path.\nBackslash \\ and \"quotes\".
# TYPE gantry_requests counter
gantry_requests_total{path="C:\\a\n\"b\""} 1027
gantry_requests_total 0
# TYPE gantry_temperature gauge
gantry_temperature -2.5e-07
gantry_temperature{at="x"} +Inf
# HELP gantry_seconds Durations.
# TYPE gantry_seconds histogram
gantry_seconds_bucket{le="1.0"} 2
gantry_seconds_bucket{le="+Inf"} 3
gantry_seconds_sum 4.5
gantry_seconds_count 3
# EOF
)");
}

TEST(Exposition, OpenMetricsCountersGetTheirSuffix) {
  const std::vector<core::CollectedFamily> odd = {
      {.name = "odd", .help = "", .type = core::MetricType::Counter, .samples = {{"odd", {}, 1}}}};
  std::string out;
  write_exposition({.format = ExpositionFormat::OpenMetrics}, odd, out);
  EXPECT_EQ(out, "# TYPE odd counter\nodd_total 1\n# EOF\n");
}

TEST(Exposition, Negotiation) {
  struct Case {
    std::string_view accept;
    ExpositionFormat format;
    NameEscaping escaping;
  };

  using enum ExpositionFormat;
  using enum NameEscaping;
  for (const Case& c : {
           Case{"", Text, Underscores},
           Case{"*/*", Text, Underscores},
           Case{"text/html,application/xhtml+xml", Text, Underscores},
           Case{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "application/openmetrics-text;version=0.0.1;q=0.5,"
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics, AllowUtf8},
           Case{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7,"
                "text/plain;version=0.0.4;q=0.3",
                Text, Underscores},
           Case{"application/openmetrics-text; version=2.0.0, text/plain; q=0.1", Text,
                Underscores},
           Case{"application/openmetrics-text; version=1.0.0; q=0.1, text/plain", Text,
                Underscores},
           Case{"application/openmetrics-text; version=1.0.0; escaping=dots", OpenMetrics, Dots},
           Case{"text/plain; escaping=values", Text, Values},
       }) {
    const ExpositionChoice choice = negotiate_exposition(c.accept);
    EXPECT_EQ(choice.format, c.format) << c.accept;
    EXPECT_EQ(choice.escaping, c.escaping) << c.accept;
  }
  EXPECT_EQ(exposition_content_type({.format = OpenMetrics, .escaping = AllowUtf8}),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
  EXPECT_EQ(exposition_content_type({}),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
}

TEST(Exposition, NamesAreQuotedOrEscaped) {
  const std::vector<core::CollectedFamily> odd = {
      {.name = "9a.größe",
       .help = "",
       .type = core::MetricType::Gauge,
       .samples = {{"9a.größe", {{"l.x", "v"}, {"a:b", "w"}}, 1}}}};
  for (const auto& [escaping, expected] :
       {std::pair(NameEscaping::Underscores,
                  "# TYPE _a_gr__e gauge\n_a_gr__e{l_x=\"v\",a_b=\"w\"} 1\n"),
        std::pair(NameEscaping::Dots,
                  "# TYPE __a_dot_gr____e gauge\n"
                  "__a_dot_gr____e{l_dot_x=\"v\",a__b=\"w\"} 1\n"),
        std::pair(NameEscaping::Values,
                  "# TYPE U___39_a_2e_gr_f6__df_e gauge\n"
                  "U___39_a_2e_gr_f6__df_e{U__l_2e_x=\"v\",U__a_3a_b=\"w\"} 1\n"),
        std::pair(NameEscaping::AllowUtf8,
                  "# TYPE \"9a.größe\" gauge\n"
                  "{\"9a.größe\",\"l.x\"=\"v\",\"a:b\"=\"w\"} 1\n")}) {
    std::string out;
    write_exposition({.escaping = escaping}, odd, out);
    EXPECT_EQ(out, expected);
  }
}

}  // namespace
}  // namespace gantry::codec
