#include "codec/metric_family_encoder.h"

#include <cmath>
#include <limits>
#include <utility>

#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>

#include "codec/protobuf_tag_internal.h"

namespace gantry::codec {

namespace {

namespace client = wire::client;
using Writer = protozero::basic_pbf_writer<std::string>;

void write_labels(Writer& metric, std::span<const telemetry::Label> labels) {
  for (const telemetry::Label& label : labels) {
    Writer pair(metric, tag(client::Metric::Label));
    pair.add_string(tag(client::LabelPair::Name), label.name);
    pair.add_string(tag(client::LabelPair::Value), label.value);
  }
}

void write_span(Writer& histogram, client::Histogram field, telemetry::BucketSpan span) {
  Writer message(histogram, tag(field));
  message.add_sint32(tag(client::BucketSpan::Offset), span.offset);
  message.add_uint32(tag(client::BucketSpan::Length), span.length);
}

/// Older readers of classic histograms know the integer fields only.
template <class Field>
void write_classic_count(Writer& message, Field integer, Field floating, double count) {
  constexpr double kExactMax = 9007199254740992;  // 2^53
  if (count >= 0 && count <= kExactMax && std::floor(count) == count) {
    message.add_uint64(tag(integer), static_cast<std::uint64_t>(count));
  } else {
    message.add_double(tag(floating), count);
  }
}

void write_classic(Writer& message, const telemetry::FloatHistogram& histogram) {
  write_classic_count(message, client::Histogram::SampleCount, client::Histogram::SampleCountFloat,
                      histogram.count);
  for (const ClassicBucket& bucket : classic_buckets(histogram)) {
    Writer nested(message, tag(client::Histogram::Bucket));
    write_classic_count(nested, client::Bucket::CumulativeCount,
                        client::Bucket::CumulativeCountFloat, bucket.cumulative_count);
    nested.add_double(tag(client::Bucket::UpperBound), bucket.upper_bound);
  }
}

void write_native(Writer& message, const telemetry::FloatHistogram& histogram) {
  message.add_double(tag(client::Histogram::SampleCountFloat), histogram.count);
  message.add_sint32(tag(client::Histogram::Schema), histogram.schema);
  message.add_double(tag(client::Histogram::ZeroThreshold), histogram.zero_threshold);
  message.add_double(tag(client::Histogram::ZeroCountFloat), histogram.zero_count);
  for (const telemetry::BucketSpan& span : histogram.negative_spans) {
    write_span(message, client::Histogram::NegativeSpan, span);
  }
  message.add_packed_double(tag(client::Histogram::NegativeCount),
                            histogram.negative_counts.begin(), histogram.negative_counts.end());
  // The empty span tells a native histogram that has seen nothing from a classic one.
  const bool is_bare = histogram.negative_spans.empty() && histogram.positive_spans.empty() &&
                       histogram.zero_threshold == 0 && histogram.zero_count == 0;
  if (is_bare) write_span(message, client::Histogram::PositiveSpan, {});
  for (const telemetry::BucketSpan& span : histogram.positive_spans) {
    write_span(message, client::Histogram::PositiveSpan, span);
  }
  message.add_packed_double(tag(client::Histogram::PositiveCount),
                            histogram.positive_counts.begin(), histogram.positive_counts.end());
}

}  // namespace

std::vector<ClassicBucket> classic_buckets(const telemetry::FloatHistogram& histogram) {
  std::vector<ClassicBucket> buckets;
  buckets.reserve(histogram.custom_values.size() + 1);
  for (const double bound : histogram.custom_values) buckets.push_back({.upper_bound = bound});
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const telemetry::BucketSpan& span : histogram.positive_spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++position) {
      const bool is_known = index >= 0 && std::cmp_less(index, buckets.size()) &&
                            position < histogram.positive_counts.size();
      if (!is_known) continue;
      buckets[static_cast<std::size_t>(index)].cumulative_count =
          histogram.positive_counts[position];
    }
  }
  double cumulative = 0;
  for (ClassicBucket& bucket : buckets) {
    cumulative += bucket.cumulative_count;
    bucket.cumulative_count = cumulative;
  }
  buckets.push_back({.upper_bound = std::numeric_limits<double>::infinity(),
                     .cumulative_count = histogram.count});
  return buckets;
}

void append_metric(std::string& out, std::span<const telemetry::Label> labels, double value,
                   std::int64_t timestamp_ms) {
  Writer family(out);
  Writer metric(family, tag(client::MetricFamily::Metric));
  write_labels(metric, labels);
  {
    Writer untyped(metric, tag(client::Metric::Untyped));
    untyped.add_double(tag(client::Untyped::Value), value);
  }
  metric.add_int64(tag(client::Metric::TimestampMs), timestamp_ms);
}

void append_metric(std::string& out, std::span<const telemetry::Label> labels,
                   const telemetry::FloatHistogram& histogram, std::int64_t timestamp_ms) {
  Writer family(out);
  Writer metric(family, tag(client::MetricFamily::Metric));
  write_labels(metric, labels);
  {
    Writer message(metric, tag(client::Metric::Histogram));
    message.add_double(tag(client::Histogram::SampleSum), histogram.sum);
    if (histogram.uses_custom_buckets()) {
      write_classic(message, histogram);
    } else {
      write_native(message, histogram);
    }
  }
  metric.add_int64(tag(client::Metric::TimestampMs), timestamp_ms);
}

void append_metric_family(std::string& out, std::string_view name, client::MetricType type,
                          std::string_view metrics) {
  std::string head;
  Writer family(head);
  family.add_string(tag(client::MetricFamily::Name), name);
  family.add_enum(tag(client::MetricFamily::Type), static_cast<std::int32_t>(type));
  protozero::add_varint_to_buffer(&out, head.size() + metrics.size());
  out += head;
  out += metrics;
}

}  // namespace gantry::codec
