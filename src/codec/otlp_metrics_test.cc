#include "codec/otlp_metrics.h"

#include <gtest/gtest.h>

#include "codec/delta_to_cumulative.h"
#include "codec/otlp_histograms.h"
#include "codec/testing/conformance.h"
#include "codec/testing/otlp_text.h"

namespace gantry::codec {
namespace {

using testing::batch_text;
using testing::kHistogram;
using testing::kOneGauge;
using testing::metrics_protobuf;
using testing::points_text;
using testing::request_with;

TEST(OtlpMetrics, TruncatedAtEveryByteErrsOrDecodes) {
  const std::string whole =
      metrics_protobuf(request_with(std::string(kHistogram) + "," + std::string(kOneGauge)));
  int error_count = 0;
  const OtlpOptions options;
  OtlpMetricsDecoder decoder;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string part(whole, 0, length);
    if (!decoder.decode_protobuf(part, options)) {
      ++error_count;
      EXPECT_TRUE(decoder.batch().samples.empty());
    } else {
      static_cast<void>(batch_text(decoder.batch()));
    }
  }
  EXPECT_GT(error_count, 100);
}

TEST(OtlpMetrics, EveryBitFlipErrsOrDecodes) {
  const std::string whole =
      metrics_protobuf(request_with(std::string(kHistogram) + "," + std::string(kOneGauge)));
  const OtlpOptions options{.promotes_scope = true};
  OtlpMetricsDecoder decoder;
  for (std::size_t i = 0; i < whole.size() * 8; ++i) {
    std::string flipped(whole);
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    if (decoder.decode_protobuf(flipped, options)) {
      EXPECT_NO_THROW(static_cast<void>(batch_text(decoder.batch())));
    }
  }
}

std::string expected_labels(const nlohmann::json& series) {
  std::vector<telemetry::Label> labels{{"__name__", series.at("name").get<std::string>()}};
  for (const auto& [name, value] : series.at("labels").items()) {
    labels.push_back({name, value.get<std::string>()});
  }
  return telemetry::format_series(telemetry::make_labels(std::move(labels)));
}

/// Index and count of the non-empty buckets.
std::vector<std::pair<std::int64_t, std::uint64_t>> absolute(
    const std::vector<telemetry::BucketSpan>& spans, const std::vector<std::uint64_t>& counts) {
  std::vector<std::pair<std::int64_t, std::uint64_t>> result;
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const auto& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++position) {
      if (counts.at(position) != 0) result.emplace_back(index, counts[position]);
    }
  }
  return result;
}

std::vector<std::pair<std::int64_t, std::uint64_t>> absolute_json(const nlohmann::json& spans,
                                                                  const nlohmann::json& deltas) {
  std::vector<telemetry::BucketSpan> list;
  for (const auto& span : spans) list.push_back({span[0].get<int>(), span[1].get<unsigned>()});
  std::vector<std::uint64_t> counts;
  std::int64_t count = 0;
  for (const auto& delta : deltas) {
    count += delta.get<std::int64_t>();
    counts.push_back(static_cast<std::uint64_t>(count));
  }
  return absolute(list, counts);
}

bool histogram_matches(const nlohmann::json& want, const telemetry::NativeHistogram& native) {
  const auto& h = std::get<telemetry::IntegerHistogram>(native);
  return want.at("schema") == h.schema && want.at("count") == h.count &&
         testing::json_double(want.at("sum")) == h.sum &&
         want.value("zero_count", std::uint64_t{0}) == h.zero_count &&
         want.value("zero_threshold", h.zero_threshold) == h.zero_threshold &&
         want.value("custom_values", std::vector<double>{}) == h.custom_values &&
         absolute_json(want.at("positive_spans"), want.at("positive_deltas")) ==
             absolute(h.positive_spans, h.positive_counts);
}

bool series_matches(const nlohmann::json& want, const telemetry::MetricBatch& batch) {
  const std::string name = expected_labels(want);
  const auto time_ms = want.at("timestamp_ms").get<std::int64_t>();
  bool found = false;
  if (want.contains("histogram")) {
    for (const auto& sample : batch.histograms) {
      found |= testing::series_text(batch, sample.series) == name &&
               sample.timestamp_ms == time_ms &&
               histogram_matches(want["histogram"], sample.histogram);
    }
  } else {
    const double value = testing::json_double(want.at("value"));
    for (std::size_t i = 0; i < batch.samples.size(); ++i) {
      const auto& sample = batch.samples[i];
      const std::int64_t start =
          batch.start_timestamps_ms.empty() ? 0 : batch.start_timestamps_ms[i];
      found |= testing::series_text(batch, sample.series) == name &&
               sample.timestamp_ms == time_ms &&
               std::bit_cast<std::uint64_t>(sample.value) == std::bit_cast<std::uint64_t>(value) &&
               want.value("start_timestamp_ms", start) == start;
    }
  }
  const std::string text = batch_text(batch);
  for (const auto& exemplar : want.value("exemplars", nlohmann::json::array())) {
    std::vector<telemetry::Label> labels;
    for (const auto& [key, value] : exemplar.at("labels").items()) {
      labels.push_back({key, value.get<std::string>()});
    }
    found &= text.find("exemplar " + name + " " +
                       telemetry::format_labels(telemetry::make_labels(std::move(labels))) + " " +
                       exemplar.at("value").dump() + " @" + exemplar.at("timestamp_ms").dump()) !=
             std::string::npos;
  }
  if (want.contains("type")) {
    found &= text.find("metadata " + want["name"].get<std::string>() + " " +
                       want["type"].get<std::string>()) != std::string::npos;
  }
  return found;
}

OtlpOptions options_of_mode(const std::string& mode, DeltaToCumulative& state) {
  OtlpOptions options{.delta_state = &state};
  if (mode == "nhcb") options.explicit_histograms = ExplicitHistograms::CustomBuckets;
  if (mode == "native_delta") options.delta = DeltaPolicy::Native;
  if (mode == "to_cumulative") options.delta = DeltaPolicy::ToCumulative;
  if (mode.starts_with("promote ")) {
    options.promotion.attributes = {"k8s.pod.name"};
    options.promotes_scope = true;
  }
  return options;
}

TEST(OtlpMetricsConformance, Points) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/points.json");
  testing::Score score("otlp-prom/points.json");
  for (const auto& test : file.at("cases")) {
    DeltaToCumulative state({});
    const OtlpOptions options = options_of_mode(test.value("mode", ""), state);
    OtlpMetricsDecoder decoder;
    const std::string body = testing::padded(test.at("otlp").dump());
    const auto decoded = decoder.decode_json(body, options);
    bool passed = decoded.has_value();
    const auto& batch = decoder.batch();
    for (const auto& want : test.at("series")) {
      const bool found = series_matches(want, batch);
      EXPECT_TRUE(found) << test.at("id") << " wants " << want << " in\n" << batch_text(batch);
      passed &= found;
    }
    passed &= batch.samples.size() + batch.histograms.size() == test.at("series").size();
    passed &= decoder.outcome().rejected_data_points == test.value("rejected_data_points", 0U);
    passed &=
        decoder.outcome().message().find(test.value("error_contains", "")) != std::string::npos;
    if (test.contains("second_value")) {
      std::string second = body;
      const auto replace = [&](std::string_view from, std::string_view to) {
        second.replace(second.find(from), from.size(), to);
      };
      replace("\"startTimeUnixNano\":\"1700000000000000000\"",
              "\"startTimeUnixNano\":\"1700000060000000000\"");
      replace("\"timeUnixNano\":\"1700000060000000000\"",
              "\"timeUnixNano\":\"1700000120000000000\"");
      replace("\"asInt\":\"5\"", "\"asInt\":\"3\"");
      passed &= decoder.decode_json(testing::padded(second), options).has_value();
      passed &= decoder.batch().samples.at(0).value == test["second_value"].get<double>();
    }
    EXPECT_TRUE(passed) << test.at("id") << "\n"
                        << batch_text(batch) << decoder.outcome().message();
    score.add(passed);
  }
}

/// Buckets 3, 6, 7, 8 with counts 10, 20, 5, 2 merge by two into 1, 3, 3, 4. The published result
/// has the 20 in bucket 2, where none of its observations were: Prometheus' merging loop does not
/// move on past a merged bucket that is empty.
bool is_known_wrong_layout(const nlohmann::json& test) {
  return test.at("otlp_offset") == 3 && test.at("scale_down") == 1 &&
         test.at("bucket_counts") == nlohmann::json({10, 0, 0, 20, 5, 2});
}

TEST(OtlpMetrics, MergingPassesOverEmptyBuckets) {
  OtlpExponentialPoint point;
  point.scale = 9;
  point.count = 37;
  point.positive = {.offset = 3, .counts = {10, 0, 0, 20, 5, 2}};
  const auto native = exponential_to_native(point);
  ASSERT_TRUE(native);
  EXPECT_EQ(absolute(native->positive_spans, native->positive_counts),
            (std::vector<std::pair<std::int64_t, std::uint64_t>>{{2, 10}, {4, 25}, {5, 2}}));
}

TEST(OtlpMetricsConformance, ExponentialToNative) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/exponential-to-native.json");
  testing::Score score("otlp-prom/exponential-to-native.json");
  for (const auto& test : file.at("layout")) {
    OtlpExponentialPoint point;
    point.scale = 8 + test.at("scale_down").get<int>();
    point.positive = {.offset = test.at("otlp_offset").get<int>(),
                      .counts = test.at("bucket_counts").get<std::vector<std::uint64_t>>()};
    for (const std::uint64_t count : point.positive.counts) point.count += count;
    const auto native = exponential_to_native(point);
    const bool passed = native && absolute(native->positive_spans, native->positive_counts) ==
                                      absolute_json(test.at("spans"), test.at("deltas"));
    EXPECT_EQ(passed, !is_known_wrong_layout(test)) << test;
    score.add(passed);
  }
  for (const auto& test : file.at("scale")) {
    OtlpExponentialPoint point;
    point.scale = test.at("scale").get<int>();
    const auto native = exponential_to_native(point);
    const auto& want = test.at("result");
    const bool passed = want.contains("error") ? !native.has_value()
                                               : native && want.at("schema") == native->schema;
    EXPECT_TRUE(passed) << test;
    score.add(passed);
  }
}

TEST(OtlpMetricsConformance, ExplicitHistograms) {
  GANTRY_CONFORMANCE_JSON(file, "wire/otlp-prom/explicit-histograms.json");
  testing::Score score("otlp-prom/explicit-histograms.json");
  for (const auto& test : file.at("cases")) {
    const nlohmann::json metric = {{"name", "h"},
                                   {"histogram",
                                    {{"aggregationTemporality", 2},
                                     {"dataPoints",
                                      {{{"timeUnixNano", "1000000"},
                                        {"count", test.at("count")},
                                        {"sum", 1},
                                        {"bucketCounts", test.at("bucket_counts")},
                                        {"explicitBounds", test.at("explicit_bounds")}}}}}}};
    const std::string text = points_text(metric.dump());
    bool passed = true;
    for (const auto& bucket : test.at("classic_buckets")) {
      passed &= text.find("le=\"" + bucket[0].get<std::string>() + "\"} " + bucket[1].dump() +
                          " @1\n") != std::string::npos;
    }
    passed &= std::ranges::count(text, '\n') ==
              static_cast<std::ptrdiff_t>(test.at("classic_buckets").size()) + 2;
    OtlpHistogramPoint point;
    point.count = test.at("count").get<std::uint64_t>();
    point.bucket_counts = test.at("bucket_counts").get<std::vector<std::uint64_t>>();
    point.bounds = test.at("explicit_bounds").get<std::vector<double>>();
    const auto native = explicit_to_native(point);
    const auto& want = test.at("nhcb");
    passed &= native && native->schema == want.at("schema").get<int>() &&
              native->custom_values == want.at("custom_values").get<std::vector<double>>() &&
              absolute(native->positive_spans, native->positive_counts) ==
                  absolute_json(want.at("positive_spans"), want.at("positive_deltas"));
    EXPECT_TRUE(passed) << test << "\n" << text;
    score.add(passed);
  }
}

}  // namespace
}  // namespace gantry::codec
