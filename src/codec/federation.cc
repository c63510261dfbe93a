#include "codec/federation.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "codec/exposition_internal.h"
#include "codec/metric_family_encoder.h"
#include "core/number_format.h"

namespace gantry::codec {

namespace {

using telemetry::Label;
using wire::client::MetricType;

constexpr std::string_view kInstance = "instance";

void append_line(std::string& out, std::string_view name, std::span<const Label> labels,
                 std::string_view bound, double value, std::int64_t timestamp_ms) {
  append_series(out, name, [&](auto emit) {
    for (const Label& label : labels) emit(label.name, label.value);
    if (!bound.empty()) emit("le", bound);
  });
  out.push_back(' ');
  core::append_float_general(out, value);
  out += " " + std::to_string(timestamp_ms) + "\n";
}

void append_classic_lines(std::string& out, std::string_view name, std::span<const Label> labels,
                          const telemetry::FloatHistogram& histogram, std::int64_t timestamp_ms) {
  const std::string base(name);
  for (const ClassicBucket& bucket : classic_buckets(histogram)) {
    std::string bound;
    core::append_float_general(bound, bucket.upper_bound);
    append_line(out, base + "_bucket", labels, bound, bucket.cumulative_count, timestamp_ms);
  }
  append_line(out, base + "_sum", labels, {}, histogram.sum, timestamp_ms);
  append_line(out, base + "_count", labels, {}, histogram.count, timestamp_ms);
}

bool accepts_protobuf(const AcceptedType& type) {
  return type.media_type == "application/vnd.google.protobuf" &&
         type.proto == "io.prometheus.client.MetricFamily" && type.encoding == "delimited";
}

}  // namespace

FederationChoice negotiate_federation(std::string_view accept) {
  FederationChoice choice;
  for (const AcceptedType& type : accepted_types(accept)) {
    choice.escaping = type.escaping.value_or(choice.escaping);
    if (accepts_protobuf(type)) {
      choice.format = FederationFormat::Protobuf;
      break;
    }
    if (accepts_text(type)) break;
  }
  return choice;
}

std::string federation_content_type(FederationChoice choice) {
  if (choice.format == FederationFormat::Text) {
    return exposition_content_type({.format = ExpositionFormat::Text, .escaping = choice.escaping});
  }
  std::string type =
      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
      "encoding=delimited";
  type += escaping_parameter(choice.escaping);
  return type;
}

telemetry::Labels FederationWriter::escape(std::span<const Label> labels) const {
  telemetry::Labels escaped;
  const auto has = [&](std::string_view name) {
    return std::ranges::find(escaped, name, &Label::name) != escaped.end();
  };
  for (const Label& label : labels) {
    if (label.name == telemetry::kMetricNameLabel || label.value.empty()) continue;
    std::string name = escaped_label_name(label.name, choice_.escaping);
    if (!has(name)) escaped.push_back({.name = std::move(name), .value = label.value});
  }
  if (!has(kInstance)) escaped.push_back({.name = std::string(kInstance), .value = ""});
  std::ranges::sort(escaped);
  return escaped;
}

FederationWriter::Entry* FederationWriter::add_entry(std::span<const Label> labels,
                                                     MetricType type) {
  const std::string_view name = telemetry::find_label(labels, telemetry::kMetricNameLabel);
  if (name.empty()) return nullptr;
  return &entries_.emplace_back(
      Entry{.name = escaped_metric_name(name, choice_.escaping), .type = type, .encoded = {}});
}

void FederationWriter::add(std::span<const Label> labels, double value, std::int64_t timestamp_ms) {
  Entry* const entry = add_entry(labels, MetricType::Untyped);
  if (entry == nullptr) return;
  const telemetry::Labels escaped = escape(labels);
  if (choice_.format == FederationFormat::Protobuf) {
    append_metric(entry->encoded, escaped, value, timestamp_ms);
  } else {
    append_line(entry->encoded, entry->name, escaped, {}, value, timestamp_ms);
  }
  bytes_ += entry->name.size() + entry->encoded.size();
}

void FederationWriter::add(std::span<const Label> labels,
                           const telemetry::FloatHistogram& histogram, std::int64_t timestamp_ms) {
  const bool is_protobuf = choice_.format == FederationFormat::Protobuf;
  if (!is_protobuf && !histogram.uses_custom_buckets()) return;
  const bool is_gauge = histogram.hint == telemetry::CounterResetHint::Gauge;
  Entry* const entry =
      add_entry(labels, is_gauge ? MetricType::GaugeHistogram : MetricType::Histogram);
  if (entry == nullptr) return;
  const telemetry::Labels escaped = escape(labels);
  if (is_protobuf) {
    append_metric(entry->encoded, escaped, histogram, timestamp_ms);
  } else {
    append_classic_lines(entry->encoded, entry->name, escaped, histogram, timestamp_ms);
  }
  bytes_ += entry->name.size() + entry->encoded.size();
}

void FederationWriter::finish(std::string& out) {
  std::ranges::stable_sort(entries_, [](const Entry& a, const Entry& b) {
    return std::tie(a.name, a.type) < std::tie(b.name, b.type);
  });
  for (auto begin = entries_.begin(); begin != entries_.end();) {
    const auto end = std::find_if(begin, entries_.end(), [&](const Entry& entry) {
      return entry.name != begin->name || entry.type != begin->type;
    });
    std::string encoded;
    for (auto entry = begin; entry != end; ++entry) encoded += entry->encoded;
    append_family(out, begin->name, begin->type, encoded);
    begin = end;
  }
  entries_.clear();
  bytes_ = 0;
}

void FederationWriter::append_family(std::string& out, std::string_view name, MetricType type,
                                     std::string_view metrics) const {
  if (choice_.format == FederationFormat::Protobuf) {
    append_metric_family(out, name, type, metrics);
    return;
  }
  out += "# TYPE ";
  append_metric_name(out, name);
  // Text has no word for histograms whose counts may fall.
  out += type == MetricType::Untyped ? " untyped\n" : " histogram\n";
  out += metrics;
}

}  // namespace gantry::codec
