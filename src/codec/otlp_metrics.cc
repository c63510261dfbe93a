#include "codec/otlp_metrics.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_message.hpp>

#include "codec/otlp_fields.h"
#include "codec/otlp_json.h"
#include "core/arena.h"

namespace gantry::codec {

namespace {

using protozero::pbf_message;
using protozero::pbf_wire_type;

/// The bytes of a repeated field's occurrences, tags included: a view while they follow each other,
/// as every encoder writes them, else a copy.
class FieldRun {
 public:
  void add(const char* begin, const char* end) {
    if (run_.empty()) {
      run_ = {begin, static_cast<std::size_t>(end - begin)};
    } else if (joined_.empty() && run_.data() + run_.size() == begin) {
      run_ = {run_.data(), static_cast<std::size_t>(end - run_.data())};
    } else {
      if (joined_.empty()) joined_ = run_;
      joined_.append(begin, end);
    }
  }

  [[nodiscard]] std::string_view bytes(core::Arena& arena) const {
    return joined_.empty() ? run_ : arena.copy(joined_);
  }

 private:
  std::string_view run_;
  std::string joined_;
};

/// A message that remembers where the current field began.
template <class Field>
class Walker {
 public:
  explicit Walker(std::string_view bytes) : message_(bytes) {}

  bool next() {
    begin_ = message_.data().data();
    return message_.next();
  }

  /// Skips the current field and adds its bytes to `run`.
  void collect(FieldRun& run) {
    message_.skip();
    run.add(begin_, message_.data().data());
  }

  pbf_message<Field>* operator->() { return &message_; }

 private:
  pbf_message<Field> message_;
  const char* begin_ = nullptr;
};

template <class Range, class T>
void append_range(const Range& range, std::vector<T>& out) {
  for (const auto value : range) out.push_back(value);
}

/// All point messages number their time alike.
std::uint64_t time_of_point(std::string_view bytes) {
  using otlp::NumberDataPoint;
  std::uint64_t time_ns = 0;
  pbf_message<NumberDataPoint> message(bytes);
  while (message.next()) {
    if (message.tag_and_type() ==
        tag_and_type(NumberDataPoint::TimeUnixNano, pbf_wire_type::fixed64)) {
      time_ns = message.get_fixed64();
    } else {
      message.skip();
    }
  }
  return time_ns;
}

OtlpBuckets decode_buckets(std::string_view bytes) {
  using otlp::Buckets;
  OtlpBuckets buckets;
  pbf_message<Buckets> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(Buckets::Offset, pbf_wire_type::varint):
        buckets.offset = message.get_sint32();
        break;
      case tag_and_type(Buckets::BucketCounts, pbf_wire_type::length_delimited):
        append_range(message.get_packed_uint64(), buckets.counts);
        break;
      case tag_and_type(Buckets::BucketCounts, pbf_wire_type::varint):
        buckets.counts.push_back(message.get_uint64());
        break;
      default:
        message.skip();
    }
  }
  return buckets;
}

OtlpQuantile decode_quantile(std::string_view bytes) {
  using otlp::ValueAtQuantile;
  OtlpQuantile quantile;
  pbf_message<ValueAtQuantile> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(ValueAtQuantile::Quantile, pbf_wire_type::fixed64):
        quantile.quantile = message.get_double();
        break;
      case tag_and_type(ValueAtQuantile::Value, pbf_wire_type::fixed64):
        quantile.value = message.get_double();
        break;
      default:
        message.skip();
    }
  }
  return quantile;
}

}  // namespace

struct OtlpMetricsDecoder::Impl {
  OtlpTranslator translator;
  core::Arena arena;          ///< Attributes that were not together on the wire.
  std::string protobuf_body;  ///< What a JSON body was turned into.
  std::vector<std::string_view> exemplars;
  OtlpHistogramPoint histogram_point;
  OtlpOptions empty_options;

  void begin(const OtlpOptions& options, std::uint64_t body_bytes) {
    translator.begin(options, body_bytes);
    arena.clear();
  }

  /// `body_bytes`: of the request as it came, which `body` may have been made from.
  Result<void> decode(std::string_view body, const OtlpOptions& options, std::uint64_t body_bytes);
  void decode_resource_metrics(std::string_view bytes);
  void decode_scope_metrics(std::string_view bytes);
  void decode_metric(std::string_view bytes);
  void decode_points(OtlpMetricKind kind, std::string_view data);
  void decode_number(std::string_view bytes);
  void decode_histogram(std::string_view bytes);
  void decode_exponential(std::string_view bytes);
  void decode_summary(std::string_view bytes);
};

/// Hot: per point.
void OtlpMetricsDecoder::Impl::decode_number(std::string_view bytes) {
  using otlp::NumberDataPoint;
  OtlpNumberPoint point;
  FieldRun attributes;
  exemplars.clear();
  for (Walker<NumberDataPoint> message(bytes); message.next();) {
    switch (message->tag_and_type()) {
      case tag_and_type(NumberDataPoint::StartTimeUnixNano, pbf_wire_type::fixed64):
        point.start_ns = message->get_fixed64();
        break;
      case tag_and_type(NumberDataPoint::TimeUnixNano, pbf_wire_type::fixed64):
        point.time_ns = message->get_fixed64();
        break;
      case tag_and_type(NumberDataPoint::AsDouble, pbf_wire_type::fixed64):
        point.value = message->get_double();
        break;
      case tag_and_type(NumberDataPoint::AsInt, pbf_wire_type::fixed64):
        point.value = static_cast<double>(message->get_sfixed64());
        break;
      case tag_and_type(NumberDataPoint::Exemplars, pbf_wire_type::length_delimited):
        exemplars.push_back(message->get_view());
        break;
      case tag_and_type(NumberDataPoint::Attributes, pbf_wire_type::length_delimited):
        message.collect(attributes);
        break;
      case tag_and_type(NumberDataPoint::Flags, pbf_wire_type::varint):
        point.flags = message->get_uint32();
        break;
      default:
        message->skip();
    }
  }
  point.attributes = attributes.bytes(arena);
  point.exemplars = exemplars;
  translator.add(point);
}

void OtlpMetricsDecoder::Impl::decode_histogram(std::string_view bytes) {
  using otlp::HistogramDataPoint;
  OtlpHistogramPoint& point = histogram_point;
  static_cast<OtlpPoint&>(point) = {};
  point.count = 0;
  point.sum.reset();
  point.bucket_counts.clear();
  point.bounds.clear();
  FieldRun attributes;
  exemplars.clear();
  for (Walker<HistogramDataPoint> message(bytes); message.next();) {
    switch (message->tag_and_type()) {
      case tag_and_type(HistogramDataPoint::StartTimeUnixNano, pbf_wire_type::fixed64):
        point.start_ns = message->get_fixed64();
        break;
      case tag_and_type(HistogramDataPoint::TimeUnixNano, pbf_wire_type::fixed64):
        point.time_ns = message->get_fixed64();
        break;
      case tag_and_type(HistogramDataPoint::Count, pbf_wire_type::fixed64):
        point.count = message->get_fixed64();
        break;
      case tag_and_type(HistogramDataPoint::Sum, pbf_wire_type::fixed64):
        point.sum = message->get_double();
        break;
      case tag_and_type(HistogramDataPoint::BucketCounts, pbf_wire_type::length_delimited):
        append_range(message->get_packed_fixed64(), point.bucket_counts);
        break;
      case tag_and_type(HistogramDataPoint::BucketCounts, pbf_wire_type::fixed64):
        point.bucket_counts.push_back(message->get_fixed64());
        break;
      case tag_and_type(HistogramDataPoint::ExplicitBounds, pbf_wire_type::length_delimited):
        append_range(message->get_packed_double(), point.bounds);
        break;
      case tag_and_type(HistogramDataPoint::ExplicitBounds, pbf_wire_type::fixed64):
        point.bounds.push_back(message->get_double());
        break;
      case tag_and_type(HistogramDataPoint::Exemplars, pbf_wire_type::length_delimited):
        exemplars.push_back(message->get_view());
        break;
      case tag_and_type(HistogramDataPoint::Attributes, pbf_wire_type::length_delimited):
        message.collect(attributes);
        break;
      case tag_and_type(HistogramDataPoint::Flags, pbf_wire_type::varint):
        point.flags = message->get_uint32();
        break;
      default:
        message->skip();
    }
  }
  point.attributes = attributes.bytes(arena);
  point.exemplars = exemplars;
  translator.add(point);
}

void OtlpMetricsDecoder::Impl::decode_exponential(std::string_view bytes) {
  using Field = otlp::ExponentialHistogramDataPoint;
  OtlpExponentialPoint point;
  FieldRun attributes;
  exemplars.clear();
  for (Walker<Field> message(bytes); message.next();) {
    switch (message->tag_and_type()) {
      case tag_and_type(Field::Attributes, pbf_wire_type::length_delimited):
        message.collect(attributes);
        break;
      case tag_and_type(Field::StartTimeUnixNano, pbf_wire_type::fixed64):
        point.start_ns = message->get_fixed64();
        break;
      case tag_and_type(Field::TimeUnixNano, pbf_wire_type::fixed64):
        point.time_ns = message->get_fixed64();
        break;
      case tag_and_type(Field::Count, pbf_wire_type::fixed64):
        point.count = message->get_fixed64();
        break;
      case tag_and_type(Field::Sum, pbf_wire_type::fixed64):
        point.sum = message->get_double();
        break;
      case tag_and_type(Field::Scale, pbf_wire_type::varint):
        point.scale = message->get_sint32();
        break;
      case tag_and_type(Field::ZeroCount, pbf_wire_type::fixed64):
        point.zero_count = message->get_fixed64();
        break;
      case tag_and_type(Field::Positive, pbf_wire_type::length_delimited):
        point.positive = decode_buckets(message->get_view());
        break;
      case tag_and_type(Field::Negative, pbf_wire_type::length_delimited):
        point.negative = decode_buckets(message->get_view());
        break;
      case tag_and_type(Field::Flags, pbf_wire_type::varint):
        point.flags = message->get_uint32();
        break;
      case tag_and_type(Field::Exemplars, pbf_wire_type::length_delimited):
        exemplars.push_back(message->get_view());
        break;
      case tag_and_type(Field::ZeroThreshold, pbf_wire_type::fixed64):
        point.zero_threshold = message->get_double();
        break;
      default:
        message->skip();
    }
  }
  point.attributes = attributes.bytes(arena);
  point.exemplars = exemplars;
  translator.add(point);
}

void OtlpMetricsDecoder::Impl::decode_summary(std::string_view bytes) {
  using otlp::SummaryDataPoint;
  OtlpSummaryPoint point;
  FieldRun attributes;
  for (Walker<SummaryDataPoint> message(bytes); message.next();) {
    switch (message->tag_and_type()) {
      case tag_and_type(SummaryDataPoint::StartTimeUnixNano, pbf_wire_type::fixed64):
        point.start_ns = message->get_fixed64();
        break;
      case tag_and_type(SummaryDataPoint::TimeUnixNano, pbf_wire_type::fixed64):
        point.time_ns = message->get_fixed64();
        break;
      case tag_and_type(SummaryDataPoint::Count, pbf_wire_type::fixed64):
        point.count = message->get_fixed64();
        break;
      case tag_and_type(SummaryDataPoint::Sum, pbf_wire_type::fixed64):
        point.sum = message->get_double();
        break;
      case tag_and_type(SummaryDataPoint::QuantileValues, pbf_wire_type::length_delimited):
        point.quantiles.push_back(decode_quantile(message->get_view()));
        break;
      case tag_and_type(SummaryDataPoint::Attributes, pbf_wire_type::length_delimited):
        message.collect(attributes);
        break;
      case tag_and_type(SummaryDataPoint::Flags, pbf_wire_type::varint):
        point.flags = message->get_uint32();
        break;
      default:
        message->skip();
    }
  }
  point.attributes = attributes.bytes(arena);
  translator.add(point);
}

void OtlpMetricsDecoder::Impl::decode_points(OtlpMetricKind kind, std::string_view data) {
  using otlp::MetricData;
  pbf_message<MetricData> message(data);
  while (message.next(MetricData::DataPoints, pbf_wire_type::length_delimited)) {
    const std::string_view point = message.get_view();
    switch (kind) {
      case OtlpMetricKind::Gauge:
      case OtlpMetricKind::Sum:
        decode_number(point);
        break;
      case OtlpMetricKind::Histogram:
        decode_histogram(point);
        break;
      case OtlpMetricKind::ExponentialHistogram:
        decode_exponential(point);
        break;
      case OtlpMetricKind::Summary:
        decode_summary(point);
        break;
    }
  }
}

void OtlpMetricsDecoder::Impl::decode_metric(std::string_view bytes) {
  using otlp::Metric;
  using otlp::MetricData;
  OtlpMetric metric;
  std::string_view data;
  const auto take_data = [&](OtlpMetricKind kind, pbf_message<Metric>& message) {
    metric.kind = kind;
    data = message.get_view();
  };
  for (pbf_message<Metric> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(Metric::Name, pbf_wire_type::length_delimited):
        metric.name = message.get_view();
        break;
      case tag_and_type(Metric::Description, pbf_wire_type::length_delimited):
        metric.description = message.get_view();
        break;
      case tag_and_type(Metric::Unit, pbf_wire_type::length_delimited):
        metric.unit = message.get_view();
        break;
      case tag_and_type(Metric::Gauge, pbf_wire_type::length_delimited):
        take_data(OtlpMetricKind::Gauge, message);
        break;
      case tag_and_type(Metric::Sum, pbf_wire_type::length_delimited):
        take_data(OtlpMetricKind::Sum, message);
        break;
      case tag_and_type(Metric::Histogram, pbf_wire_type::length_delimited):
        take_data(OtlpMetricKind::Histogram, message);
        break;
      case tag_and_type(Metric::ExponentialHistogram, pbf_wire_type::length_delimited):
        take_data(OtlpMetricKind::ExponentialHistogram, message);
        break;
      case tag_and_type(Metric::Summary, pbf_wire_type::length_delimited):
        take_data(OtlpMetricKind::Summary, message);
        break;
      default:
        message.skip();
    }
  }
  // The temporality comes behind the points it is about.
  std::uint64_t point_count = 0;
  for (pbf_message<MetricData> message(data); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(MetricData::AggregationTemporality, pbf_wire_type::varint):
        metric.temporality = static_cast<OtlpTemporality>(message.get_enum());
        break;
      case tag_and_type(MetricData::IsMonotonic, pbf_wire_type::varint):
        metric.is_monotonic = message.get_bool();
        break;
      case tag_and_type(MetricData::DataPoints, pbf_wire_type::length_delimited):
        ++point_count;
        [[fallthrough]];
      default:
        message.skip();
    }
  }
  if (translator.begin_metric(metric, point_count)) {
    decode_points(metric.kind, data);
    return;
  }
  pbf_message<MetricData> message(data);
  while (message.next(MetricData::DataPoints, pbf_wire_type::length_delimited)) {
    translator.skip_point(time_of_point(message.get_view()));
  }
}

void OtlpMetricsDecoder::Impl::decode_scope_metrics(std::string_view bytes) {
  using otlp::InstrumentationScope;
  using otlp::ScopeMetrics;
  OtlpScope scope;
  std::string_view scope_bytes;
  for (pbf_message<ScopeMetrics> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(ScopeMetrics::Scope, pbf_wire_type::length_delimited):
        scope_bytes = message.get_view();
        break;
      case tag_and_type(ScopeMetrics::SchemaUrl, pbf_wire_type::length_delimited):
        scope.schema_url = message.get_view();
        break;
      default:
        message.skip();
    }
  }
  FieldRun attributes;
  for (Walker<InstrumentationScope> message(scope_bytes); message.next();) {
    switch (message->tag_and_type()) {
      case tag_and_type(InstrumentationScope::Name, pbf_wire_type::length_delimited):
        scope.name = message->get_view();
        break;
      case tag_and_type(InstrumentationScope::Version, pbf_wire_type::length_delimited):
        scope.version = message->get_view();
        break;
      case tag_and_type(InstrumentationScope::Attributes, pbf_wire_type::length_delimited):
        message.collect(attributes);
        break;
      default:
        message->skip();
    }
  }
  scope.attributes = attributes.bytes(arena);
  translator.begin_scope(scope);
  pbf_message<ScopeMetrics> message(bytes);
  while (message.next(ScopeMetrics::Metrics, pbf_wire_type::length_delimited)) {
    decode_metric(message.get_view());
  }
}

void OtlpMetricsDecoder::Impl::decode_resource_metrics(std::string_view bytes) {
  using otlp::ResourceMetrics;
  std::string_view resource;
  pbf_message<ResourceMetrics> resource_message(bytes);
  while (resource_message.next(ResourceMetrics::Resource, pbf_wire_type::length_delimited)) {
    resource = resource_message.get_view();
  }
  FieldRun attributes;
  for (Walker<otlp::Resource> message(resource); message.next();) {
    if (message->tag_and_type() ==
        tag_and_type(otlp::Resource::Attributes, pbf_wire_type::length_delimited)) {
      message.collect(attributes);
    } else {
      message->skip();
    }
  }
  translator.begin_resource({.attributes = attributes.bytes(arena)});
  pbf_message<ResourceMetrics> message(bytes);
  while (message.next(ResourceMetrics::ScopeMetrics, pbf_wire_type::length_delimited)) {
    decode_scope_metrics(message.get_view());
  }
  translator.end_resource();
}

Result<void> OtlpMetricsDecoder::Impl::decode(std::string_view body, const OtlpOptions& options,
                                              std::uint64_t body_bytes) {
  using Request = otlp::ExportMetricsServiceRequest;
  begin(options, body_bytes);
  std::size_t resource_count = 0;
  try {
    pbf_message<Request> message(body);
    while (message.next(Request::ResourceMetrics, pbf_wire_type::length_delimited)) {
      decode_resource_metrics(message.get_view());
      ++resource_count;
    }
  } catch (const protozero::exception& error) {
    begin(options, 0);
    return fail(Code::InvalidArgument,
                fmt::format("body is not an OTLP metrics request: {} in resourceMetrics[{}]",
                            error.what(), resource_count));
  }
  return {};
}

OtlpMetricsDecoder::OtlpMetricsDecoder() : impl_(std::make_unique<Impl>()) {
  impl_->begin(impl_->empty_options, 0);
}

OtlpMetricsDecoder::~OtlpMetricsDecoder() = default;
OtlpMetricsDecoder::OtlpMetricsDecoder(OtlpMetricsDecoder&&) noexcept = default;
OtlpMetricsDecoder& OtlpMetricsDecoder::operator=(OtlpMetricsDecoder&&) noexcept = default;

Result<void> OtlpMetricsDecoder::decode_protobuf(std::string_view body,
                                                 const OtlpOptions& options) {
  return impl_->decode(body, options, body.size());
}

Result<void> OtlpMetricsDecoder::decode_json(std::string_view body, const OtlpOptions& options) {
  impl_->begin(options, 0);
  GANTRY_CHECK(otlp_json_to_protobuf(OtlpJsonMessage::MetricsRequest, body, impl_->protobuf_body));
  return impl_->decode(impl_->protobuf_body, options, body.size());
}

const telemetry::MetricBatch& OtlpMetricsDecoder::batch() const {
  return impl_->translator.batch();
}

const OtlpOutcome& OtlpMetricsDecoder::outcome() const {
  return impl_->translator.outcome();
}

std::uint64_t OtlpMetricsDecoder::count_refused_points(
    const telemetry::AppendResult& result) const {
  return impl_->translator.count_refused_points(result);
}

}  // namespace gantry::codec
