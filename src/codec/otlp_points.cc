// What each kind of OTLP data point becomes.

#include <algorithm>
#include <bit>
#include <limits>

#include <fmt/format.h>
#include <protozero/pbf_message.hpp>

#include "codec/delta_to_cumulative.h"
#include "codec/otlp_fields.h"
#include "codec/otlp_histograms.h"
#include "codec/otlp_translator_internal.h"
#include "codec/series_labels.h"
#include "core/utf8.h"
#include "telemetry/sample.h"

namespace gantry::codec {

namespace {

using protozero::pbf_wire_type;

/// OpenMetrics: the labels of an exemplar together.
constexpr std::size_t kExemplarCharactersMax = 128;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Hot: per attribute. Whether each key begins with a letter or digit: only others can end up
/// without a label name. Knows the form <tag> <length> 0a <length> <key> with one-byte lengths, as
/// nearly all are; false for any other.
bool has_plain_keys(std::string_view attributes) {
  while (!attributes.empty()) {
    if (attributes.size() < 5) return false;
    const auto length = static_cast<unsigned char>(attributes[1]);
    const auto key_length = static_cast<unsigned char>(attributes[3]);
    const bool is_plain = length < 0x80 && length + 2U <= attributes.size() && length >= 3 &&
                          attributes[2] == 0x0a && key_length > 0 && key_length + 2U <= length &&
                          is_letter_or_digit(attributes[4]);
    if (!is_plain) return false;
    attributes.remove_prefix(length + 2U);
  }
  return true;
}

}  // namespace

/// Every key must become a label name: found out here, where a bad one costs exactly its point.
Result<void> OtlpTranslator::Impl::check_attribute_keys(std::string_view attributes) {
  attribute_scratch.clear();
  read_attributes(attributes, attribute_scratch);
  for (const OtlpAttribute& attribute : attribute_scratch) {
    if (attribute.key == telemetry::kMetricNameLabel) continue;
    GANTRY_CHECK(prometheus_label_name(attribute.key, options->label_names(), scratch));
  }
  return {};
}

/// Hot: per point.
bool OtlpTranslator::Impl::begin_point(const OtlpPoint& point, PointKey& key) {
  note_time(point.time_ns);
  ++begun_points;
  if (point.time_ns == 0) ++outcome.points_without_time;
  if (!has_plain_keys(point.attributes)) {
    if (auto checked = check_attribute_keys(point.attributes); !checked) {
      reject(1, fmt::format("metric \"{}\": {}", excerpt(metrics.back().metric.name, 128),
                            checked.error().message));
      return false;
    }
  }
  key.attributes = point.attributes;
  key.hash = core::hash128(point.attributes, options_hash);
  return true;
}

core::Hash128 OtlpTranslator::Impl::series_key(const PointKey& key, Part part, double bound) const {
  struct Parts {
    core::Hash128 metric;
    core::Hash128 attributes;
    std::uint64_t part;
    std::uint64_t bound;
  };

  const Parts parts{.metric = metrics.back().hash,
                    .attributes = key.hash,
                    .part = static_cast<std::uint64_t>(part),
                    .bound = std::bit_cast<std::uint64_t>(bound)};
  return core::hash128({reinterpret_cast<const char*>(&parts), sizeof(parts)}, options_hash);
}

std::uint32_t OtlpTranslator::Impl::add_series(const PointKey& key, Part part, double bound) {
  batch.series.push_back({.key = series_key(key, part, bound)});
  sources.push_back({.metric = static_cast<std::uint32_t>(metrics.size() - 1),
                     .part = part,
                     .bound = bound,
                     .attributes = key.attributes});
  point_of_series.push_back(begun_points - 1);
  return static_cast<std::uint32_t>(batch.series.size() - 1);
}

std::int64_t OtlpTranslator::Impl::time_ms_of(const OtlpPoint& point) const {
  return point.time_ns == 0 ? options->now_ms : ms_of(point.time_ns);
}

/// Gauges have no start, and one behind the point's own time says nothing.
std::int64_t OtlpTranslator::Impl::start_ms_of(const OtlpPoint& point) const {
  const OtlpMetric& metric = metrics.back().metric;
  const bool is_gauge = metric.kind == OtlpMetricKind::Gauge ||
                        (metric.kind == OtlpMetricKind::Sum && !metric.is_monotonic);
  return is_gauge || point.start_ns > point.time_ns ? 0 : ms_of(point.start_ns);
}

bool OtlpTranslator::Impl::is_native_delta() const {
  return options->delta == DeltaPolicy::Native &&
         metrics.back().metric.temporality == OtlpTemporality::Delta;
}

void OtlpTranslator::Impl::add_sample(std::uint32_t series, const OtlpPoint& point, double value) {
  batch.samples.push_back({.series = series,
                           .timestamp_ms = time_ms_of(point),
                           .value = point.is_stale() ? telemetry::stale_nan() : value});
  const std::int64_t start_ms = start_ms_of(point);
  if (start_ms != 0 || !batch.start_timestamps_ms.empty()) {
    batch.start_timestamps_ms.resize(batch.samples.size(), 0);
    batch.start_timestamps_ms.back() = start_ms;
  }
}

void OtlpTranslator::Impl::add_histogram(std::uint32_t series, const OtlpPoint& point,
                                         telemetry::IntegerHistogram histogram) {
  if (is_native_delta()) histogram.hint = telemetry::CounterResetHint::Gauge;
  batch.histograms.push_back({.series = series,
                              .timestamp_ms = time_ms_of(point),
                              .start_timestamp_ms = start_ms_of(point),
                              .histogram = std::move(histogram)});
}

telemetry::Exemplar OtlpTranslator::Impl::decode_exemplar(std::string_view bytes) {
  using otlp::Exemplar;
  telemetry::Exemplar exemplar;
  std::vector<OtlpAttribute> filtered;
  std::size_t characters = 0;
  const auto add_id = [&](std::string_view name, std::string_view id) {
    if (id.find_first_not_of('\0') == std::string_view::npos) return;
    std::string hex;
    append_hex(hex, id);
    exemplar.labels.push_back({name, arena.copy(hex)});
    characters += name.size() + hex.size();
  };
  protozero::pbf_message<Exemplar> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(Exemplar::TimeUnixNano, pbf_wire_type::fixed64):
        exemplar.timestamp_ms = ms_of(message.get_fixed64());
        break;
      case tag_and_type(Exemplar::AsDouble, pbf_wire_type::fixed64):
        exemplar.value = message.get_double();
        break;
      case tag_and_type(Exemplar::AsInt, pbf_wire_type::fixed64):
        exemplar.value = static_cast<double>(message.get_sfixed64());
        break;
      case tag_and_type(Exemplar::SpanId, pbf_wire_type::length_delimited):
        add_id("span_id", message.get_view());
        break;
      case tag_and_type(Exemplar::TraceId, pbf_wire_type::length_delimited):
        add_id("trace_id", message.get_view());
        break;
      case tag_and_type(Exemplar::FilteredAttributes, pbf_wire_type::length_delimited):
        filtered.push_back(read_attribute(message.get_view()));
        break;
      default:
        message.skip();
    }
  }
  const std::size_t id_count = exemplar.labels.size();
  for (const OtlpAttribute& attribute : filtered) {
    const std::string_view value = attribute_text(attribute.value, arena);
    characters += core::count_code_points(attribute.key) + core::count_code_points(value);
    exemplar.labels.push_back({attribute.key, value});
  }
  // Either all of the attributes or none: a part of them would mislead.
  if (characters > kExemplarCharactersMax) exemplar.labels.resize(id_count);
  return exemplar;
}

void OtlpTranslator::Impl::add_exemplars(std::uint32_t series, const OtlpPoint& point) {
  for (const std::string_view bytes : point.exemplars) {
    batch.exemplars.push_back(decode_exemplar(bytes));
    batch.exemplars.back().series = series;
  }
}

/// For delta points under ToCumulative: the point becomes the running total. False when it was
/// refused.
template <class Point>
bool OtlpTranslator::Impl::accumulate(const PointKey& key, Point& point) {
  if (options->delta != DeltaPolicy::ToCumulative || options->delta_state == nullptr ||
      metrics.back().metric.temporality != OtlpTemporality::Delta || point.is_stale()) {
    return true;
  }
  if (point.time_ns == 0) point.time_ns = static_cast<std::uint64_t>(options->now_ms) * kNsPerMs;
  const auto added =
      options->delta_state->add(series_key(key, Part::Value, 0), point, options->now_ms);
  if (!added) {
    reject(1, fmt::format("metric \"{}\": {}", excerpt(metrics.back().metric.name, 128),
                          added.error().message));
  }
  return added.has_value();
}

/// Hot: per point.
void OtlpTranslator::Impl::add(OtlpNumberPoint& point) {
  PointKey key;
  if (!begin_point(point, key) || !accumulate(key, point)) return;
  const std::uint32_t series = add_series(key, Part::Value);
  add_sample(series, point, point.value);
  const OtlpMetric& metric = metrics.back().metric;
  if (metric.kind == OtlpMetricKind::Sum && metric.is_monotonic) add_exemplars(series, point);
}

void OtlpTranslator::Impl::add_classic_histogram(const OtlpHistogramPoint& point,
                                                 const PointKey& key) {
  if (point.sum || point.is_stale()) {
    add_sample(add_series(key, Part::Sum), point, point.sum.value_or(0));
  }
  const auto count = static_cast<double>(point.count);
  add_sample(add_series(key, Part::Count), point, count);
  bucket_series.clear();
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < point.bounds.size(); ++i) {
    if (i < point.bucket_counts.size()) cumulative += point.bucket_counts[i];
    bucket_series.push_back(add_series(key, Part::Bucket, point.bounds[i]));
    add_sample(bucket_series.back(), point, static_cast<double>(cumulative));
  }
  bucket_series.push_back(add_series(key, Part::Bucket, std::numeric_limits<double>::infinity()));
  add_sample(bucket_series.back(), point, count);
  for (const std::string_view bytes : point.exemplars) {
    telemetry::Exemplar exemplar = decode_exemplar(bytes);
    const auto bucket = std::ranges::lower_bound(point.bounds, exemplar.value);
    exemplar.series = bucket_series[static_cast<std::size_t>(bucket - point.bounds.begin())];
    batch.exemplars.push_back(std::move(exemplar));
  }
}

void OtlpTranslator::Impl::add(OtlpHistogramPoint& point) {
  PointKey key;
  if (!begin_point(point, key)) return;
  const std::string_view name = metrics.back().metric.name;
  if (auto normal = normalise_explicit_buckets(point); !normal) {
    reject(1, fmt::format("metric \"{}\": {}", excerpt(name, 128), normal.error().message));
    return;
  }
  if (!accumulate(key, point)) return;
  if (options->explicit_histograms == ExplicitHistograms::Classic) {
    add_classic_histogram(point, key);
    return;
  }
  auto native = explicit_to_native(point);
  if (!native) {
    reject(1, fmt::format("metric \"{}\": {}", excerpt(name, 128), native.error().message));
    return;
  }
  if (!point.sum && !point.is_stale()) {
    warn(fmt::format("histogram {} has no sum: stored with sum 0", excerpt(name, 128)));
  }
  const std::uint32_t series = add_series(key, Part::Value);
  add_histogram(series, point, *std::move(native));
  add_exemplars(series, point);
}

void OtlpTranslator::Impl::add(OtlpExponentialPoint& point) {
  PointKey key;
  if (!begin_point(point, key) || !accumulate(key, point)) return;
  const std::string_view name = metrics.back().metric.name;
  auto native = exponential_to_native(point);
  if (!native) {
    reject(1, fmt::format("metric \"{}\": {}", excerpt(name, 128), native.error().message));
    return;
  }
  if (!point.sum && !point.is_stale()) {
    warn(fmt::format("exponential histogram {} has no sum: stored with sum 0", excerpt(name, 128)));
  }
  const std::uint32_t series = add_series(key, Part::Value);
  add_histogram(series, point, *std::move(native));
  add_exemplars(series, point);
}

void OtlpTranslator::Impl::add(OtlpSummaryPoint& point) {
  PointKey key;
  if (!begin_point(point, key)) return;
  add_sample(add_series(key, Part::Sum), point, point.sum);
  add_sample(add_series(key, Part::Count), point, static_cast<double>(point.count));
  for (const OtlpQuantile& quantile : point.quantiles) {
    add_sample(add_series(key, Part::Quantile, quantile.quantile), point, quantile.value);
  }
}

}  // namespace gantry::codec
