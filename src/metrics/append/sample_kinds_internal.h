#pragma once

// What differs between floats and histograms on the way to a plan.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "metrics/encoding/histogram_block.h"
#include "metrics/head/head_series.h"
#include "metrics/log/log_record.h"
#include "promql/series_source.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"
#include "telemetry/native_histogram.h"

namespace gantry::metrics {

struct FloatKind {
  using Sample = telemetry::FloatSample;

  static std::span<const Sample> samples(const telemetry::MetricBatch& batch) {
    return batch.samples;
  }

  static bool is_same(const Sample& a, const Sample& b) {
    return std::bit_cast<std::uint64_t>(a.value) == std::bit_cast<std::uint64_t>(b.value);
  }

  static Presence find(const SeriesRecord& record, HeadContext& context, const Sample& sample) {
    return find_float(record, context, sample.timestamp_ms, sample.value);
  }

  static Presence find(const promql::SampleColumns& stored, const Sample& sample) {
    const auto at = std::ranges::lower_bound(stored.timestamps_ms, sample.timestamp_ms);
    if (at != stored.timestamps_ms.end() && *at == sample.timestamp_ms) {
      const double value =
          stored.values[static_cast<std::size_t>(at - stored.timestamps_ms.begin())];
      return std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(sample.value)
                 ? Presence::Same
                 : Presence::Different;
    }
    const bool is_histogram = std::ranges::any_of(stored.histograms, [&](const auto& point) {
      return point.timestamp_ms == sample.timestamp_ms;
    });
    return is_histogram ? Presence::Different : Presence::Absent;
  }

  static void plan(BatchRecord& record, const telemetry::MetricBatch& batch, std::uint32_t series,
                   std::uint32_t index, StoreMode mode) {
    const Sample& sample = batch.samples[index];
    record.floats.push_back(
        {.series = series,
         .mode = mode,
         .point = {.timestamp_ms = sample.timestamp_ms,
                   .value = sample.value,
                   .start_timestamp_ms =
                       batch.start_timestamps_ms.empty() ? 0 : batch.start_timestamps_ms[index]}});
  }

  static void replace_last(BatchRecord& record, const Sample& sample) {
    record.floats.back().point.value = sample.value;
  }

  static std::uint64_t& written(telemetry::AppendResult& result) { return result.samples_written; }

  static std::vector<std::uint32_t>& refused(telemetry::AppendResult& result) {
    return result.refused_samples;
  }

  static std::vector<LateChange>& replaced(ReplacedSamples& samples) { return samples.floats; }

  static Result<void> check(const Sample&) { return {}; }
};

struct HistogramKind {
  using Sample = telemetry::HistogramSample;

  static std::span<const Sample> samples(const telemetry::MetricBatch& batch) {
    return batch.histograms;
  }

  static bool is_same(const Sample& a, const Sample& b) {
    return telemetry::is_identical(a.histogram, b.histogram);
  }

  static Presence find(const SeriesRecord& record, HeadContext& context, const Sample& sample) {
    return find_histogram(record, context, sample.timestamp_ms, sample.histogram);
  }

  /// Parts give histograms in the float flavour: equal ones of the other flavour count as the same.
  static Presence find(const promql::SampleColumns& stored, const Sample& sample) {
    const auto at = std::ranges::find_if(stored.histograms, [&](const auto& point) {
      return point.timestamp_ms == sample.timestamp_ms;
    });
    if (at == stored.histograms.end()) {
      return std::ranges::binary_search(stored.timestamps_ms, sample.timestamp_ms)
                 ? Presence::Different
                 : Presence::Absent;
    }
    telemetry::FloatHistogram given = telemetry::to_float(sample.histogram);
    given.hint = at->histogram->hint;  // reading fills hints in
    return telemetry::is_identical(telemetry::NativeHistogram(*at->histogram),
                                   telemetry::NativeHistogram(std::move(given)))
               ? Presence::Same
               : Presence::Different;
  }

  static void plan(BatchRecord& record, const telemetry::MetricBatch& batch, std::uint32_t series,
                   std::uint32_t index, StoreMode mode) {
    const Sample& sample = batch.histograms[index];
    record.histograms.push_back({.series = series,
                                 .mode = mode,
                                 .timestamp_ms = sample.timestamp_ms,
                                 .start_timestamp_ms = sample.start_timestamp_ms,
                                 .histogram = &sample.histogram});
  }

  static void replace_last(BatchRecord& record, const Sample& sample) {
    record.histograms.back().histogram = &sample.histogram;
  }

  static std::uint64_t& written(telemetry::AppendResult& result) {
    return result.histograms_written;
  }

  static std::vector<std::uint32_t>& refused(telemetry::AppendResult& result) {
    return result.refused_histograms;
  }

  static std::vector<LateChange>& replaced(ReplacedSamples& samples) { return samples.histograms; }

  static Result<void> check(const Sample& sample) {
    GANTRY_CHECK(telemetry::validate(sample.histogram));
    if (fits_histogram_block(sample.histogram)) return {};
    return fail(Code::InvalidArgument, fmt::format("more than {} buckets", kHistogramBucketsMax));
  }
};

}  // namespace gantry::metrics
