#pragma once

// The samples of a batch in the order of OTLP: by resource, scope and metric, with those together
// that make one point.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "codec/metric_families.h"
#include "codec/otlp_metrics_encoder.h"
#include "core/arena.h"
#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

enum class OtlpShape : std::uint8_t {
  Gauge,
  MonotonicSum,
  PlainSum,  ///< Cumulative, not monotonic.
  Histogram,
  Exponential,
  Summary,
};

/// Float samples of one series each, at one time. Indexes of the batch's samples.
struct OtlpParts {
  std::map<double, std::uint32_t> bounds;  ///< By `le` or `quantile`.
  std::optional<std::uint32_t> sum;
  std::optional<std::uint32_t> count;
  bool has_doubles = false;  ///< Two samples for one place.
};

struct OtlpNumberOf {
  std::uint32_t sample = 0;
};

struct OtlpNativeOf {
  std::uint32_t histogram = 0;
};

struct OtlpPointOf {
  std::uint32_t series = 0;  ///< Whose attributes it has.
  std::variant<OtlpNumberOf, OtlpNativeOf, OtlpParts> value;
};

/// Views live as long as the tree.
struct OtlpMetricKey {
  std::string_view name;
  OtlpShape shape = OtlpShape::Gauge;

  friend auto operator<=>(const OtlpMetricKey&, const OtlpMetricKey&) = default;
};

struct OtlpMetricOf {
  const WriteMetadata* family = nullptr;  ///< Null: nothing is known of it.
  std::vector<OtlpPointOf> points;
};

using OtlpScopeLabels = std::vector<telemetry::LabelView>;  ///< otel_scope_*, sorted.
using OtlpMetricMap = std::map<OtlpMetricKey, OtlpMetricOf>;
using OtlpScopeMap = std::map<OtlpScopeLabels, OtlpMetricMap>;
/// By job and instance.
using OtlpResourceMap = std::map<std::pair<std::string_view, std::string_view>, OtlpScopeMap>;

class OtlpMetricTree {
 public:
  /// All are views and must stay as they are while the tree is in use; but `targets` learns from
  /// the batch, up to `targets_max`.
  OtlpMetricTree(const telemetry::MetricBatch& batch, const MetricFamilies& families,
                 OtlpNames names, TargetAttributes& targets, std::size_t targets_max);

  [[nodiscard]] const OtlpResourceMap& resources() const { return resources_; }

  [[nodiscard]] const OtlpOmissions& omissions() const { return omissions_; }

  /// What of a series' labels are its points' attributes.
  [[nodiscard]] const std::vector<telemetry::LabelView>& attributes(std::uint32_t series) const {
    return series_.at(series).attributes;
  }

  /// One more, of a part that is sent as a number; its name is empty for other series.
  [[nodiscard]] telemetry::LabelView bound_label(std::uint32_t series) const {
    return series_.at(series).bound_label;
  }

 private:
  enum class Role : std::uint8_t { Plain, Bound, Sum, Count, TargetInfo, Unreadable };

  struct Series {
    Role role = Role::Unreadable;
    std::string_view name;
    std::string_view metric;  ///< The family's name where the series is a part of something.
    std::pair<std::string_view, std::string_view> target;
    OtlpScopeLabels scope;
    std::vector<telemetry::LabelView> attributes;
    double bound = 0;
    telemetry::LabelView bound_label;  ///< `le` or `quantile` of a part: not among `attributes`.
    const WriteMetadata* family = nullptr;
  };

  /// Everything that series of one histogram or summary have in common.
  struct GroupKey {
    std::string_view metric;
    std::pair<std::string_view, std::string_view> target;
    OtlpScopeLabels scope;
    std::vector<telemetry::LabelView> attributes;

    friend auto operator<=>(const GroupKey&, const GroupKey&) = default;
  };

  using Group = std::map<std::int64_t, OtlpParts>;  ///< By time.

  void describe(std::uint32_t series, const MetricFamilies& families);
  static void take_part(Series& series, const MetricFamilies::Match& match);
  void take_sample(std::uint32_t sample, std::map<GroupKey, Group>& groups);
  void take_native(std::uint32_t histogram);
  void settle(const OtlpParts& parts);
  void settle_targets();
  void add_number(std::uint32_t sample);
  void learn_target(const Series& series, double value);
  [[nodiscard]] OtlpShape shape_of(const Series& series) const;
  [[nodiscard]] bool is_whole(const OtlpParts& parts, telemetry::MetricType type) const;
  [[nodiscard]] bool are_buckets(const OtlpParts& parts, double count) const;
  OtlpMetricOf& metric_of(const Series& series, OtlpMetricKey key);

  const telemetry::MetricBatch& batch_;
  const OtlpNames names_;
  TargetAttributes& targets_;
  const std::size_t targets_max_;
  core::Arena arena_;
  std::vector<Series> series_;
  std::vector<std::uint32_t> target_samples_;  ///< Of target_info.
  OtlpResourceMap resources_;
  OtlpOmissions omissions_;
};

/// Dense buckets of a native histogram's side, and the index of the first; nothing when there are
/// more than kOtlpBucketsMax.
struct DenseBuckets {
  std::int64_t first_index = 0;
  std::vector<std::uint64_t> counts;
};

[[nodiscard]] std::optional<DenseBuckets> dense_buckets(
    const std::vector<telemetry::BucketSpan>& spans, const std::vector<std::uint64_t>& counts);

/// UCUM's word for a unit of Prometheus, where a metric of that name may be given it without being
/// renamed by a receiver; else "".
[[nodiscard]] std::string_view otlp_unit(std::string_view name, std::string_view unit,
                                         OtlpShape shape);

/// Whether a receiver that writes Prometheus names would keep this one.
[[nodiscard]] bool keeps_name(std::string_view name, std::string_view unit, OtlpShape shape);

}  // namespace gantry::codec
