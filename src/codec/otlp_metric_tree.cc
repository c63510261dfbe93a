#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "codec/otlp_metric_tree_internal.h"
#include "codec/otlp_names.h"
#include "core/number_format.h"
#include "telemetry/sample.h"

namespace gantry::codec {
namespace {

using telemetry::LabelView;
using telemetry::MetricType;

constexpr std::string_view kScopePrefix = "otel_scope_";
constexpr std::string_view kTargetInfo = "target_info";
constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Counts are integers there, and doubles here.
constexpr double kCountMax = 9007199254740992;  // 2^53

struct Unit {
  std::string_view word;
  std::string_view ucum;
};

constexpr std::array kUnits = std::to_array<Unit>({
    {"amperes", "A"},       {"bytes", "By"},      {"celsius", "Cel"},    {"days", "d"},
    {"gibibytes", "GiBy"},  {"gigabytes", "GBy"}, {"grams", "g"},        {"hertz", "Hz"},
    {"hours", "h"},         {"joules", "J"},      {"kibibytes", "KiBy"}, {"kilobytes", "kBy"},
    {"mebibytes", "MiBy"},  {"megabytes", "MBy"}, {"meters", "m"},       {"microseconds", "us"},
    {"milliseconds", "ms"}, {"minutes", "min"},   {"nanoseconds", "ns"}, {"percent", "%"},
    {"ratio", "1"},         {"seconds", "s"},     {"tebibytes", "TiBy"}, {"terabytes", "TBy"},
    {"volts", "V"},         {"watts", "W"},
});

NameType name_type(OtlpShape shape) {
  if (shape == OtlpShape::Gauge) return NameType::Gauge;
  return shape == OtlpShape::MonotonicSum ? NameType::MonotonicSum : NameType::Other;
}

bool is_count(double value) {
  return value >= 0 && value <= kCountMax && std::floor(value) == value;
}

}  // namespace

std::optional<DenseBuckets> dense_buckets(const std::vector<telemetry::BucketSpan>& spans,
                                          const std::vector<std::uint64_t>& counts) {
  DenseBuckets dense;
  if (spans.empty()) return dense;
  dense.first_index = spans.front().offset;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const std::uint64_t gap = i == 0 ? 0 : static_cast<std::uint64_t>(spans[i].offset);
    if (dense.counts.size() + gap + spans[i].length > kOtlpBucketsMax) return std::nullopt;
    dense.counts.resize(dense.counts.size() + gap, 0);
    for (std::uint32_t k = 0; k < spans[i].length; ++k) dense.counts.push_back(counts.at(taken++));
  }
  return dense;
}

bool keeps_name(std::string_view name, std::string_view unit, OtlpShape shape) {
  const auto kept = prometheus_metric_name(name, unit, name_type(shape),
                                           TranslationStrategy::UnderscoreEscapingWithSuffixes);
  return kept && *kept == name;
}

std::string_view otlp_unit(std::string_view name, std::string_view unit, OtlpShape shape) {
  const auto found = std::ranges::find(kUnits, unit, &Unit::word);
  if (found == kUnits.end() || !keeps_name(name, found->ucum, shape)) return "";
  return found->ucum;
}

OtlpMetricTree::OtlpMetricTree(const telemetry::MetricBatch& batch, const MetricFamilies& families,
                               OtlpNames names, TargetAttributes& targets, std::size_t targets_max)
    : batch_(batch),
      names_(names),
      targets_(targets),
      targets_max_(targets_max),
      series_(batch.series.size()) {
  for (std::uint32_t i = 0; i < series_.size(); ++i) describe(i, families);
  std::map<GroupKey, Group> groups;
  for (std::uint32_t i = 0; i < batch.samples.size(); ++i) take_sample(i, groups);
  for (const auto& [key, group] : groups)
    for (const auto& [time, parts] : group) settle(parts);
  for (std::uint32_t i = 0; i < batch.histograms.size(); ++i) take_native(i);
  settle_targets();
}

void OtlpMetricTree::describe(std::uint32_t series, const MetricFamilies& families) {
  Series& out = series_[series];
  std::vector<LabelView> labels;
  if (!batch_.resolver->resolve(series, arena_, labels)) return;
  std::ranges::sort(labels);
  for (const LabelView& label : labels) {
    if (label.value.empty()) continue;
    if (label.name == telemetry::kMetricNameLabel) {
      out.name = label.value;
    } else if (label.name == "job") {
      out.target.first = label.value;
    } else if (label.name == "instance") {
      out.target.second = label.value;
    } else if (label.name.starts_with(kScopePrefix)) {
      out.scope.push_back({label.name.substr(kScopePrefix.size()), label.value});
    } else {
      out.attributes.push_back(label);
    }
  }
  if (out.name.empty()) return;
  out.role = Role::Plain;
  out.metric = out.name;
  const bool has_target = !out.target.first.empty() || !out.target.second.empty();
  if (out.name == kTargetInfo && has_target && !out.attributes.empty()) {
    out.role = Role::TargetInfo;
  } else if (const auto match = families.find(out.name)) {
    out.family = match->family;
    take_part(out, *match);
  }
}

void OtlpMetricTree::take_part(Series& series, const MetricFamilies::Match& match) {
  const bool is_summary = match.family->type == MetricType::Summary;
  if (!is_summary && match.family->type != MetricType::Histogram) return;
  if (match.suffix == "_sum") {
    series.role = Role::Sum;
  } else if (match.suffix == "_count") {
    series.role = Role::Count;
  } else if (match.suffix == "_bucket" || (is_summary && match.suffix.empty())) {
    const auto label =
        std::ranges::find(series.attributes, is_summary ? "quantile" : "le", &LabelView::name);
    if (label == series.attributes.end()) return;
    const auto bound = core::parse_float(label->value);
    if (!bound || std::isnan(*bound)) return;
    series.role = Role::Bound;
    series.bound = *bound;
    series.bound_label = *label;
    series.attributes.erase(label);
  } else {
    return;
  }
  series.metric = match.family->family;
}

void OtlpMetricTree::take_sample(std::uint32_t sample, std::map<GroupKey, Group>& groups) {
  const telemetry::FloatSample& taken = batch_.samples[sample];
  const Series& series = series_.at(taken.series);
  if (series.role == Role::Unreadable) {
    ++omissions_.labels;
    return;
  }
  if (series.role == Role::TargetInfo) {
    learn_target(series, taken.value);
    target_samples_.push_back(sample);
    return;
  }
  if (series.role == Role::Plain) return add_number(sample);
  OtlpParts& parts = groups[{.metric = series.metric,
                             .target = series.target,
                             .scope = series.scope,
                             .attributes = series.attributes}][taken.timestamp_ms];
  bool is_first = false;
  if (series.role == Role::Bound) {
    is_first = parts.bounds.emplace(series.bound, sample).second;
  } else {
    std::optional<std::uint32_t>& place = series.role == Role::Sum ? parts.sum : parts.count;
    is_first = !place;
    if (is_first) place = sample;
  }
  if (is_first) return;
  // le="1" and le="1.0" are two series: what has such is sent in pieces.
  parts.has_doubles = true;
  add_number(sample);
}

void OtlpMetricTree::take_native(std::uint32_t histogram) {
  const telemetry::HistogramSample& taken = batch_.histograms[histogram];
  const Series& series = series_.at(taken.series);
  if (series.name.empty()) {
    ++omissions_.labels;
    return;
  }
  OtlpShape shape = OtlpShape::Exponential;
  const auto* const counts = std::get_if<telemetry::IntegerHistogram>(&taken.histogram);
  if (counts != nullptr && counts->uses_custom_buckets()) shape = OtlpShape::Histogram;
  const bool is_sayable = counts != nullptr && counts->hint != telemetry::CounterResetHint::Gauge &&
                          dense_buckets(counts->positive_spans, counts->positive_counts) &&
                          dense_buckets(counts->negative_spans, counts->negative_counts);
  if (!telemetry::is_stale(taken.histogram) && !is_sayable) {
    ++omissions_.histograms;
    return;
  }
  metric_of(series, {.name = series.name, .shape = shape})
      .points.push_back({.series = taken.series, .value = OtlpNativeOf{histogram}});
}

void OtlpMetricTree::learn_target(const Series& series, double value) {
  const std::pair target(std::string(series.target.first), std::string(series.target.second));
  if (telemetry::is_stale_nan(value)) {
    targets_.erase(target);
    return;
  }
  if (targets_.size() >= targets_max_ && !targets_.contains(target)) return;
  std::vector<telemetry::Label>& attributes = targets_[target];
  attributes.clear();
  for (const auto& [name, text] : series.attributes)
    attributes.push_back({.name = std::string(name), .value = std::string(text)});
}

/// Nothing would be left of a target that comes alone, or of its end.
void OtlpMetricTree::settle_targets() {
  std::vector<std::uint32_t> alone;
  for (const std::uint32_t sample : target_samples_) {
    const telemetry::FloatSample& taken = batch_.samples[sample];
    if (telemetry::is_stale_nan(taken.value) ||
        !resources_.contains(series_.at(taken.series).target))
      alone.push_back(sample);
  }
  for (const std::uint32_t sample : alone) add_number(sample);
}

OtlpShape OtlpMetricTree::shape_of(const Series& series) const {
  if (series.family == nullptr) return OtlpShape::Gauge;
  const bool is_own_name = series.name == series.family->family ||
                           series.name.ends_with("_total") || series.name.ends_with("_info");
  switch (series.family->type) {
    case MetricType::Counter:
      if (!is_own_name) return OtlpShape::Gauge;
      return names_ == OtlpNames::AsTyped || keeps_name(series.name, "", OtlpShape::MonotonicSum)
                 ? OtlpShape::MonotonicSum
                 : OtlpShape::Gauge;
    case MetricType::Info:
    case MetricType::StateSet:
      return OtlpShape::PlainSum;
    case MetricType::Unknown:
    case MetricType::Gauge:
    case MetricType::Histogram:
    case MetricType::GaugeHistogram:
    case MetricType::Summary:
      return OtlpShape::Gauge;
  }
  return OtlpShape::Gauge;
}

OtlpMetricOf& OtlpMetricTree::metric_of(const Series& series, OtlpMetricKey key) {
  OtlpMetricOf& metric = resources_[series.target][series.scope][key];
  metric.family = series.family;
  return metric;
}

void OtlpMetricTree::add_number(std::uint32_t sample) {
  const std::uint32_t index = batch_.samples[sample].series;
  const Series& series = series_.at(index);
  metric_of(series, {.name = series.name, .shape = shape_of(series)})
      .points.push_back({.series = index, .value = OtlpNumberOf{sample}});
}

/// Cumulative, up to the count.
bool OtlpMetricTree::are_buckets(const OtlpParts& parts, double count) const {
  if (parts.bounds.empty() || parts.bounds.rbegin()->first != kInfinity) return false;
  double before = 0;
  for (const auto& [bound, sample] : parts.bounds) {
    const double value = batch_.samples[sample].value;
    if (!is_count(value) || value < before) return false;
    before = value;
  }
  return before == count;
}

bool OtlpMetricTree::is_whole(const OtlpParts& parts, MetricType type) const {
  if (!parts.count || parts.has_doubles) return false;
  const bool is_summary = type == MetricType::Summary;
  if (is_summary && !parts.sum) return false;
  std::size_t stale = 0;
  const auto look_at = [&](std::uint32_t sample) {
    if (telemetry::is_stale_nan(batch_.samples[sample].value)) ++stale;
  };
  look_at(*parts.count);
  if (parts.sum) look_at(*parts.sum);
  for (const auto& [bound, sample] : parts.bounds) look_at(sample);
  if (stale > 0) {
    // A receiver marks all that a point can have, a sum and the last bucket too.
    const bool has_all =
        parts.sum &&
        (is_summary || (!parts.bounds.empty() && parts.bounds.rbegin()->first == kInfinity));
    return has_all && stale == parts.bounds.size() + 2;
  }
  const double count = batch_.samples[*parts.count].value;
  return is_count(count) && (is_summary || are_buckets(parts, count));
}

void OtlpMetricTree::settle(const OtlpParts& parts) {
  const std::uint32_t any = parts.count ? *parts.count
                            : parts.sum ? *parts.sum
                                        : parts.bounds.begin()->second;
  const std::uint32_t index = batch_.samples[any].series;
  const Series& series = series_.at(index);
  if (is_whole(parts, series.family->type)) {
    const OtlpShape shape =
        series.family->type == MetricType::Summary ? OtlpShape::Summary : OtlpShape::Histogram;
    metric_of(series, {.name = series.metric, .shape = shape})
        .points.push_back({.series = index, .value = parts});
    return;
  }
  if (parts.sum) add_number(*parts.sum);
  if (parts.count) add_number(*parts.count);
  for (const auto& [bound, sample] : parts.bounds) add_number(sample);
}

}  // namespace gantry::codec
