#include "codec/federation.h"

#include <bit>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/exposition_internal.h"
#include "codec/testing/metric_family_decoder.h"

namespace gantry::codec {
namespace {

using telemetry::FloatHistogram;
using telemetry::Labels;
using testing::decode_metric_families;
using testing::DecodedFamily;

constexpr FederationChoice kText{};
constexpr FederationChoice kProtobuf{.format = FederationFormat::Protobuf};

std::string finished(FederationWriter& writer) {
  std::string out;
  writer.finish(out);
  return out;
}

std::vector<DecodedFamily> finished_families(FederationWriter& writer) {
  return decode_metric_families(finished(writer));
}

FloatHistogram exponential_histogram() {
  FloatHistogram h;
  h.schema = 3;
  h.zero_threshold = 1e-128;
  h.zero_count = 1;
  h.count = 9.5;
  h.sum = 18.4;
  h.positive_spans = {{-1, 2}, {3, 1}};
  h.positive_counts = {2.5, 1, 2};
  h.negative_spans = {{0, 1}};
  h.negative_counts = {3};
  return h;
}

FloatHistogram custom_histogram() {
  FloatHistogram h;
  h.schema = telemetry::kCustomBucketsSchema;
  h.custom_values = {0.5, 1, 2};
  h.positive_spans = {{0, 1}, {1, 2}};
  h.positive_counts = {2, 1, 4};
  h.count = 7;
  h.sum = 4.5;
  return h;
}

TEST(Federation, Negotiation) {
  constexpr std::string_view kProtobufType =
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

  struct Case {
    std::string accept;
    FederationFormat format;
    NameEscaping escaping;
  };

  using enum FederationFormat;
  using enum NameEscaping;
  const std::string protobuf(kProtobufType);
  for (const Case& c : {
           Case{"", Text, Underscores},
           Case{"*/*", Text, Underscores},
           Case{protobuf, Protobuf, Underscores},
           Case{protobuf + ";q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,"
                           "text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
                Protobuf, Underscores},
           Case{protobuf + ";escaping=allow-utf-8;q=0.6,text/plain;q=0.5", Protobuf, AllowUtf8},
           Case{protobuf + ";q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6", Text,
                AllowUtf8},
           Case{protobuf + ";q=0,text/plain;q=0.1", Text, Underscores},
           Case{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.9,"
                "text/plain;q=0.1",
                Text, AllowUtf8},
           Case{"application/openmetrics-text;escaping=dots", Text, Dots},
           Case{"text/plain;escaping=dots", Text, Dots},
           Case{"text/plain; escaping=values", Text, Values},
           Case{"text/plain;escaping=underscores", Text, Underscores},
           Case{"text/plain;escaping=quotes", Text, Underscores},
           Case{"text/html;escaping=values,text/plain;escaping=quotes;q=0.5", Text, Values},
           Case{"text/html;escaping=values;q=0.4,text/plain;q=0.5", Text, Underscores},
           Case{"text/html;escaping=values;q=0,text/plain;q=0.5", Text, Underscores},
           Case{protobuf + ";escaping=values", Protobuf, Values},
           Case{protobuf + ";q=0.5,text/html;escaping=dots", Protobuf, Dots},
           Case{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                "encoding=text",
                Text, Underscores},
           Case{"application/vnd.google.protobuf;proto=x.Y;encoding=delimited", Text, Underscores},
           Case{"application/vnd.google.protobuf", Text, Underscores},
       }) {
    const FederationChoice choice = negotiate_federation(c.accept);
    EXPECT_EQ(choice.format, c.format) << c.accept;
    EXPECT_EQ(choice.escaping, c.escaping) << c.accept;
  }
  EXPECT_EQ(federation_content_type(kText),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
  EXPECT_EQ(federation_content_type({.format = Protobuf, .escaping = AllowUtf8}),
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited; escaping=allow-utf-8");
  EXPECT_EQ(federation_content_type({.escaping = Dots}),
            "text/plain; version=0.0.4; charset=utf-8; escaping=dots");
  EXPECT_EQ(federation_content_type({.escaping = Values}),
            "text/plain; version=0.0.4; charset=utf-8; escaping=values");
}

RC_GTEST_PROP(Federation, AnyAcceptHeaderGetsAnAnswer, (const std::string& accept)) {
  RC_ASSERT(!federation_content_type(negotiate_federation(accept)).empty());
  RC_ASSERT(!exposition_content_type(negotiate_exposition(accept)).empty());
}

TEST(Federation, TextIsSortedByNameAndHasInstance) {
  FederationWriter writer(kText);
  writer.add(Labels{{"__name__", "b"}, {"foo", "bar"}, {"instance", "i"}}, 10000, 6000000);
  writer.add(Labels{{"__name__", "a"}}, 1001, 6000000);
  writer.add(Labels{{"__name__", "b"}, {"foo", "aaa"}}, 1, 6000001);
  writer.add(Labels{{"foo", "nameless"}}, 1, 1);
  const std::string expected =
      "# TYPE a untyped\n"
      "a{instance=\"\"} 1001 6000000\n"
      "# TYPE b untyped\n"
      "b{foo=\"bar\",instance=\"i\"} 10000 6000000\n"
      "b{foo=\"aaa\",instance=\"\"} 1 6000001\n";
  EXPECT_GT(writer.bytes(), expected.size() / 2);
  EXPECT_EQ(finished(writer), expected);
  EXPECT_EQ(writer.bytes(), 0U);
  EXPECT_EQ(finished(writer), "");
}

TEST(Federation, NamesAreQuotedOrEscaped) {
  const Labels labels{{"__name__", "9a.größe"}, {"a:b", "w"}, {"l.x", "v"}};
  for (const auto& [escaping, name, label, text] :
       {std::tuple(NameEscaping::Underscores, "_a_gr__e", "a_b",
                   "# TYPE _a_gr__e untyped\n"
                   "_a_gr__e{a_b=\"w\",instance=\"\",l_x=\"v\"} 1 2\n"),
        std::tuple(NameEscaping::Dots, "__a_dot_gr____e", "a__b",
                   "# TYPE __a_dot_gr____e untyped\n"
                   "__a_dot_gr____e{a__b=\"w\",instance=\"\",l_dot_x=\"v\"} 1 2\n"),
        std::tuple(NameEscaping::Values, "U___39_a_2e_gr_f6__df_e", "U__a_3a_b",
                   "# TYPE U___39_a_2e_gr_f6__df_e untyped\n"
                   "U___39_a_2e_gr_f6__df_e{U__a_3a_b=\"w\",U__l_2e_x=\"v\",instance=\"\"} 1 2\n"),
        std::tuple(NameEscaping::AllowUtf8, "9a.größe", "a:b",
                   "# TYPE \"9a.größe\" untyped\n"
                   "{\"9a.größe\",\"a:b\"=\"w\",instance=\"\",\"l.x\"=\"v\"} 1 2\n")}) {
    FederationWriter writer({.escaping = escaping});
    writer.add(labels, 1, 2);
    EXPECT_EQ(finished(writer), text);
    FederationWriter protobuf({.format = FederationFormat::Protobuf, .escaping = escaping});
    protobuf.add(labels, 1, 2);
    const auto families = finished_families(protobuf);
    ASSERT_EQ(families.size(), 1U);
    EXPECT_EQ(families[0].name, name);
    EXPECT_EQ(families[0].metrics[0].labels[0].name, label);
  }
}

TEST(Federation, LegacyValidNamesStayWhateverTheEscaping) {
  for (const NameEscaping escaping : {NameEscaping::Underscores, NameEscaping::AllowUtf8,
                                      NameEscaping::Dots, NameEscaping::Values}) {
    FederationWriter writer({.escaping = escaping});
    writer.add(Labels{{"__name__", "a:b_c"}, {"l_x", "v"}}, 1, 2);
    EXPECT_EQ(finished(writer), "# TYPE a:b_c untyped\na:b_c{instance=\"\",l_x=\"v\"} 1 2\n");
  }
}

RC_GTEST_PROP(NameEscapingProperty, MakesEveryNameLegacyValid, (const std::string& name)) {
  RC_PRE(!name.empty());
  for (const NameEscaping escaping :
       {NameEscaping::Underscores, NameEscaping::Dots, NameEscaping::Values}) {
    RC_ASSERT(telemetry::is_legacy_metric_name(escaped_metric_name(name, escaping)));
    RC_ASSERT(telemetry::is_legacy_label_name(escaped_label_name(name, escaping)));
  }
}

TEST(Federation, NamesThatEscapingMakesEqualMeet) {
  FederationWriter writer(kText);
  writer.add(Labels{{"__name__", "a.b"}, {"x.y", "1"}, {"x_y", "2"}}, 1, 1);
  writer.add(Labels{{"__name__", "a_a"}}, 2, 1);
  writer.add(Labels{{"__name__", "a_b"}}, 3, 1);
  EXPECT_EQ(finished(writer),
            "# TYPE a_a untyped\n"
            "a_a{instance=\"\"} 2 1\n"
            "# TYPE a_b untyped\n"
            "a_b{instance=\"\",x_y=\"1\"} 1 1\n"
            "a_b{instance=\"\"} 3 1\n");
}

TEST(Federation, CustomBucketsAreClassicHistogramsInText) {
  const Labels labels{{"__name__", "h"}, {"x", "y"}};
  FederationWriter writer(kText);
  writer.add(labels, custom_histogram(), 7);
  writer.add(labels, exponential_histogram(), 7);
  EXPECT_EQ(finished(writer),
            "# TYPE h histogram\n"
            "h_bucket{instance=\"\",x=\"y\",le=\"0.5\"} 2 7\n"
            "h_bucket{instance=\"\",x=\"y\",le=\"1\"} 2 7\n"
            "h_bucket{instance=\"\",x=\"y\",le=\"2\"} 3 7\n"
            "h_bucket{instance=\"\",x=\"y\",le=\"+Inf\"} 7 7\n"
            "h_sum{instance=\"\",x=\"y\"} 4.5 7\n"
            "h_count{instance=\"\",x=\"y\"} 7 7\n");
}

TEST(Federation, CustomBucketsAreClassicHistogramsInProtobuf) {
  FederationWriter writer(kProtobuf);
  FloatHistogram fractions = custom_histogram();
  fractions.positive_counts = {2.5, 1, 4};
  fractions.count = 7.5;
  writer.add(Labels{{"__name__", "h"}}, custom_histogram(), 7);
  writer.add(Labels{{"__name__", "h"}}, fractions, 7);
  const auto families = finished_families(writer);
  ASSERT_EQ(families.size(), 1U);
  EXPECT_EQ(families[0].type, 4);
  const auto& metric = families[0].metrics.at(0);
  EXPECT_EQ(families[0].metrics.at(1).histogram.count, 7.5);
  EXPECT_EQ(families[0].metrics.at(1).buckets.at(2).cumulative_count, 3.5);
  EXPECT_EQ(metric.histogram.count, 7);
  EXPECT_EQ(metric.histogram.sum, 4.5);
  EXPECT_TRUE(metric.histogram.positive_spans.empty());
  std::vector<std::pair<double, double>> buckets;
  buckets.reserve(metric.buckets.size());
  for (const ClassicBucket& b : metric.buckets) {
    buckets.emplace_back(b.upper_bound, b.cumulative_count);
  }
  EXPECT_EQ(buckets, (std::vector<std::pair<double, double>>{
                         {0.5, 2}, {1, 2}, {2, 3}, {std::numeric_limits<double>::infinity(), 7}}));
}

TEST(Federation, EachKindOfSampleIsAFamilyOfItsOwn) {
  FloatHistogram gauge = exponential_histogram();
  gauge.hint = telemetry::CounterResetHint::Gauge;
  FederationWriter writer(kProtobuf);
  writer.add(Labels{{"__name__", "m"}, {"n", "1"}}, gauge, 1);
  writer.add(Labels{{"__name__", "m"}, {"n", "2"}}, exponential_histogram(), 1);
  writer.add(Labels{{"__name__", "m"}, {"n", "3"}}, 5, 1);
  writer.add(Labels{{"__name__", "m"}, {"n", "4"}}, gauge, 1);
  const auto families = finished_families(writer);
  ASSERT_EQ(families.size(), 3U);
  std::vector<std::pair<std::int32_t, std::size_t>> shape;
  for (const DecodedFamily& family : families) {
    EXPECT_EQ(family.name, "m");
    shape.emplace_back(family.type, family.metrics.size());
  }
  EXPECT_EQ(shape, (std::vector<std::pair<std::int32_t, std::size_t>>{{3, 1}, {4, 1}, {5, 2}}));
}

TEST(Federation, AHistogramThatHasSeenNothingIsStillNative) {
  FederationWriter writer(kProtobuf);
  writer.add(Labels{{"__name__", "h"}}, FloatHistogram{}, 1);
  const auto families = finished_families(writer);
  ASSERT_EQ(families.size(), 1U);
  EXPECT_EQ(families[0].metrics.at(0).histogram.positive_spans,
            (std::vector<telemetry::BucketSpan>{{0, 0}}));
}

/// Printable text; label values may not be empty.
rc::Gen<std::string> word() {
  return rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange(' ', '\x7f')));
}

rc::Gen<double> any_double() {
  return rc::gen::map(rc::gen::arbitrary<std::uint64_t>(),
                      [](std::uint64_t bits) { return std::bit_cast<double>(bits); });
}

FloatHistogram any_histogram() {
  FloatHistogram h;
  h.schema =
      *rc::gen::inRange(telemetry::kExponentialSchemaMin, telemetry::kExponentialSchemaMax + 1);
  h.zero_threshold = 1 + *rc::gen::inRange(0, 100) / 8.0;
  h.zero_count = *any_double();
  h.count = *any_double();
  h.sum = *any_double();
  for (auto* const side : {&h.positive_spans, &h.negative_spans}) {
    const auto lengths =
        *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 5));
    auto& counts = side == &h.positive_spans ? h.positive_counts : h.negative_counts;
    for (const std::uint32_t length : lengths) {
      side->push_back({.offset = *rc::gen::arbitrary<std::int32_t>(), .length = length});
      for (std::uint32_t i = 0; i < length; ++i) counts.push_back(*any_double());
    }
  }
  return h;
}

RC_GTEST_PROP(Federation, ProtobufIsReadBack, ()) {
  struct Sent {
    Labels labels;
    std::int64_t timestamp_ms = 0;
    double value = 0;
    bool is_histogram = false;
    FloatHistogram histogram;
  };

  std::map<std::string, std::vector<Sent>> by_name;
  FederationWriter writer(
      {.format = FederationFormat::Protobuf, .escaping = NameEscaping::AllowUtf8});
  const int count = *rc::gen::inRange(0, 8);
  for (int i = 0; i < count; ++i) {
    const std::string name = *word();
    auto pairs = *rc::gen::container<std::map<std::string, std::string>>(word(), word());
    pairs["instance"] = "here";
    Sent sent{.timestamp_ms = *rc::gen::arbitrary<std::int64_t>(),
              .value = *any_double(),
              .is_histogram = *rc::gen::arbitrary<bool>()};
    for (const auto& [label, value] : pairs) sent.labels.push_back({label, value});
    Labels with_name = sent.labels;
    with_name.push_back({"__name__", name});
    if (sent.is_histogram) {
      sent.histogram = any_histogram();
      writer.add(with_name, sent.histogram, sent.timestamp_ms);
    } else {
      writer.add(with_name, sent.value, sent.timestamp_ms);
    }
    by_name[name + (sent.is_histogram ? "4" : "3")].push_back(sent);
  }
  const auto families = finished_families(writer);
  RC_ASSERT(families.size() == by_name.size());
  for (const DecodedFamily& family : families) {
    const auto& sent = by_name[family.name + std::to_string(family.type)];
    RC_ASSERT(family.metrics.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      const auto& metric = family.metrics[i];
      RC_ASSERT(metric.labels == sent[i].labels);
      RC_ASSERT(metric.timestamp_ms == sent[i].timestamp_ms);
      RC_ASSERT(metric.has_histogram == sent[i].is_histogram);
      RC_ASSERT(metric.has_untyped != sent[i].is_histogram);
      RC_ASSERT(std::bit_cast<std::uint64_t>(metric.untyped) ==
                (sent[i].is_histogram ? 0 : std::bit_cast<std::uint64_t>(sent[i].value)));
      RC_ASSERT(telemetry::is_identical(metric.histogram, sent[i].histogram));
    }
  }
}

}  // namespace
}  // namespace gantry::codec
