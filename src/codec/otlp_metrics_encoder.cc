#include "codec/otlp_metrics_encoder.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include <protozero/pbf_builder.hpp>
#include <protozero/pbf_writer.hpp>

#include "codec/otlp_fields.h"
#include "codec/otlp_json_printer.h"
#include "codec/otlp_metric_tree_internal.h"
#include "core/error.h"
#include "telemetry/sample.h"

namespace gantry::codec {
namespace {

using telemetry::LabelView;

constexpr std::uint64_t kNanosecondsPerMs = 1'000'000;
constexpr std::uint32_t kNoRecordedValue = 1;
constexpr std::int32_t kCumulative = 2;
constexpr std::string_view kPrometheusType = "prometheus.type";

template <class Field>
using Builder = protozero::basic_pbf_builder<std::string, Field>;

/// OTLP knows no time before 1970.
std::uint64_t nanoseconds(std::int64_t ms) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1'000'000;
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(ms, 0, kMost)) * kNanosecondsPerMs;
}

template <class Field>
void add_text(Builder<Field>& out, Field field, std::string_view text) {
  if (!text.empty()) out.add_string(field, text.data(), text.size());
}

template <class Field>
void add_attribute(Builder<Field>& out, Field field, std::string_view key, std::string_view text) {
  std::string value;
  Builder<otlp::AnyValue>(value).add_string(otlp::AnyValue::StringValue, text.data(), text.size());
  std::string attribute;
  Builder<otlp::KeyValue> message(attribute);
  message.add_string(otlp::KeyValue::Key, key.data(), key.size());
  message.add_message(otlp::KeyValue::Value, value);
  out.add_message(field, attribute);
}

/// Both ids are hexadecimal; "" when the text is none of `bytes` bytes.
std::string id_bytes(std::string_view hex, std::size_t bytes) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (hex.size() != 2 * bytes) return "";
  std::string id;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return "";
    id.push_back(static_cast<char>(high * 16 + low));
  }
  return id;
}

std::string encode_exemplar(const telemetry::Exemplar& exemplar) {
  using otlp::Exemplar;
  std::string bytes;
  Builder<Exemplar> message(bytes);
  for (const auto& [name, value] : exemplar.labels) {
    const bool is_trace = name == "trace_id";
    const std::string id = is_trace            ? id_bytes(value, 16)
                           : name == "span_id" ? id_bytes(value, 8)
                                               : "";
    if (id.empty())
      add_attribute(message, Exemplar::FilteredAttributes, name, value);
    else
      message.add_bytes(is_trace ? Exemplar::TraceId : Exemplar::SpanId, id);
  }
  message.add_fixed64(Exemplar::TimeUnixNano, nanoseconds(exemplar.timestamp_ms));
  message.add_double(Exemplar::AsDouble, exemplar.value);
  return bytes;
}

/// Writes one tree.
class Writer {
 public:
  Writer(const telemetry::MetricBatch& batch, const OtlpMetricTree& tree,
         const TargetAttributes& targets)
      : batch_(batch),
        tree_(tree),
        targets_(targets),
        exemplars_(batch.series.size()),
        last_ms_(batch.series.size(), std::numeric_limits<std::int64_t>::min()) {
    for (const telemetry::Exemplar& exemplar : batch.exemplars)
      exemplars_.at(exemplar.series).push_back(&exemplar);
    const auto see = [&](std::uint32_t series, std::int64_t timestamp_ms) {
      last_ms_.at(series) = std::max(last_ms_.at(series), timestamp_ms);
    };
    for (const auto& sample : batch.samples) see(sample.series, sample.timestamp_ms);
    for (const auto& sample : batch.histograms) see(sample.series, sample.timestamp_ms);
  }

  void write(std::string& out) {
    using otlp::ExportMetricsServiceRequest;
    Builder<ExportMetricsServiceRequest> request(out);
    for (const auto& [target, scopes] : tree_.resources()) {
      using otlp::ResourceMetrics;
      std::string bytes;
      Builder<ResourceMetrics> message(bytes);
      message.add_message(ResourceMetrics::Resource, encode_resource(target));
      for (const auto& [labels, metrics] : scopes)
        message.add_message(ResourceMetrics::ScopeMetrics, encode_scope(labels, metrics));
      request.add_message(ExportMetricsServiceRequest::ResourceMetrics, bytes);
    }
  }

 private:
  std::string encode_resource(const std::pair<std::string_view, std::string_view>& target) const {
    using otlp::Resource;
    std::string bytes;
    Builder<Resource> message(bytes);
    const auto& [job, instance] = target;
    if (!job.empty()) add_attribute(message, Resource::Attributes, "service.name", job);
    if (!instance.empty())
      add_attribute(message, Resource::Attributes, "service.instance.id", instance);
    const auto found = targets_.find({std::string(job), std::string(instance)});
    if (found == targets_.end()) return bytes;
    for (const telemetry::Label& label : found->second)
      add_attribute(message, Resource::Attributes, label.name, label.value);
    return bytes;
  }

  std::string encode_scope(const OtlpScopeLabels& labels, const OtlpMetricMap& metrics) {
    using otlp::InstrumentationScope;
    using otlp::ScopeMetrics;
    std::string scope;
    Builder<InstrumentationScope> scope_message(scope);
    std::string_view schema_url;
    for (const auto& [name, value] : labels) {
      if (name == "name")
        add_text(scope_message, InstrumentationScope::Name, value);
      else if (name == "version")
        add_text(scope_message, InstrumentationScope::Version, value);
      else if (name == "schema_url")
        schema_url = value;
      else
        add_attribute(scope_message, InstrumentationScope::Attributes, name, value);
    }
    std::string bytes;
    Builder<ScopeMetrics> message(bytes);
    message.add_message(ScopeMetrics::Scope, scope);
    for (const auto& [key, metric] : metrics)
      message.add_message(ScopeMetrics::Metrics, encode_metric(key, metric));
    add_text(message, ScopeMetrics::SchemaUrl, schema_url);
    return bytes;
  }

  std::string encode_metric(const OtlpMetricKey& key, const OtlpMetricOf& metric) {
    using otlp::Metric;
    std::string bytes;
    Builder<Metric> message(bytes);
    add_text(message, Metric::Name, key.name);
    auto type = telemetry::MetricType::Unknown;
    if (metric.family != nullptr) {
      type = metric.family->type;
      add_text(message, Metric::Description, metric.family->help);
      add_text(message, Metric::Unit, otlp_unit(key.name, metric.family->unit, key.shape));
    }
    message.add_message(field_of(key.shape), encode_data(key.shape, metric));
    add_attribute(message, Metric::Metadata, kPrometheusType, telemetry::metric_type_name(type));
    return bytes;
  }

  static otlp::Metric field_of(OtlpShape shape) {
    switch (shape) {
      case OtlpShape::Gauge:
        return otlp::Metric::Gauge;
      case OtlpShape::MonotonicSum:
      case OtlpShape::PlainSum:
        return otlp::Metric::Sum;
      case OtlpShape::Histogram:
        return otlp::Metric::Histogram;
      case OtlpShape::Exponential:
        return otlp::Metric::ExponentialHistogram;
      case OtlpShape::Summary:
        return otlp::Metric::Summary;
    }
    return otlp::Metric::Gauge;
  }

  std::string encode_data(OtlpShape shape, const OtlpMetricOf& metric) {
    using otlp::MetricData;
    std::string bytes;
    Builder<MetricData> message(bytes);
    for (const OtlpPointOf& point : metric.points)
      message.add_message(MetricData::DataPoints, encode_point(shape, point));
    if (shape != OtlpShape::Gauge && shape != OtlpShape::Summary)
      message.add_enum(MetricData::AggregationTemporality, kCumulative);
    if (shape == OtlpShape::MonotonicSum) message.add_bool(MetricData::IsMonotonic, true);
    return bytes;
  }

  std::string encode_point(OtlpShape shape, const OtlpPointOf& point) {
    if (const auto* const number = std::get_if<OtlpNumberOf>(&point.value))
      return encode_number(point.series, number->sample);
    if (const auto* const native = std::get_if<OtlpNativeOf>(&point.value)) {
      const telemetry::HistogramSample& sample = batch_.histograms[native->histogram];
      return shape == OtlpShape::Histogram ? encode_custom(sample) : encode_exponential(sample);
    }
    const auto& parts = std::get<OtlpParts>(point.value);
    return shape == OtlpShape::Summary ? encode_summary(point.series, parts)
                                       : encode_classic(point.series, parts);
  }

  /// All kinds of points number time and start alike.
  template <class Field>
  void add_times(Builder<Field>& message, std::int64_t start_ms, std::int64_t timestamp_ms) const {
    if (start_ms > 0) message.add_fixed64(Field::StartTimeUnixNano, nanoseconds(start_ms));
    message.add_fixed64(Field::TimeUnixNano, nanoseconds(timestamp_ms));
  }

  template <class Field>
  void add_attributes(Builder<Field>& message, std::uint32_t series) const {
    for (const auto& [name, value] : tree_.attributes(series))
      add_attribute(message, Field::Attributes, name, value);
  }

  template <class Field>
  void add_exemplars(Builder<Field>& message, std::uint32_t series,
                     std::int64_t timestamp_ms) const {
    if (timestamp_ms != last_ms_[series]) return;
    for (const telemetry::Exemplar* const exemplar : exemplars_[series])
      message.add_message(Field::Exemplars, encode_exemplar(*exemplar));
  }

  [[nodiscard]] std::int64_t start_of(std::uint32_t sample) const {
    return batch_.start_timestamps_ms.empty() ? 0 : batch_.start_timestamps_ms.at(sample);
  }

  std::string encode_number(std::uint32_t series, std::uint32_t index) const {
    using Field = otlp::NumberDataPoint;
    const telemetry::FloatSample& sample = batch_.samples[index];
    std::string bytes;
    Builder<Field> message(bytes);
    add_times(message, start_of(index), sample.timestamp_ms);
    const bool is_stale = telemetry::is_stale_nan(sample.value);
    if (!is_stale) message.add_double(Field::AsDouble, sample.value);
    add_exemplars(message, series, sample.timestamp_ms);
    add_attributes(message, series);
    if (const LabelView bound = tree_.bound_label(series); !bound.name.empty())
      add_attribute(message, Field::Attributes, bound.name, bound.value);
    if (is_stale) message.add_uint32(Field::Flags, kNoRecordedValue);
    return bytes;
  }

  std::string encode_classic(std::uint32_t series, const OtlpParts& parts) const {
    using Field = otlp::HistogramDataPoint;
    const telemetry::FloatSample& count = batch_.samples[*parts.count];
    const bool is_stale = telemetry::is_stale_nan(count.value);
    std::vector<double> bounds;
    std::vector<std::uint64_t> counts;
    double before = 0;
    for (const auto& [bound, sample] : parts.bounds) {
      bounds.push_back(bound);
      const double value = batch_.samples[sample].value;
      if (!is_stale) counts.push_back(static_cast<std::uint64_t>(value - before));
      before = value;
    }
    bounds.pop_back();  // +Inf
    std::string bytes;
    Builder<Field> message(bytes);
    add_times(message, start_of(*parts.count), count.timestamp_ms);
    if (!is_stale) {
      message.add_fixed64(Field::Count, static_cast<std::uint64_t>(count.value));
      if (parts.sum) message.add_double(Field::Sum, batch_.samples[*parts.sum].value);
    }
    message.add_packed_fixed64(Field::BucketCounts, counts.begin(), counts.end());
    message.add_packed_double(Field::ExplicitBounds, bounds.begin(), bounds.end());
    for (const auto& [bound, sample] : parts.bounds)
      add_exemplars(message, batch_.samples[sample].series, count.timestamp_ms);
    add_attributes(message, series);
    if (is_stale) message.add_uint32(Field::Flags, kNoRecordedValue);
    return bytes;
  }

  std::string encode_summary(std::uint32_t series, const OtlpParts& parts) const {
    using Field = otlp::SummaryDataPoint;
    const telemetry::FloatSample& count = batch_.samples[*parts.count];
    const bool is_stale = telemetry::is_stale_nan(count.value);
    std::string bytes;
    Builder<Field> message(bytes);
    add_times(message, start_of(*parts.count), count.timestamp_ms);
    if (!is_stale) {
      message.add_fixed64(Field::Count, static_cast<std::uint64_t>(count.value));
      message.add_double(Field::Sum, batch_.samples[*parts.sum].value);
    }
    for (const auto& [quantile, sample] : parts.bounds) {
      std::string value;
      Builder<otlp::ValueAtQuantile> pair(value);
      pair.add_double(otlp::ValueAtQuantile::Quantile, quantile);
      if (!is_stale) pair.add_double(otlp::ValueAtQuantile::Value, batch_.samples[sample].value);
      message.add_message(Field::QuantileValues, value);
    }
    add_attributes(message, series);
    if (is_stale) message.add_uint32(Field::Flags, kNoRecordedValue);
    return bytes;
  }

  std::string encode_exponential(const telemetry::HistogramSample& sample) const {
    using Field = otlp::ExponentialHistogramDataPoint;
    const auto* const counts = std::get_if<telemetry::IntegerHistogram>(&sample.histogram);
    const bool is_stale = telemetry::is_stale(sample.histogram);
    std::string bytes;
    Builder<Field> message(bytes);
    add_attributes(message, sample.series);
    add_times(message, sample.start_timestamp_ms, sample.timestamp_ms);
    if (counts != nullptr) message.add_sint32(Field::Scale, counts->schema);
    if (is_stale) {
      message.add_uint32(Field::Flags, kNoRecordedValue);
      return bytes;
    }
    message.add_fixed64(Field::Count, counts->count);
    message.add_double(Field::Sum, counts->sum);
    message.add_fixed64(Field::ZeroCount, counts->zero_count);
    message.add_message(Field::Positive,
                        encode_buckets(counts->positive_spans, counts->positive_counts));
    message.add_message(Field::Negative,
                        encode_buckets(counts->negative_spans, counts->negative_counts));
    add_exemplars(message, sample.series, sample.timestamp_ms);
    message.add_double(Field::ZeroThreshold, counts->zero_threshold);
    return bytes;
  }

  /// OTLP counts buckets by their lower bound.
  static std::string encode_buckets(const std::vector<telemetry::BucketSpan>& spans,
                                    const std::vector<std::uint64_t>& counts) {
    using otlp::Buckets;
    std::string bytes;
    const auto dense = dense_buckets(spans, counts);
    if (!dense || dense->counts.empty()) return bytes;
    Builder<Buckets> message(bytes);
    message.add_sint32(Buckets::Offset, static_cast<std::int32_t>(dense->first_index - 1));
    message.add_packed_uint64(Buckets::BucketCounts, dense->counts.begin(), dense->counts.end());
    return bytes;
  }

  /// Native with bounds of its own.
  std::string encode_custom(const telemetry::HistogramSample& sample) const {
    using Field = otlp::HistogramDataPoint;
    const auto& counts = std::get<telemetry::IntegerHistogram>(sample.histogram);
    const bool is_stale = telemetry::is_stale(sample.histogram);
    std::string bytes;
    Builder<Field> message(bytes);
    add_times(message, sample.start_timestamp_ms, sample.timestamp_ms);
    if (!is_stale) {
      message.add_fixed64(Field::Count, counts.count);
      message.add_double(Field::Sum, counts.sum);
      std::vector<std::uint64_t> buckets(counts.custom_values.size() + 1);
      const auto dense = dense_buckets(counts.positive_spans, counts.positive_counts);
      GANTRY_ASSERT(dense, "the tree leaves out what is too wide");
      for (std::size_t i = 0; i < dense->counts.size(); ++i)
        buckets.at(static_cast<std::size_t>(dense->first_index) + i) = dense->counts[i];
      message.add_packed_fixed64(Field::BucketCounts, buckets.begin(), buckets.end());
      message.add_packed_double(Field::ExplicitBounds, counts.custom_values.begin(),
                                counts.custom_values.end());
      add_exemplars(message, sample.series, sample.timestamp_ms);
    }
    add_attributes(message, sample.series);
    if (is_stale) message.add_uint32(Field::Flags, kNoRecordedValue);
    return bytes;
  }

  const telemetry::MetricBatch& batch_;
  const OtlpMetricTree& tree_;
  const TargetAttributes& targets_;
  std::vector<std::vector<const telemetry::Exemplar*>> exemplars_;  ///< By series.
  std::vector<std::int64_t> last_ms_;                               ///< By series.
};

}  // namespace

OtlpOmissions OtlpMetricsEncoder::append_protobuf(const telemetry::MetricBatch& batch,
                                                  std::string& out) {
  for (const telemetry::MetricMetadata& metadata : batch.metadata) families_.learn(metadata);
  const OtlpMetricTree tree(batch, families_, names_, targets_, kTargetsMax);
  Writer(batch, tree, targets_).write(out);
  return tree.omissions();
}

OtlpOmissions OtlpMetricsEncoder::append_json(const telemetry::MetricBatch& batch,
                                              std::string& out) {
  std::string message;
  const OtlpOmissions omissions = append_protobuf(batch, message);
  if (message.empty()) return omissions;
  const auto printed = append_otlp_json(OtlpJsonMessage::MetricsRequest, message, out);
  GANTRY_ASSERT(printed, "what was just encoded is readable");
  return omissions;
}

}  // namespace gantry::codec
