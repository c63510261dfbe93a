#include "codec/remote_write_encoder.h"

#include <functional>
#include <string_view>
#include <unordered_map>

#include <protozero/pbf_writer.hpp>

#include "codec/protobuf_tag_internal.h"
#include "codec/remote_write_fields.h"
#include "codec/remote_write_histogram.h"

namespace gantry::codec {

namespace {

using Writer = protozero::basic_pbf_writer<std::string>;

void write_labels_v1(Writer& writer, protozero::pbf_tag_type field,
                     const telemetry::Labels& labels) {
  for (const telemetry::Label& label : labels) {
    Writer nested(writer, field);
    nested.add_string(tag(wire::v1::Label::Name), label.name);
    nested.add_string(tag(wire::v1::Label::Value), label.value);
  }
}

void write_series_v1(Writer& writer, const WriteSeries& series, WriteOptions options,
                     std::string& scratch) {
  using wire::v1::TimeSeries;
  write_labels_v1(writer, tag(TimeSeries::Labels), series.labels);
  for (const WriteSample& sample : series.samples) {
    Writer nested(writer, tag(TimeSeries::Samples));
    nested.add_double(tag(wire::v1::Sample::Value), sample.value);
    nested.add_int64(tag(wire::v1::Sample::Timestamp), sample.timestamp_ms);
    if (options.has_start_timestamps && sample.start_timestamp_ms != 0)
      nested.add_int64(tag(wire::v2::Sample::StartTimestamp), sample.start_timestamp_ms);
  }
  for (const WriteExemplar& exemplar : series.exemplars) {
    Writer nested(writer, tag(TimeSeries::Exemplars));
    write_labels_v1(nested, tag(wire::v1::Exemplar::Labels), exemplar.labels);
    nested.add_double(tag(wire::v1::Exemplar::Value), exemplar.value);
    nested.add_int64(tag(wire::v1::Exemplar::Timestamp), exemplar.timestamp_ms);
  }
  for (const WriteHistogram& histogram : series.histograms) {
    encode_histogram_message(histogram.histogram, histogram.timestamp_ms,
                             options.has_start_timestamps ? histogram.start_timestamp_ms : 0,
                             scratch);
    writer.add_message(tag(TimeSeries::Histograms), scratch);
  }
}

void encode_v1(const WriteRequest& request, WriteOptions options, std::string& out) {
  Writer writer(out);
  std::string scratch;
  for (const WriteSeries& series : request.series) {
    Writer nested(writer, tag(wire::v1::WriteRequest::Timeseries));
    write_series_v1(nested, series, options, scratch);
  }
  for (const WriteMetadata& metadata : request.metadata) {
    Writer nested(writer, tag(wire::v1::WriteRequest::Metadata));
    nested.add_enum(tag(wire::v1::MetricMetadata::Type), static_cast<std::int32_t>(metadata.type));
    nested.add_string(tag(wire::v1::MetricMetadata::FamilyName), metadata.family);
    if (!metadata.help.empty()) {
      nested.add_string(tag(wire::v1::MetricMetadata::Help), metadata.help);
    }
    if (!metadata.unit.empty()) {
      nested.add_string(tag(wire::v1::MetricMetadata::Unit), metadata.unit);
    }
  }
}

/// Strings of a 2.0 request, each once; the empty one is number 0.
class SymbolTable {
 public:
  std::uint32_t ref(std::string_view text) {
    const auto [entry, is_new] = refs_.try_emplace(text, static_cast<std::uint32_t>(refs_.size()));
    if (is_new) symbols_.push_back(text);
    return entry->second;
  }

  [[nodiscard]] const std::vector<std::string_view>& symbols() const { return symbols_; }

 private:
  std::vector<std::string_view> symbols_{""};
  std::unordered_map<std::string_view, std::uint32_t> refs_{{"", 0}};
};

std::vector<std::uint32_t> refs_of(SymbolTable& symbols, const telemetry::Labels& labels) {
  std::vector<std::uint32_t> refs;
  refs.reserve(labels.size() * 2);
  for (const telemetry::Label& label : labels) {
    refs.push_back(symbols.ref(label.name));
    refs.push_back(symbols.ref(label.value));
  }
  return refs;
}

void write_series_v2(Writer& writer, const WriteSeries& series, SymbolTable& symbols,
                     std::string& scratch) {
  using wire::v2::TimeSeries;
  const auto refs = refs_of(symbols, series.labels);
  writer.add_packed_uint32(tag(TimeSeries::LabelsRefs), refs.begin(), refs.end());
  for (const WriteSample& sample : series.samples) {
    Writer nested(writer, tag(TimeSeries::Samples));
    nested.add_double(tag(wire::v2::Sample::Value), sample.value);
    nested.add_int64(tag(wire::v2::Sample::Timestamp), sample.timestamp_ms);
    if (sample.start_timestamp_ms != 0) {
      nested.add_int64(tag(wire::v2::Sample::StartTimestamp), sample.start_timestamp_ms);
    }
  }
  for (const WriteHistogram& histogram : series.histograms) {
    encode_histogram_message(histogram.histogram, histogram.timestamp_ms,
                             histogram.start_timestamp_ms, scratch);
    writer.add_message(tag(TimeSeries::Histograms), scratch);
  }
  for (const WriteExemplar& exemplar : series.exemplars) {
    const auto exemplar_refs = refs_of(symbols, exemplar.labels);
    Writer nested(writer, tag(TimeSeries::Exemplars));
    nested.add_packed_uint32(tag(wire::v2::Exemplar::LabelsRefs), exemplar_refs.begin(),
                             exemplar_refs.end());
    nested.add_double(tag(wire::v2::Exemplar::Value), exemplar.value);
    nested.add_int64(tag(wire::v2::Exemplar::Timestamp), exemplar.timestamp_ms);
  }
  Writer metadata(writer, tag(TimeSeries::Metadata));
  metadata.add_enum(tag(wire::v2::Metadata::Type), static_cast<std::int32_t>(series.metadata.type));
  metadata.add_uint32(tag(wire::v2::Metadata::HelpRef), symbols.ref(series.metadata.help));
  metadata.add_uint32(tag(wire::v2::Metadata::UnitRef), symbols.ref(series.metadata.unit));
}

void encode_v2(const WriteRequest& request, std::string& out) {
  SymbolTable symbols;
  std::string series_bytes;
  std::string scratch;
  {
    Writer writer(series_bytes);
    for (const WriteSeries& series : request.series) {
      Writer nested(writer, tag(wire::v2::Request::Timeseries));
      write_series_v2(nested, series, symbols, scratch);
    }
  }
  // Symbols first: a reader then needs one pass.
  Writer writer(out);
  for (const std::string_view symbol : symbols.symbols()) {
    writer.add_string(tag(wire::v2::Request::Symbols), symbol);
  }
  out += series_bytes;
}

}  // namespace

void encode_remote_write(RemoteWriteVersion version, const WriteRequest& request, std::string& out,
                         WriteOptions options) {
  out.clear();
  switch (version) {
    case RemoteWriteVersion::V1:
      encode_v1(request, options, out);
      return;
    case RemoteWriteVersion::V2:
      encode_v2(request, out);
      return;
  }
}

}  // namespace gantry::codec
