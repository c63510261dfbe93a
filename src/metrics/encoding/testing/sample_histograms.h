#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "metrics/encoding/testing/sample_data.h"
#include "telemetry/native_histogram.h"

namespace gantry::metrics {

/// A latency with thirty buckets that all grow.
inline std::vector<telemetry::NativeHistogram> make_latency_histograms(Random& random,
                                                                       std::size_t count) {
  telemetry::IntegerHistogram histogram{
      .schema = 3, .zero_threshold = 0x1p-128, .positive_spans = {{-20, 12}, {2, 18}}};
  histogram.positive_counts.resize(30);
  std::vector<telemetry::NativeHistogram> histograms;
  for (std::size_t i = 0; i < count; ++i) {
    for (auto& bucket : histogram.positive_counts) {
      const std::uint64_t more = random() % 20;
      bucket += more;
      histogram.count += more;
      histogram.sum += static_cast<double>(more) / 8;
    }
    histograms.emplace_back(histogram);
  }
  return histograms;
}

template <class Count>
telemetry::BasicHistogram<Count> make_any_histogram(Random& random) {
  telemetry::BasicHistogram<Count> histogram;
  histogram.hint = static_cast<telemetry::CounterResetHint>(random() % 4);
  histogram.schema = static_cast<std::int32_t>(random() % 13) - 4;
  histogram.zero_threshold = std::bit_cast<double>(random());
  const auto any_count = [&] { return std::bit_cast<Count>(random() >> random() % 64); };
  histogram.zero_count = any_count();
  histogram.count = any_count();
  histogram.sum = std::bit_cast<double>(random());
  const auto add_spans = [&](auto& spans, auto& counts) {
    for (std::size_t i = random() % 4; i > 0; --i) {
      const auto length = static_cast<std::uint32_t>(random() % 5);
      spans.push_back({static_cast<std::int32_t>(random() % 100), length});
      for (std::uint32_t bucket = 0; bucket < length; ++bucket) counts.push_back(any_count());
    }
  };
  add_spans(histogram.positive_spans, histogram.positive_counts);
  add_spans(histogram.negative_spans, histogram.negative_counts);
  if (random() % 4 == 0) {
    histogram.schema = telemetry::kCustomBucketsSchema;
    histogram.custom_values = make_noise(random, random() % 6);
  }
  return histogram;
}

/// Mixed flavours and layouts, sometimes the same layout several times.
inline std::vector<telemetry::NativeHistogram> make_any_histograms(Random& random,
                                                                   std::size_t count) {
  std::vector<telemetry::NativeHistogram> histograms;
  while (histograms.size() < count) {
    telemetry::NativeHistogram histogram;
    if (random() % 2 == 0) {
      histogram = make_any_histogram<double>(random);
    } else {
      histogram = make_any_histogram<std::uint64_t>(random);
    }
    for (std::size_t i = 1 + random() % 5; i > 0 && histograms.size() < count; --i) {
      histograms.push_back(histogram);
      std::visit([&](auto& one) { one.sum += 1; }, histogram);
    }
  }
  return histograms;
}

}  // namespace gantry::metrics
