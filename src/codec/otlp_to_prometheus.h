#pragma once

// OTLP metrics as Prometheus series: what each point becomes, and the options that decide it.
//
// The decoder of the wire format (otlp_metrics.h, which is what receivers use) calls an
// OtlpTranslator for each resource, scope, metric and point; the translator fills a MetricBatch.
//
// Sources: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility"; the OTLP
// receiver of Prometheus 3.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/otlp_names.h"
#include "core/error.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

class DeltaToCumulative;

enum class DeltaPolicy : std::uint8_t {
  Reject,        ///< Refuse the points. Prometheus' default.
  Native,        ///< Store them as they are, with type unknown; histograms with the gauge hint.
  ToCumulative,  ///< Add them up in `OtlpOptions::delta_state`.
};

enum class ExplicitHistograms : std::uint8_t {
  Classic,        ///< _bucket{le}, _sum, _count.
  CustomBuckets,  ///< One native histogram with custom bounds.
};

/// Which resource attributes become labels of every series of the resource, besides job and
/// instance.
struct ResourcePromotion {
  std::vector<std::string> attributes;  ///< Ignored when `all`.
  bool all = false;
  std::vector<std::string> ignored;  ///< Of `all`.
};

/// Defaults are those of Prometheus' receiver. Must outlive the batch's use.
struct OtlpOptions {
  TranslationStrategy strategy = TranslationStrategy::UnderscoreEscapingWithSuffixes;
  std::string name_space;  ///< Put in front of every metric name.
  bool keeps_repeated_underscores = true;
  bool prefixes_underscore = true;  ///< See LabelNameOptions.
  ResourcePromotion promotion;
  bool promotes_scope = false;  ///< otel_scope_name, _version, _schema_url, _<attribute>.
  bool keeps_identifying_attributes = false;  ///< service.* in target_info too.
  bool has_target_info = true;
  bool adds_type_and_unit_labels = false;  ///< __type__ and __unit__.
  ExplicitHistograms explicit_histograms = ExplicitHistograms::Classic;
  DeltaPolicy delta = DeltaPolicy::Reject;
  DeltaToCumulative* delta_state = nullptr;  ///< Needed by ToCumulative.
  std::int64_t lookback_ms = 5 * 60 * 1000;  ///< target_info is repeated every half of it.
  std::int64_t now_ms = 0;                   ///< Timestamp of points without one.

  [[nodiscard]] LabelNameOptions label_names() const {
    return {.strategy = strategy,
            .keeps_repeated_underscores = keeps_repeated_underscores,
            .prefixes_underscore = prefixes_underscore};
  }
};

/// What became of a request's data points, exactly; the first texts of each kind.
struct OtlpOutcome {
  static constexpr std::size_t kMessagesKept = 10;

  std::uint64_t data_points = 0;
  std::uint64_t rejected_data_points = 0;
  std::uint64_t points_without_time = 0;  ///< Stored at OtlpOptions::now_ms.
  std::vector<std::string> errors;        ///< Why points were rejected.
  std::vector<std::string> warnings;      ///< What was changed or dropped without a rejection.

  /// For partial_success: errors, then warnings, joined by "; ". "" when there are none.
  [[nodiscard]] std::string message() const;

  void clear();
};

enum class OtlpTemporality : std::int32_t { Unspecified = 0, Delta = 1, Cumulative = 2 };

enum class OtlpMetricKind : std::uint8_t {
  Gauge,
  Sum,
  Histogram,
  ExponentialHistogram,
  Summary,
};

/// All views are into the request, as on the wire: `attributes` are KeyValue fields behind each
/// other, `exemplars` Exemplar messages.
struct OtlpResource {
  std::string_view attributes;
};

struct OtlpScope {
  std::string_view name;
  std::string_view version;
  std::string_view schema_url;
  std::string_view attributes;
};

struct OtlpMetric {
  std::string_view name;
  std::string_view description;
  std::string_view unit;
  OtlpMetricKind kind = OtlpMetricKind::Gauge;
  OtlpTemporality temporality = OtlpTemporality::Unspecified;
  bool is_monotonic = false;
};

struct OtlpPoint {
  std::uint64_t start_ns = 0;
  std::uint64_t time_ns = 0;
  std::uint32_t flags = 0;
  std::string_view attributes;
  std::span<const std::string_view> exemplars;

  /// NO_RECORDED_VALUE.
  [[nodiscard]] bool is_stale() const { return (flags & 1U) != 0; }
};

struct OtlpNumberPoint : OtlpPoint {
  double value = 0;
};

struct OtlpHistogramPoint : OtlpPoint {
  std::uint64_t count = 0;
  std::optional<double> sum;
  std::vector<std::uint64_t> bucket_counts;
  std::vector<double> bounds;
};

struct OtlpBuckets {
  std::int32_t offset = 0;
  std::vector<std::uint64_t> counts;
};

struct OtlpExponentialPoint : OtlpPoint {
  std::uint64_t count = 0;
  std::optional<double> sum;
  std::int32_t scale = 0;
  std::uint64_t zero_count = 0;
  double zero_threshold = 0;
  OtlpBuckets positive;
  OtlpBuckets negative;
};

struct OtlpQuantile {
  double quantile = 0;
  double value = 0;
};

struct OtlpSummaryPoint : OtlpPoint {
  std::uint64_t count = 0;
  double sum = 0;
  std::vector<OtlpQuantile> quantiles;
};

/// Fills a batch from the parts of one request. Calls nest: begin_resource, begin_scope,
/// begin_metric, points, …, end_resource. Points may be changed by the call that takes them.
/// Not thread-safe. Functions that look into attributes throw protozero's exceptions; the decoder
/// catches them.
class OtlpTranslator {
 public:
  OtlpTranslator();
  ~OtlpTranslator();
  OtlpTranslator(const OtlpTranslator&) = delete;
  OtlpTranslator& operator=(const OtlpTranslator&) = delete;
  OtlpTranslator(OtlpTranslator&&) noexcept;
  OtlpTranslator& operator=(OtlpTranslator&&) noexcept;

  /// Forgets the last request. `body_bytes` is the size of the new one, as it came.
  void begin(const OtlpOptions& options, std::uint64_t body_bytes);

  void begin_resource(const OtlpResource& resource);
  void begin_scope(const OtlpScope& scope);

  /// `point_count` tells how many points follow. When false, they are accounted for already
  /// (refused or dropped with the metric) and must only be announced by `skip_point`.
  bool begin_metric(const OtlpMetric& metric, std::uint64_t point_count);

  /// A point of a refused metric: its time still counts for target_info.
  void skip_point(std::uint64_t time_ns);

  void add(OtlpNumberPoint& point);
  void add(OtlpHistogramPoint& point);
  void add(OtlpExponentialPoint& point);
  void add(OtlpSummaryPoint& point);

  void end_resource();

  [[nodiscard]] const telemetry::MetricBatch& batch() const;
  [[nodiscard]] const OtlpOutcome& outcome() const;

  /// How many data points of the batch lost a sample to what `result` names as refused. A point of
  /// several series counts once; target_info belongs to no point.
  [[nodiscard]] std::uint64_t count_refused_points(const telemetry::AppendResult& result) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::codec
