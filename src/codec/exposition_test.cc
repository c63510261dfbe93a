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

TEST(Federate, SortsByNameAndAddsInstance) {
  FederateWriter writer(NameEscaping::Underscores, {});
  writer.add(std::vector<telemetry::Label>{{"__name__", "b"}, {"foo", "bar"}, {"instance", "i"}},
             10000, 6000000);
  writer.add(std::vector<telemetry::Label>{{"__name__", "a"}}, 1001, 6000000);
  writer.add(std::vector<telemetry::Label>{{"__name__", "b"}, {"foo", "aaa"}}, 1, 6000001);
  writer.add(std::vector<telemetry::Label>{{"foo", "nameless"}}, 1, 1);
  std::string out;
  writer.finish(out);
  EXPECT_EQ(out,
            "# TYPE a untyped\n"
            "a{instance=\"\"} 1001 6000000\n"
            "# TYPE b untyped\n"
            "b{foo=\"bar\",instance=\"i\"} 10000 6000000\n"
            "b{foo=\"aaa\",instance=\"\"} 1 6000001\n");
}

TEST(Federate, ExternalLabelsFillGaps) {
  FederateWriter writer(NameEscaping::Underscores, {{"instance", "me"}, {"region", "eu"}});
  writer.add(std::vector<telemetry::Label>{{"__name__", "a"}, {"region", "us"}}, 1, 1);
  std::string out;
  writer.finish(out);
  EXPECT_EQ(out, "# TYPE a untyped\na{instance=\"me\",region=\"us\"} 1 1\n");
}

TEST(Federate, NamesAreQuotedOrEscaped) {
  const std::vector<telemetry::Label> labels{{"__name__", "9a.größe"}, {"l.x", "v"}};
  for (const auto& [escaping, expected] :
       {std::pair(NameEscaping::Underscores,
                  "# TYPE _a_gr__e untyped\n_a_gr__e{instance=\"\",l_x=\"v\"} 1 2\n"),
        std::pair(
            NameEscaping::AllowUtf8,
            "# TYPE \"9a.größe\" untyped\n{\"9a.größe\",instance=\"\",\"l.x\"=\"v\"} 1 2\n")}) {
    FederateWriter writer(escaping, {});
    writer.add(labels, 1, 2);
    std::string out;
    writer.finish(out);
    EXPECT_EQ(out, expected);
  }
}

TEST(Federate, CustomBucketsGoOutAsClassicHistograms) {
  telemetry::FloatHistogram h;
  h.schema = telemetry::kCustomBucketsSchema;
  h.custom_values = {0.5, 1};
  h.positive_spans = {{0, 1}, {1, 1}};
  h.positive_counts = {2, 1};
  h.count = 3;
  h.sum = 4.5;
  telemetry::FloatHistogram exponential;
  exponential.schema = 3;
  const std::vector<telemetry::Label> labels{{"__name__", "h"}, {"x", "y"}};
  FederateWriter writer(NameEscaping::Underscores, {});
  writer.add(labels, h, 7);
  writer.add(labels, exponential, 7);
  std::string out;
  writer.finish(out);
  EXPECT_EQ(out,
            "# TYPE h histogram\n"
            "h_bucket{instance=\"\",x=\"y\",le=\"0.5\"} 2 7\n"
            "h_bucket{instance=\"\",x=\"y\",le=\"1\"} 2 7\n"
            "h_bucket{instance=\"\",x=\"y\",le=\"+Inf\"} 3 7\n"
            "h_sum{instance=\"\",x=\"y\"} 4.5 7\n"
            "h_count{instance=\"\",x=\"y\"} 3 7\n");
}

}  // namespace
}  // namespace gantry::codec
