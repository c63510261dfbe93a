#pragma once

// The state behind OtlpTranslator; shared by the files that implement it.

#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "codec/otlp_attributes.h"
#include "codec/otlp_to_prometheus.h"
#include "core/arena.h"
#include "core/hash.h"

namespace gantry::codec {

inline constexpr std::uint64_t kNsPerMs = 1'000'000;

inline std::int64_t ms_of(std::uint64_t ns) {
  return static_cast<std::int64_t>(ns / kNsPerMs);
}

struct HashOfKey {
  std::size_t operator()(const core::Hash128& key) const { return key.low; }
};

struct OtlpTranslator::Impl final : telemetry::SeriesResolver {
  static constexpr std::uint32_t kNoPoint = std::numeric_limits<std::uint32_t>::max();

  /// Which of a point's series it is.
  enum class Part : std::uint8_t { Value, Sum, Count, Bucket, Quantile, TargetInfo };

  struct ResourceState {
    std::string_view attributes;
    std::string_view job;
    std::string_view instance;
    bool has_other_attributes = false;
    core::Hash128 hash;
  };

  struct ScopeState {
    OtlpScope scope;
    core::Hash128 hash;
  };

  /// A translated name; kept across requests, for most requests bring the same metrics.
  struct Name {
    std::string name;
    std::string unit;
    std::string error;          ///< Not empty: the metric is refused.
    std::uint64_t request = 0;  ///< The last request whose metadata has it.
  };

  struct MetricState {
    OtlpMetric metric;
    Name* name = nullptr;
    telemetry::MetricType type = telemetry::MetricType::Unknown;
    std::uint32_t resource = 0;
    std::uint32_t scope = 0;
    core::Hash128 hash;
  };

  /// What a series' labels are made from.
  struct Source {
    std::uint32_t metric = 0;  ///< For TargetInfo: the resource.
    Part part = Part::Value;
    double bound = 0;  ///< `le` of Bucket, `quantile` of Quantile.
    std::string_view attributes;
  };

  /// One point's attributes as every series of it needs them.
  struct PointKey {
    std::string_view attributes;
    core::Hash128 hash;
  };

  const OtlpOptions* options = nullptr;
  std::uint64_t options_hash = 0;
  std::uint64_t request = 0;
  telemetry::MetricBatch batch;
  OtlpOutcome outcome;
  core::Arena arena;
  std::vector<ResourceState> resources;
  std::vector<ScopeState> scopes;
  std::vector<MetricState> metrics;
  std::vector<Source> sources;
  /// For each series of the batch the data point it is of; kNoPoint for target_info.
  std::vector<std::uint32_t> point_of_series;
  std::uint32_t begun_points = 0;

  std::deque<Name> names;
  boost::unordered_flat_map<core::Hash128, Name*, HashOfKey> name_by_key;
  /// Translated names that came from ones with non-ASCII letters, to report those that meet.
  std::vector<std::pair<std::string_view, std::string_view>> non_ascii_names;
  boost::unordered_flat_set<core::Hash128, HashOfKey> target_info_seen;

  std::uint64_t time_ns_min = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t time_ns_max = 0;
  std::string scratch;
  std::vector<OtlpAttribute> attribute_scratch;
  std::vector<std::uint32_t> bucket_series;

  void begin(const OtlpOptions& new_options, std::uint64_t body_bytes);
  void begin_resource(const OtlpResource& resource);
  void begin_scope(const OtlpScope& scope);
  bool begin_metric(const OtlpMetric& metric, std::uint64_t point_count);
  void note_time(std::uint64_t time_ns);
  void end_resource();

  [[nodiscard]] Name& name_of(const OtlpMetric& metric);
  void report_collision(const OtlpMetric& metric, const Name& name);
  void add_metadata(MetricState& state);
  [[nodiscard]] telemetry::MetricType type_of(const OtlpMetric& metric) const;
  void reject(std::uint64_t points, std::string message);
  void warn(std::string message);

  /// Counts the point's time, looks at its attribute keys; false when the point is refused.
  bool begin_point(const OtlpPoint& point, PointKey& key);
  [[nodiscard]] Result<void> check_attribute_keys(std::string_view attributes);
  [[nodiscard]] core::Hash128 series_key(const PointKey& key, Part part, double bound) const;
  std::uint32_t add_series(const PointKey& key, Part part, double bound = 0);
  void add_sample(std::uint32_t series, const OtlpPoint& point, double value);
  void add_histogram(std::uint32_t series, const OtlpPoint& point,
                     telemetry::IntegerHistogram histogram);
  void add_classic_histogram(const OtlpHistogramPoint& point, const PointKey& key);
  [[nodiscard]] telemetry::Exemplar decode_exemplar(std::string_view bytes);
  void add_exemplars(std::uint32_t series, const OtlpPoint& point);
  [[nodiscard]] std::int64_t time_ms_of(const OtlpPoint& point) const;
  [[nodiscard]] std::int64_t start_ms_of(const OtlpPoint& point) const;
  [[nodiscard]] bool is_native_delta() const;
  template <class Point>
  bool accumulate(const PointKey& key, Point& point);

  void add(OtlpNumberPoint& point);
  void add(OtlpHistogramPoint& point);
  void add(OtlpExponentialPoint& point);
  void add(OtlpSummaryPoint& point);

  // otlp_labels.cc
  Result<void> resolve(std::uint32_t series, core::Arena& out,
                       std::vector<telemetry::LabelView>& labels) const override;
  Result<void> collect_point_labels(const Source& source, core::Arena& out,
                                    std::vector<telemetry::LabelView>& labels,
                                    std::size_t before) const;
  Result<void> collect_target_info_labels(const Source& source, core::Arena& out,
                                          std::vector<telemetry::LabelView>& labels,
                                          std::size_t before) const;
};

}  // namespace gantry::codec
