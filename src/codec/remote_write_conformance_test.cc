#include <gtest/gtest.h>

#include "codec/compression.h"
#include "codec/remote_write.h"
#include "codec/testing/batch_text.h"
#include "codec/testing/conformance.h"
#include "telemetry/sample.h"

namespace gantry::codec {
namespace {

using testing::batch_text;
using testing::series_text;

/// What a receiver made of this codec would answer, and the batch.
int answer(const nlohmann::json& test, RemoteWriteDecoder& decoder, std::string& body) {
  const auto version = parse_remote_write_content_type(test.at("content_type").get<std::string>());
  if (!version) return 415;
  if (!check_remote_write_encoding(test.at("content_encoding").get<std::string>())) return 415;
  const std::string sent = testing::from_hex(test.at("body_hex").get<std::string>());
  if (!decompress(Encoding::SnappyBlock, sent, {}, body)) return 400;
  if (!decoder.decode(*version, body)) return 400;
  if (!decoder.rejections().is_empty()) return 400;
  for (std::uint32_t i = 0; i < decoder.batch().series.size(); ++i) {
    if (series_text(decoder.batch(), i).starts_with("error: ")) return 400;
  }
  return 204;
}

std::string expected_series(const nlohmann::json& labels) {
  std::vector<telemetry::Label> list;
  for (const auto& [name, value] : labels.items()) list.push_back({name, value.get<std::string>()});
  return telemetry::format_series(telemetry::make_labels(std::move(list)));
}

bool histogram_matches(const nlohmann::json& want, const telemetry::HistogramSample& got) {
  const telemetry::FloatHistogram h = telemetry::to_float(got.histogram);
  std::vector<std::pair<std::int64_t, double>> buckets;
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const auto& span : h.positive_spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i) {
      buckets.emplace_back(index++, h.positive_counts[position++]);
    }
  }
  std::vector<std::pair<std::int64_t, double>> wanted;
  for (const auto& bucket : want.at("positive_buckets")) {
    wanted.emplace_back(bucket[0].get<std::int64_t>(), testing::json_double(bucket[1]));
  }
  std::erase_if(buckets, [](const auto& bucket) { return bucket.second == 0; });
  return want.at("timestamp_ms") == got.timestamp_ms && want.at("schema") == h.schema &&
         testing::json_double(want.at("count")) == h.count &&
         testing::json_double(want.at("sum")) == h.sum &&
         want.value("zero_threshold", 0.0) == h.zero_threshold &&
         want.value("zero_count", 0.0) == h.zero_count &&
         want.value("start_timestamp_ms", std::int64_t{0}) == got.start_timestamp_ms &&
         want.value("custom_values", std::vector<double>{}) == h.custom_values && buckets == wanted;
}

TEST(RemoteWriteConformance, Vectors) {
  GANTRY_CONFORMANCE_JSON(file, "wire/remote-write/vectors.json");
  testing::Score score("remote-write/vectors.json");
  for (const auto& test : file.at("cases")) {
    const std::string id = test.at("id").get<std::string>();
    RemoteWriteDecoder decoder;
    std::string body;
    bool passed = answer(test, decoder, body) == test.at("status").get<int>();
    EXPECT_TRUE(passed) << id << ": status";
    const std::string text = batch_text(decoder.batch());
    std::size_t sample_count = 0;
    std::size_t histogram_count = 0;
    for (const auto& want : test.at("expect")) {
      std::vector<std::string> lines;
      const std::string name = want.contains("labels") ? expected_series(want["labels"]) : "";
      for (const auto& sample : want.value("samples", nlohmann::json::array())) {
        std::string line = name + " ";
        const double value = testing::json_double(sample[1]);
        line += telemetry::is_stale_nan(value) ? "StaleNaN"
                                               : nlohmann::json(static_cast<int>(value)).dump();
        line += " @" + sample[0].dump();
        lines.push_back(line);
        ++sample_count;
      }
      for (const auto& exemplar : want.value("exemplars", nlohmann::json::array())) {
        lines.push_back("exemplar " + name + " ");
        for (const auto& [key, value] : exemplar.at("labels").items()) {
          lines.push_back(key + "=\"" + value.get<std::string>() + "\"");
        }
        lines.push_back("@" + exemplar.at("timestamp_ms").dump());
      }
      if (want.contains("metadata")) {
        const auto& m = want["metadata"];
        lines.push_back("metadata " + m.at("family").get<std::string>() + " " +
                        m.at("type").get<std::string>() + " " + m.at("help").dump() + " " +
                        m.at("unit").dump());
      }
      if (want.contains("type")) lines.push_back(" " + want["type"].get<std::string>() + " \"");
      for (const std::string& line : lines) {
        const bool found = text.find(line) != std::string::npos;
        EXPECT_TRUE(found) << id << ": wants " << line << " in\n" << text;
        passed &= found;
      }
      for (const auto& histogram : want.value("histograms", nlohmann::json::array())) {
        const bool found =
            histogram_count < decoder.batch().histograms.size() &&
            histogram_matches(histogram, decoder.batch().histograms[histogram_count]);
        EXPECT_TRUE(found) << id << ": histogram " << histogram;
        passed &= found;
        ++histogram_count;
      }
    }
    if (test.at("status") == 204) {
      passed &= decoder.batch().samples.size() == sample_count &&
                decoder.batch().histograms.size() == histogram_count;
      EXPECT_EQ(decoder.batch().samples.size(), sample_count) << id;
      EXPECT_EQ(decoder.batch().histograms.size(), histogram_count) << id;
    }
    score.add(passed);
  }
}

}  // namespace
}  // namespace gantry::codec
