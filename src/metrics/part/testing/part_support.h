#pragma once

// Parts in memory for tests: a plain model of what is in them, written and read back.

#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "metrics/part/part_reader.h"
#include "metrics/part/part_writer.h"
#include "storage/directory.h"
#include "storage/faulty_file_system.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

/// One sample of either kind; a histogram is told by its pointer.
struct ModelSample {
  std::uint64_t value_bits = 0;
  std::int64_t start_ms = 0;
  std::shared_ptr<const telemetry::NativeHistogram> histogram;

  friend bool operator==(const ModelSample& a, const ModelSample& b) {
    if (a.start_ms != b.start_ms || !a.histogram != !b.histogram) return false;
    if (!a.histogram) return a.value_bits == b.value_bits;
    return telemetry::is_identical(*a.histogram, *b.histogram);
  }
};

inline ModelSample float_sample(double value, std::int64_t start_ms = 0) {
  return {.value_bits = std::bit_cast<std::uint64_t>(value), .start_ms = start_ms};
}

using ModelSeries = std::map<std::int64_t, ModelSample>;  // by time
using Model = std::map<telemetry::Labels, ModelSeries>;

inline std::vector<telemetry::LabelView> views_of(const telemetry::Labels& labels) {
  std::vector<telemetry::LabelView> views;
  for (const telemetry::Label& label : labels) {
    views.push_back({.name = label.name, .value = label.value});
  }
  return views;
}

/// Adds a stretch of samples of one kind.
inline void add_stretch(PartWriter& writer, ModelSeries::const_iterator first,
                        ModelSeries::const_iterator end) {
  FloatColumns floats;
  HistogramColumns histograms;
  std::vector<std::int64_t> starts;
  bool has_starts = false;
  std::vector<std::int64_t> times;
  for (auto sample = first; sample != end; ++sample) {
    times.push_back(sample->first);
    starts.push_back(sample->second.start_ms);
    has_starts |= sample->second.start_ms != 0;
    if (sample->second.histogram) {
      histograms.histograms.push_back(*sample->second.histogram);
    } else {
      floats.values.push_back(std::bit_cast<double>(sample->second.value_bits));
    }
  }
  if (!has_starts) starts.clear();
  ASSERT_TRUE(histograms.histograms.empty()
                  ? writer.add_floats(times, floats.values, starts)
                  : writer.add_histograms(times, histograms.histograms, starts));
}

inline void add_model(PartWriter& writer, const Model& model) {
  for (const auto& [labels, series] : model) {
    ASSERT_TRUE(writer.begin_series(views_of(labels)));
    for (auto first = series.begin(); first != series.end();) {
      auto end = first;
      while (end != series.end() && !end->second.histogram == !first->second.histogram) ++end;
      add_stretch(writer, first, end);
      first = end;
    }
  }
}

inline std::unique_ptr<PartReader> write_part(storage::FileSystem& files, FrameCache& cache,
                                              const storage::Path& directory, const Model& model,
                                              const PartWriterOptions& options = {}) {
  EXPECT_TRUE(files.create_directories(directory));
  auto writer = PartWriter::create(files, directory, options);
  EXPECT_TRUE(writer);
  add_model(**writer, model);
  const auto summary = (*writer)->finish();
  EXPECT_TRUE(summary);
  EXPECT_TRUE(storage::publish_directory(files, directory, directory.native() + ".part",
                                         storage::FilesSynced::Yes));
  auto reader = PartReader::open(files, directory.native() + ".part", cache);
  EXPECT_TRUE(reader) << reader.error().message;
  return reader ? *std::move(reader) : nullptr;
}

/// Everything in the part, losslessly.
inline Result<Model> read_model(const PartReader& part) {
  Model model;
  GANTRY_TRY(const auto cursor, part.series());
  PartReader::Scratch scratch;
  std::vector<BlockInfo> blocks;
  std::uint32_t expected = 0;
  while (true) {
    GANTRY_TRY(const bool has_series, cursor->next());
    if (!has_series) break;
    EXPECT_EQ(cursor->ordinal(), expected++);
    telemetry::Labels labels;
    for (const auto& label : cursor->labels()) {
      labels.push_back({.name = std::string(label.name), .value = std::string(label.value)});
    }
    GANTRY_CHECK(part.blocks(cursor->ordinal(), scratch, blocks));
    ModelSeries& series = model[labels];
    for (const BlockInfo& info : blocks) {
      GANTRY_TRY(const EncodedBlock block, part.block(info, scratch));
      FloatColumns floats;
      HistogramColumns histograms;
      GANTRY_CHECK(decode_block(block, floats, histograms));
      for (std::size_t i = 0; i < floats.values.size(); ++i) {
        const bool has_start = !floats.start_timestamps_ms.empty();
        series[floats.timestamps_ms[i]] =
            float_sample(floats.values[i], has_start ? floats.start_timestamps_ms[i] : 0);
      }
      for (std::size_t i = 0; i < histograms.histograms.size(); ++i) {
        const bool has_start = !histograms.start_timestamps_ms.empty();
        series[histograms.timestamps_ms[i]] = {
            .start_ms = has_start ? histograms.start_timestamps_ms[i] : 0,
            .histogram = std::make_shared<telemetry::NativeHistogram>(histograms.histograms[i])};
      }
    }
  }
  return model;
}

inline telemetry::Labels make_series_labels(std::size_t number) {
  return telemetry::make_labels({{"__name__", "metric_" + std::to_string(number % 7)},
                                 {"instance", "host-" + std::to_string(number / 7)},
                                 {"job", "node"}});
}

}  // namespace gantry::metrics
