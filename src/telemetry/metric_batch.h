#pragma once

// What a metrics codec produces and a metrics store takes: one request's samples as columns.
//
// Labels are resolved lazily. A codec gives each series of the request a 128-bit key of everything
// its labels are made from (raw wire bytes, translation options); a store that knows the key never
// asks for the labels. On the first sight of a key the store calls `SeriesResolver::resolve`.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/arena.h"
#include "core/error.h"
#include "core/hash.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::telemetry {

enum class MetricType : std::uint8_t {  // the numbers of remote write
  Unknown = 0,
  Counter = 1,
  Gauge = 2,
  Histogram = 3,
  GaugeHistogram = 4,
  Summary = 5,
  Info = 6,
  StateSet = 7,
};

/// "counter", "gaugehistogram", …: as the Prometheus API spells it.
[[nodiscard]] std::string_view metric_type_name(MetricType type);

struct FloatSample {
  std::uint32_t series = 0;  ///< Index into MetricBatch::series.
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

struct HistogramSample {
  std::uint32_t series = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;  ///< 0: unknown.
  NativeHistogram histogram;
};

struct Exemplar {
  std::uint32_t series = 0;
  std::int64_t timestamp_ms = 0;
  double value = 0;
  std::vector<LabelView> labels;  ///< Views as for the batch.
};

/// One family's metadata; views as for the batch.
struct MetricMetadata {
  std::string_view family;
  MetricType type = MetricType::Unknown;
  std::string_view help;
  std::string_view unit;
};

/// What to do with a sample whose timestamp the series already has, with another value.
enum class DuplicatePolicy : std::uint8_t {
  Refuse,    ///< Prometheus: "duplicate sample for timestamp".
  LastWins,  ///< Influx.
  Ignore,    ///< Silently keep the stored one (target_info).
};

struct BatchSeries {
  core::Hash128 key;  ///< Of all that determines the labels, with core::process_hash_seed(). Equal
                      ///< keys are equal series.
  DuplicatePolicy duplicates = DuplicatePolicy::Refuse;
  bool is_best_effort =
      false;  ///< A rejected sample of it is counted but not reported to the sender (target_info).
};

/// Turns the index of a series of this batch into its labels.
class SeriesResolver {
 public:
  SeriesResolver() = default;
  SeriesResolver(const SeriesResolver&) = delete;
  SeriesResolver& operator=(const SeriesResolver&) = delete;
  virtual ~SeriesResolver() = default;

  /// Appends the labels, in any order, possibly with empty values or duplicate names (the store
  /// refuses or drops those). Views live as long as the batch. Called by one thread at a time.
  /// Errors: InvalidArgument, this series only.
  virtual Result<void> resolve(std::uint32_t series, core::Arena& arena,
                               std::vector<LabelView>& labels) const = 0;
};

/// Views inside refer to the request's body or to the codec's arena: the codec object owns both and
/// must outlive the batch's use. Samples may be in any order; a store orders them per series.
struct MetricBatch {
  std::vector<BatchSeries> series;
  std::vector<FloatSample> samples;
  std::vector<std::int64_t> start_timestamps_ms;  ///< Empty, or one per sample (0: unknown).
  std::vector<HistogramSample> histograms;
  std::vector<Exemplar> exemplars;
  std::vector<MetricMetadata> metadata;
  const SeriesResolver* resolver = nullptr;
  std::uint64_t body_bytes = 0;  ///< Of the request, uncompressed; 0 for what came in none.

  void clear();
};

}  // namespace gantry::telemetry
