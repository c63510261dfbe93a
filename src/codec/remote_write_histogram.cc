#include "codec/remote_write_histogram.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <protozero/pbf_message.hpp>
#include <protozero/pbf_writer.hpp>

#include "codec/histogram_buckets.h"
#include "codec/protobuf_tag_internal.h"
#include "codec/remote_write_fields.h"

namespace gantry::codec {

namespace {

using protozero::pbf_wire_type;
using telemetry::BucketSpan;
using wire::Histogram;

/// The largest schema that is legal on the wire.
constexpr std::int32_t kWireSchemaMax = 52;

/// The message as it is on the wire: which flavour it is shows only at its end.
struct RawHistogram {
  bool is_float = false;
  std::uint64_t count_int = 0;
  double count_float = 0;
  double sum = 0;
  std::int32_t schema = 0;
  double zero_threshold = 0;
  std::uint64_t zero_count_int = 0;
  double zero_count_float = 0;
  std::vector<BucketSpan> negative_spans;
  std::vector<BucketSpan> positive_spans;
  std::vector<std::int64_t> negative_deltas;
  std::vector<std::int64_t> positive_deltas;
  std::vector<double> negative_counts;
  std::vector<double> positive_counts;
  std::vector<double> custom_values;
  std::int32_t hint = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;
};

BucketSpan decode_span(std::string_view bytes) {
  BucketSpan span;
  protozero::pbf_message<wire::BucketSpan> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(wire::BucketSpan::Offset, pbf_wire_type::varint):
        span.offset = message.get_sint32();
        break;
      case tag_and_type(wire::BucketSpan::Length, pbf_wire_type::varint):
        span.length = message.get_uint32();
        break;
      default:
        message.skip();
    }
  }
  return span;
}

template <class Range, class T>
void append_range(const Range& range, std::vector<T>& out) {
  for (const auto value : range) out.push_back(value);
}

/// Scalar fields and spans; false when the field is none of them.
bool decode_plain_field(protozero::pbf_message<Histogram>& message, RawHistogram& raw) {
  switch (message.tag_and_type()) {
    case tag_and_type(Histogram::CountInt, pbf_wire_type::varint):
      raw.count_int = message.get_uint64();
      raw.is_float = false;
      return true;
    case tag_and_type(Histogram::CountFloat, pbf_wire_type::fixed64):
      raw.count_float = message.get_double();
      raw.is_float = true;
      return true;
    case tag_and_type(Histogram::Sum, pbf_wire_type::fixed64):
      raw.sum = message.get_double();
      return true;
    case tag_and_type(Histogram::Schema, pbf_wire_type::varint):
      raw.schema = message.get_sint32();
      return true;
    case tag_and_type(Histogram::ZeroThreshold, pbf_wire_type::fixed64):
      raw.zero_threshold = message.get_double();
      return true;
    case tag_and_type(Histogram::ZeroCountInt, pbf_wire_type::varint):
      raw.zero_count_int = message.get_uint64();
      return true;
    case tag_and_type(Histogram::ZeroCountFloat, pbf_wire_type::fixed64):
      raw.zero_count_float = message.get_double();
      return true;
    case tag_and_type(Histogram::NegativeSpans, pbf_wire_type::length_delimited):
      raw.negative_spans.push_back(decode_span(message.get_view()));
      return true;
    case tag_and_type(Histogram::PositiveSpans, pbf_wire_type::length_delimited):
      raw.positive_spans.push_back(decode_span(message.get_view()));
      return true;
    case tag_and_type(Histogram::ResetHint, pbf_wire_type::varint):
      raw.hint = message.get_enum();
      return true;
    case tag_and_type(Histogram::Timestamp, pbf_wire_type::varint):
      raw.timestamp_ms = message.get_int64();
      return true;
    case tag_and_type(Histogram::StartTimestamp, pbf_wire_type::varint):
      raw.start_timestamp_ms = message.get_int64();
      return true;
    default:
      return false;
  }
}

/// Repeated numbers, packed or not: a proto3 reader must take both.
bool decode_repeated_field(protozero::pbf_message<Histogram>& message, RawHistogram& raw) {
  switch (message.tag_and_type()) {
    case tag_and_type(Histogram::NegativeDeltas, pbf_wire_type::length_delimited):
      append_range(message.get_packed_sint64(), raw.negative_deltas);
      return true;
    case tag_and_type(Histogram::NegativeDeltas, pbf_wire_type::varint):
      raw.negative_deltas.push_back(message.get_sint64());
      return true;
    case tag_and_type(Histogram::PositiveDeltas, pbf_wire_type::length_delimited):
      append_range(message.get_packed_sint64(), raw.positive_deltas);
      return true;
    case tag_and_type(Histogram::PositiveDeltas, pbf_wire_type::varint):
      raw.positive_deltas.push_back(message.get_sint64());
      return true;
    case tag_and_type(Histogram::NegativeCounts, pbf_wire_type::length_delimited):
      append_range(message.get_packed_double(), raw.negative_counts);
      return true;
    case tag_and_type(Histogram::NegativeCounts, pbf_wire_type::fixed64):
      raw.negative_counts.push_back(message.get_double());
      return true;
    case tag_and_type(Histogram::PositiveCounts, pbf_wire_type::length_delimited):
      append_range(message.get_packed_double(), raw.positive_counts);
      return true;
    case tag_and_type(Histogram::PositiveCounts, pbf_wire_type::fixed64):
      raw.positive_counts.push_back(message.get_double());
      return true;
    case tag_and_type(Histogram::CustomValues, pbf_wire_type::length_delimited):
      append_range(message.get_packed_double(), raw.custom_values);
      return true;
    case tag_and_type(Histogram::CustomValues, pbf_wire_type::fixed64):
      raw.custom_values.push_back(message.get_double());
      return true;
    default:
      return false;
  }
}

RawHistogram decode_raw(std::string_view bytes) {
  RawHistogram raw;
  protozero::pbf_message<Histogram> message(bytes);
  while (message.next()) {
    if (!decode_plain_field(message, raw) && !decode_repeated_field(message, raw)) message.skip();
  }
  return raw;
}

/// First count absolute, each next one relative to the bucket before.
Result<std::vector<std::uint64_t>> counts_of_deltas(const std::vector<std::int64_t>& deltas) {
  std::vector<std::uint64_t> counts;
  counts.reserve(deltas.size());
  std::int64_t count = 0;
  for (const std::int64_t delta : deltas) {
    if (__builtin_add_overflow(count, delta, &count) || count < 0) {
      return fail(Code::InvalidArgument,
                  fmt::format("histogram has a bucket whose observation count is negative: bucket "
                              "number {}",
                              counts.size() + 1));
    }
    counts.push_back(static_cast<std::uint64_t>(count));
  }
  return counts;
}

Result<void> check_span_lengths(const std::vector<BucketSpan>& spans, std::size_t bucket_count,
                                std::string_view side) {
  std::uint64_t length = 0;
  for (const BucketSpan& span : spans) length += span.length;
  if (length == bucket_count) return {};
  return fail(Code::InvalidArgument, fmt::format("{} side: spans need {} buckets, have {} buckets",
                                                 side, length, bucket_count));
}

Result<void> check_schema(std::int32_t schema) {
  if (schema == telemetry::kCustomBucketsSchema) return {};
  if (schema >= telemetry::kExponentialSchemaMin && schema <= kWireSchemaMax) return {};
  return fail(Code::InvalidArgument,
              fmt::format("histogram has an invalid schema, which must be between -4 and 52 for "
                          "exponential buckets, or -53 for custom buckets, got {}",
                          schema));
}

template <class Count>
Result<telemetry::NativeHistogram> finish(telemetry::BasicHistogram<Count> histogram,
                                          RawHistogram& raw) {
  histogram.hint = raw.hint >= 0 && raw.hint <= 3
                       ? static_cast<telemetry::CounterResetHint>(raw.hint)
                       : telemetry::CounterResetHint::Unknown;
  histogram.schema = raw.schema;
  histogram.sum = raw.sum;
  histogram.zero_threshold = raw.zero_threshold;
  histogram.positive_spans = std::move(raw.positive_spans);
  histogram.negative_spans = std::move(raw.negative_spans);
  histogram.custom_values = std::move(raw.custom_values);
  GANTRY_CHECK(
      check_span_lengths(histogram.positive_spans, histogram.positive_counts.size(), "positive"));
  GANTRY_CHECK(
      check_span_lengths(histogram.negative_spans, histogram.negative_counts.size(), "negative"));
  if (histogram.schema > telemetry::kExponentialSchemaMax) {
    const int levels = histogram.schema - telemetry::kExponentialSchemaMax;
    if (!reduce_resolution(histogram.positive_spans, histogram.positive_counts, levels) ||
        !reduce_resolution(histogram.negative_spans, histogram.negative_counts, levels)) {
      return fail(Code::InvalidArgument, "histogram has a bucket index beyond 32 bits");
    }
    histogram.schema = telemetry::kExponentialSchemaMax;
  }
  telemetry::NativeHistogram result(std::move(histogram));
  GANTRY_CHECK(telemetry::validate(result));
  return result;
}

Result<telemetry::NativeHistogram> build(RawHistogram& raw) {
  GANTRY_CHECK(check_schema(raw.schema));
  if (raw.is_float) {
    telemetry::FloatHistogram histogram;
    histogram.count = raw.count_float;
    histogram.zero_count = raw.zero_count_float;
    histogram.positive_counts = std::move(raw.positive_counts);
    histogram.negative_counts = std::move(raw.negative_counts);
    return finish(std::move(histogram), raw);
  }
  telemetry::IntegerHistogram histogram;
  histogram.count = raw.count_int;
  histogram.zero_count = raw.zero_count_int;
  GANTRY_TRY(histogram.positive_counts, counts_of_deltas(raw.positive_deltas));
  GANTRY_TRY(histogram.negative_counts, counts_of_deltas(raw.negative_deltas));
  return finish(std::move(histogram), raw);
}

std::vector<std::int64_t> deltas_of_counts(const std::vector<std::uint64_t>& counts) {
  std::vector<std::int64_t> deltas;
  deltas.reserve(counts.size());
  std::uint64_t previous = 0;
  for (const std::uint64_t count : counts) {
    deltas.push_back(static_cast<std::int64_t>(count - previous));
    previous = count;
  }
  return deltas;
}

using Writer = protozero::basic_pbf_writer<std::string>;

void write_spans(Writer& writer, Histogram field, const std::vector<BucketSpan>& spans) {
  for (const BucketSpan& span : spans) {
    Writer nested(writer, tag(field));
    if (span.offset != 0) {
      nested.add_sint32(static_cast<protozero::pbf_tag_type>(wire::BucketSpan::Offset),
                        span.offset);
    }
    if (span.length != 0) {
      nested.add_uint32(static_cast<protozero::pbf_tag_type>(wire::BucketSpan::Length),
                        span.length);
    }
  }
}

void write_counts(Writer& writer, const telemetry::IntegerHistogram& histogram) {
  writer.add_uint64(tag(Histogram::CountInt), histogram.count);
  writer.add_uint64(tag(Histogram::ZeroCountInt), histogram.zero_count);
  const auto negative = deltas_of_counts(histogram.negative_counts);
  const auto positive = deltas_of_counts(histogram.positive_counts);
  writer.add_packed_sint64(tag(Histogram::NegativeDeltas), negative.begin(), negative.end());
  writer.add_packed_sint64(tag(Histogram::PositiveDeltas), positive.begin(), positive.end());
}

void write_counts(Writer& writer, const telemetry::FloatHistogram& histogram) {
  writer.add_double(tag(Histogram::CountFloat), histogram.count);
  writer.add_double(tag(Histogram::ZeroCountFloat), histogram.zero_count);
  writer.add_packed_double(tag(Histogram::NegativeCounts), histogram.negative_counts.begin(),
                           histogram.negative_counts.end());
  writer.add_packed_double(tag(Histogram::PositiveCounts), histogram.positive_counts.begin(),
                           histogram.positive_counts.end());
}

}  // namespace

Result<DecodedHistogram> decode_histogram_message(std::string_view message) {
  RawHistogram raw = decode_raw(message);
  DecodedHistogram decoded{.timestamp_ms = raw.timestamp_ms,
                           .start_timestamp_ms = raw.start_timestamp_ms,
                           .histogram = {}};
  GANTRY_TRY(decoded.histogram, build(raw));
  return decoded;
}

void encode_histogram_message(const telemetry::NativeHistogram& histogram,
                              std::int64_t timestamp_ms, std::int64_t start_timestamp_ms,
                              std::string& out) {
  out.clear();
  Writer writer(out);
  std::visit(
      [&](const auto& h) {
        write_counts(writer, h);
        writer.add_double(tag(Histogram::Sum), h.sum);
        writer.add_sint32(tag(Histogram::Schema), h.schema);
        writer.add_double(tag(Histogram::ZeroThreshold), h.zero_threshold);
        write_spans(writer, Histogram::NegativeSpans, h.negative_spans);
        write_spans(writer, Histogram::PositiveSpans, h.positive_spans);
        writer.add_enum(tag(Histogram::ResetHint), static_cast<std::int32_t>(h.hint));
        writer.add_packed_double(tag(Histogram::CustomValues), h.custom_values.begin(),
                                 h.custom_values.end());
      },
      histogram);
  writer.add_int64(tag(Histogram::Timestamp), timestamp_ms);
  if (start_timestamp_ms != 0) {
    writer.add_int64(tag(Histogram::StartTimestamp), start_timestamp_ms);
  }
}

}  // namespace gantry::codec
