#include "codec/remote_write.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_message.hpp>

#include "codec/remote_write_fields.h"
#include "codec/remote_write_histogram.h"
#include "codec/series_labels.h"
#include "core/arena.h"
#include "core/hash.h"

namespace gantry::codec {

namespace {

using protozero::pbf_wire_type;
using telemetry::LabelView;
using telemetry::MetricType;
using telemetry::RejectReason;

// Keys of the two messages (and of other codecs) must not meet: 1.0 hashes raw bytes, 2.0 hashes.
constexpr std::uint64_t kKeySaltV1 = 0x52573100;
constexpr std::uint64_t kKeySaltV2 = 0x52573200;

MetricType metric_type(std::int32_t number) {
  return number > 0 && number <= static_cast<std::int32_t>(MetricType::StateSet)
             ? static_cast<MetricType>(number)
             : MetricType::Unknown;
}

LabelView decode_label(std::string_view bytes) {
  LabelView label;
  protozero::pbf_message<wire::v1::Label> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(wire::v1::Label::Name, pbf_wire_type::length_delimited):
        label.name = message.get_view();
        break;
      case tag_and_type(wire::v1::Label::Value, pbf_wire_type::length_delimited):
        label.value = message.get_view();
        break;
      default:
        message.skip();
    }
  }
  return label;
}

struct DecodedSample {
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;
  double value = 0;
};

/// Hot: per sample. Both versions: 1.0 has no field 3.
DecodedSample decode_sample(std::string_view bytes) {
  DecodedSample sample;
  protozero::pbf_message<wire::v2::Sample> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(wire::v2::Sample::Value, pbf_wire_type::fixed64):
        sample.value = message.get_double();
        break;
      case tag_and_type(wire::v2::Sample::Timestamp, pbf_wire_type::varint):
        sample.timestamp_ms = message.get_int64();
        break;
      case tag_and_type(wire::v2::Sample::StartTimestamp, pbf_wire_type::varint):
        sample.start_timestamp_ms = message.get_int64();
        break;
      default:
        message.skip();
    }
  }
  return sample;
}

/// In 2.0 each series carries its family's metadata; the family is the name without the suffix that
/// its type gives to the parts.
std::string_view family_of(std::string_view name, MetricType type) {
  const auto strip = [&](std::initializer_list<std::string_view> suffixes) {
    for (const std::string_view suffix : suffixes) {
      if (name.size() > suffix.size() && name.ends_with(suffix)) {
        return name.substr(0, name.size() - suffix.size());
      }
    }
    return name;
  };
  if (type == MetricType::Histogram) return strip({"_bucket", "_sum", "_count"});
  if (type == MetricType::GaugeHistogram) return strip({"_bucket", "_gsum", "_gcount"});
  if (type == MetricType::Summary) return strip({"_sum", "_count"});
  return name;
}

}  // namespace

struct RemoteWriteDecoder::Impl final : telemetry::SeriesResolver {
  telemetry::MetricBatch batch;
  RejectionList rejections;
  core::Arena arena;
  RemoteWriteVersion version = RemoteWriteVersion::V1;

  /// 1.0: per series of the batch, its Label fields one after the other as on the wire.
  std::vector<std::string_view> label_fields;
  /// 2.0: per series, where its references begin; they end where the next series' begin.
  std::vector<std::uint32_t> refs_begin;
  std::vector<std::uint32_t> refs;
  std::vector<std::string_view> symbols;
  std::vector<core::Hash128> symbol_hashes;
  std::vector<core::Hash128> key_scratch;
  /// 2.0: metric name symbols whose metadata is in the batch already.
  std::vector<bool> has_metadata;

  void clear();
  void decode_v1(std::string_view body);
  void decode_v2(std::string_view body);
  void decode_series_v1(std::string_view bytes);
  void decode_series_v2(std::string_view bytes);

  std::uint32_t begin_series();
  void add_sample(std::uint32_t series, std::string_view bytes);
  void add_histogram(std::uint32_t series, std::string_view bytes);
  void add_exemplar_v1(std::uint32_t series, std::string_view bytes);
  void add_exemplar_v2(std::uint32_t series, std::string_view bytes);
  void add_metadata_v1(std::string_view bytes);
  void add_metadata_v2(std::span<const std::uint32_t> series_refs, std::string_view bytes);
  [[nodiscard]] std::string_view joined_label_fields(std::string_view series);
  [[nodiscard]] Result<void> check_refs(std::span<const std::uint32_t> some) const;
  [[nodiscard]] std::span<const std::uint32_t> refs_of(std::uint32_t series) const;
  [[nodiscard]] std::string describe(std::uint32_t series) const;

  void collect_labels(std::uint32_t series, std::vector<LabelView>& labels) const;
  Result<void> resolve(std::uint32_t series, core::Arena& scratch,
                       std::vector<LabelView>& labels) const override;
};

void RemoteWriteDecoder::Impl::clear() {
  batch.clear();
  batch.resolver = this;
  rejections.clear();
  arena.clear();
  label_fields.clear();
  refs_begin.clear();
  refs.clear();
  symbols.clear();
  symbol_hashes.clear();
  has_metadata.clear();
}

std::uint32_t RemoteWriteDecoder::Impl::begin_series() {
  batch.series.emplace_back();
  return static_cast<std::uint32_t>(batch.series.size() - 1);
}

void RemoteWriteDecoder::Impl::add_sample(std::uint32_t series, std::string_view bytes) {
  const DecodedSample sample = decode_sample(bytes);
  batch.samples.push_back(
      {.series = series, .timestamp_ms = sample.timestamp_ms, .value = sample.value});
  if (version == RemoteWriteVersion::V1) return;
  if (sample.start_timestamp_ms != 0 || !batch.start_timestamps_ms.empty()) {
    batch.start_timestamps_ms.resize(batch.samples.size(), 0);
    batch.start_timestamps_ms.back() = sample.start_timestamp_ms;
  }
}

void RemoteWriteDecoder::Impl::add_histogram(std::uint32_t series, std::string_view bytes) {
  auto decoded = decode_histogram_message(bytes);
  if (!decoded) {
    rejections.add(RejectReason::InvalidHistogram, 1, [&] {
      return fmt::format("{} for series {}", decoded.error().message, describe(series));
    });
    return;
  }
  const bool has_start = version == RemoteWriteVersion::V2;
  batch.histograms.push_back({.series = series,
                              .timestamp_ms = decoded->timestamp_ms,
                              .start_timestamp_ms = has_start ? decoded->start_timestamp_ms : 0,
                              .histogram = std::move(decoded->histogram)});
}

void RemoteWriteDecoder::Impl::add_exemplar_v1(std::uint32_t series, std::string_view bytes) {
  telemetry::Exemplar exemplar{.series = series};
  protozero::pbf_message<wire::v1::Exemplar> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(wire::v1::Exemplar::Labels, pbf_wire_type::length_delimited):
        exemplar.labels.push_back(decode_label(message.get_view()));
        break;
      case tag_and_type(wire::v1::Exemplar::Value, pbf_wire_type::fixed64):
        exemplar.value = message.get_double();
        break;
      case tag_and_type(wire::v1::Exemplar::Timestamp, pbf_wire_type::varint):
        exemplar.timestamp_ms = message.get_int64();
        break;
      default:
        message.skip();
    }
  }
  batch.exemplars.push_back(std::move(exemplar));
}

void RemoteWriteDecoder::Impl::add_metadata_v1(std::string_view bytes) {
  using wire::v1::MetricMetadata;
  telemetry::MetricMetadata metadata;
  protozero::pbf_message<MetricMetadata> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(MetricMetadata::Type, pbf_wire_type::varint):
        metadata.type = metric_type(message.get_enum());
        break;
      case tag_and_type(MetricMetadata::FamilyName, pbf_wire_type::length_delimited):
        metadata.family = message.get_view();
        break;
      case tag_and_type(MetricMetadata::Help, pbf_wire_type::length_delimited):
        metadata.help = message.get_view();
        break;
      case tag_and_type(MetricMetadata::Unit, pbf_wire_type::length_delimited):
        metadata.unit = message.get_view();
        break;
      default:
        message.skip();
    }
  }
  if (!metadata.family.empty()) batch.metadata.push_back(metadata);
}

/// The Label fields of a series whose fields are not in the usual order, copied behind each other.
std::string_view RemoteWriteDecoder::Impl::joined_label_fields(std::string_view series) {
  std::string joined;
  protozero::pbf_message<wire::v1::TimeSeries> message(series);
  while (true) {
    const std::string_view before = message.data();
    if (!message.next()) break;
    const bool is_label = message.tag_and_type() == tag_and_type(wire::v1::TimeSeries::Labels,
                                                                 pbf_wire_type::length_delimited);
    message.skip();
    if (is_label) joined += before.substr(0, before.size() - message.data().size());
  }
  return arena.copy(joined);
}

/// Hot: per series.
void RemoteWriteDecoder::Impl::decode_series_v1(std::string_view bytes) {
  using wire::v1::TimeSeries;
  const std::uint32_t series = begin_series();
  const char* labels_begin = bytes.data();
  const char* labels_end = labels_begin;
  bool is_fragmented = false;
  // Errors of histograms name their series, so its labels must be known by then.
  label_fields.emplace_back();
  protozero::pbf_message<TimeSeries> message(bytes);
  const char* field_begin = bytes.data();
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(TimeSeries::Labels, pbf_wire_type::length_delimited):
        message.skip();
        if (labels_end == labels_begin) labels_begin = labels_end = field_begin;
        is_fragmented |= labels_end != field_begin;
        labels_end = message.data().data();
        label_fields.back() = {labels_begin, static_cast<std::size_t>(labels_end - labels_begin)};
        break;
      case tag_and_type(TimeSeries::Samples, pbf_wire_type::length_delimited):
        add_sample(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Exemplars, pbf_wire_type::length_delimited):
        add_exemplar_v1(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Histograms, pbf_wire_type::length_delimited):
        add_histogram(series, message.get_view());
        break;
      default:
        message.skip();
    }
    field_begin = message.data().data();
  }
  if (is_fragmented) label_fields.back() = joined_label_fields(bytes);
  batch.series.back().key =
      core::hash128(label_fields.back(), core::process_hash_seed() ^ kKeySaltV1);
}

void RemoteWriteDecoder::Impl::decode_v1(std::string_view body) {
  using wire::v1::WriteRequest;
  protozero::pbf_message<WriteRequest> message(body);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(WriteRequest::Timeseries, pbf_wire_type::length_delimited):
        decode_series_v1(message.get_view());
        break;
      case tag_and_type(WriteRequest::Metadata, pbf_wire_type::length_delimited):
        add_metadata_v1(message.get_view());
        break;
      default:
        message.skip();
    }
  }
}

std::span<const std::uint32_t> RemoteWriteDecoder::Impl::refs_of(std::uint32_t series) const {
  const std::size_t begin = refs_begin[series];
  const std::size_t end = series + 1 < refs_begin.size() ? refs_begin[series + 1] : refs.size();
  return std::span(refs).subspan(begin, end - begin);
}

Result<void> RemoteWriteDecoder::Impl::check_refs(std::span<const std::uint32_t> some) const {
  if (some.size() % 2 != 0) {
    return fail(Code::InvalidArgument, fmt::format("invalid labelRefs length {}", some.size()));
  }
  for (std::size_t i = 0; i < some.size(); i += 2) {
    if (some[i] >= symbols.size() || some[i + 1] >= symbols.size()) {
      return fail(Code::InvalidArgument,
                  fmt::format("labelRefs {} (name) = {} (value) outside of symbols table (size {})",
                              some[i], some[i + 1], symbols.size()));
    }
  }
  return {};
}

void RemoteWriteDecoder::Impl::add_exemplar_v2(std::uint32_t series, std::string_view bytes) {
  using wire::v2::Exemplar;
  telemetry::Exemplar exemplar{.series = series};
  std::vector<std::uint32_t> label_refs;
  protozero::pbf_message<Exemplar> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(Exemplar::LabelsRefs, pbf_wire_type::length_delimited):
        for (const std::uint32_t ref : message.get_packed_uint32()) label_refs.push_back(ref);
        break;
      case tag_and_type(Exemplar::LabelsRefs, pbf_wire_type::varint):
        label_refs.push_back(message.get_uint32());
        break;
      case tag_and_type(Exemplar::Value, pbf_wire_type::fixed64):
        exemplar.value = message.get_double();
        break;
      case tag_and_type(Exemplar::Timestamp, pbf_wire_type::varint):
        exemplar.timestamp_ms = message.get_int64();
        break;
      default:
        message.skip();
    }
  }
  auto checked = check_refs(label_refs);
  if (checked && exemplar.timestamp_ms == 0) {
    checked = fail(Code::InvalidArgument, "exemplar has no timestamp");
  }
  if (!checked) {
    rejections.add(RejectReason::InvalidExemplar, 1, [&] {
      return fmt::format("invalid exemplar: {} for series {}", checked.error().message,
                         describe(series));
    });
    return;
  }
  for (std::size_t i = 0; i < label_refs.size(); i += 2) {
    exemplar.labels.push_back({symbols[label_refs[i]], symbols[label_refs[i + 1]]});
  }
  batch.exemplars.push_back(std::move(exemplar));
}

void RemoteWriteDecoder::Impl::add_metadata_v2(std::span<const std::uint32_t> series_refs,
                                               std::string_view bytes) {
  using wire::v2::Metadata;
  std::optional<std::uint32_t> name;
  for (std::size_t i = 0; i + 1 < series_refs.size(); i += 2) {
    if (symbols[series_refs[i]] == telemetry::kMetricNameLabel) name = series_refs[i + 1];
  }
  if (!name || has_metadata[*name]) return;
  std::int32_t type = 0;
  std::uint32_t help = 0;
  std::uint32_t unit = 0;
  protozero::pbf_message<Metadata> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(Metadata::Type, pbf_wire_type::varint):
        type = message.get_enum();
        break;
      case tag_and_type(Metadata::HelpRef, pbf_wire_type::varint):
        help = message.get_uint32();
        break;
      case tag_and_type(Metadata::UnitRef, pbf_wire_type::varint):
        unit = message.get_uint32();
        break;
      default:
        message.skip();
    }
  }
  if (help >= symbols.size() || unit >= symbols.size()) {
    rejections.add(RejectReason::MetadataLimit, 1, [&] {
      return fmt::format("metadata of {} refers to symbol {}, the table has {}",
                         excerpt(symbols[*name], 128), std::max(help, unit), symbols.size());
    });
    return;
  }
  has_metadata[*name] = true;
  if (type == 0 && symbols[help].empty() && symbols[unit].empty()) return;
  batch.metadata.push_back({.family = family_of(symbols[*name], metric_type(type)),
                            .type = metric_type(type),
                            .help = symbols[help],
                            .unit = symbols[unit]});
}

/// Hot: per series. The references are read first: everything else is judged by them.
void RemoteWriteDecoder::Impl::decode_series_v2(std::string_view bytes) {
  using wire::v2::TimeSeries;
  const std::uint32_t series = begin_series();
  refs_begin.push_back(static_cast<std::uint32_t>(refs.size()));
  std::uint64_t item_count = 0;
  for (protozero::pbf_message<TimeSeries> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(TimeSeries::LabelsRefs, pbf_wire_type::length_delimited):
        for (const std::uint32_t ref : message.get_packed_uint32()) refs.push_back(ref);
        break;
      case tag_and_type(TimeSeries::LabelsRefs, pbf_wire_type::varint):
        refs.push_back(message.get_uint32());
        break;
      case tag_and_type(TimeSeries::Samples, pbf_wire_type::length_delimited):
      case tag_and_type(TimeSeries::Histograms, pbf_wire_type::length_delimited):
        ++item_count;
        [[fallthrough]];
      default:
        message.skip();
    }
  }
  const std::span<const std::uint32_t> series_refs = refs_of(series);
  auto checked = check_refs(series_refs);
  if (checked && item_count == 0) {
    checked = fail(Code::InvalidArgument,
                   fmt::format("TimeSeries must contain at least one sample or histogram for "
                               "series {}",
                               describe(series)));
  }
  if (!checked) {
    rejections.add(RejectReason::InvalidLabels, std::max<std::uint64_t>(item_count, 1),
                   [&] { return std::move(checked.error().message); });
    refs.resize(refs_begin.back());
    refs_begin.pop_back();
    batch.series.pop_back();
    return;
  }
  key_scratch.clear();
  for (const std::uint32_t ref : series_refs) key_scratch.push_back(symbol_hashes[ref]);
  const std::string_view key_bytes(reinterpret_cast<const char*>(key_scratch.data()),
                                   key_scratch.size() * sizeof(core::Hash128));
  batch.series.back().key = core::hash128(key_bytes, core::process_hash_seed() ^ kKeySaltV2);
  for (protozero::pbf_message<TimeSeries> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(TimeSeries::Samples, pbf_wire_type::length_delimited):
        add_sample(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Histograms, pbf_wire_type::length_delimited):
        add_histogram(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Exemplars, pbf_wire_type::length_delimited):
        add_exemplar_v2(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Metadata, pbf_wire_type::length_delimited):
        add_metadata_v2(series_refs, message.get_view());
        break;
      default:
        message.skip();
    }
  }
}

void RemoteWriteDecoder::Impl::decode_v2(std::string_view body) {
  using wire::v2::Request;
  // Nothing promises that the symbols come first.
  for (protozero::pbf_message<Request> message(body); message.next();) {
    if (message.tag_and_type() == tag_and_type(Request::Symbols, pbf_wire_type::length_delimited)) {
      symbols.push_back(message.get_view());
      symbol_hashes.push_back(core::hash128(symbols.back(), core::process_hash_seed()));
    } else {
      message.skip();
    }
  }
  has_metadata.assign(symbols.size(), false);
  for (protozero::pbf_message<Request> message(body); message.next();) {
    if (message.tag_and_type() ==
        tag_and_type(Request::Timeseries, pbf_wire_type::length_delimited)) {
      decode_series_v2(message.get_view());
    } else {
      message.skip();
    }
  }
}

void RemoteWriteDecoder::Impl::collect_labels(std::uint32_t series,
                                              std::vector<LabelView>& labels) const {
  if (version == RemoteWriteVersion::V2) {
    const auto series_refs = refs_of(series);
    for (std::size_t i = 0; i + 1 < series_refs.size(); i += 2) {
      labels.push_back({symbols[series_refs[i]], symbols[series_refs[i + 1]]});
    }
    return;
  }
  protozero::pbf_message<wire::v1::TimeSeries> message(label_fields[series]);
  while (message.next()) labels.push_back(decode_label(message.get_view()));
}

std::string RemoteWriteDecoder::Impl::describe(std::uint32_t series) const {
  std::vector<LabelView> labels;
  collect_labels(series, labels);
  return describe_series(labels);
}

Result<void> RemoteWriteDecoder::Impl::resolve(std::uint32_t series, core::Arena&,
                                               std::vector<LabelView>& labels) const {
  const std::size_t before = labels.size();
  try {
    collect_labels(series, labels);
  } catch (const protozero::exception& error) {
    labels.resize(before);
    return fail(Code::InvalidArgument,
                fmt::format("a label of series {} is not a message: {}", series, error.what()));
  }
  return check_series_labels(std::span(labels).subspan(before));
}

RemoteWriteDecoder::RemoteWriteDecoder() : impl_(std::make_unique<Impl>()) {
  impl_->clear();
}

RemoteWriteDecoder::~RemoteWriteDecoder() = default;
RemoteWriteDecoder::RemoteWriteDecoder(RemoteWriteDecoder&&) noexcept = default;
RemoteWriteDecoder& RemoteWriteDecoder::operator=(RemoteWriteDecoder&&) noexcept = default;

Result<void> RemoteWriteDecoder::decode(RemoteWriteVersion version, std::string_view body) {
  impl_->clear();
  impl_->version = version;
  try {
    version == RemoteWriteVersion::V1 ? impl_->decode_v1(body) : impl_->decode_v2(body);
  } catch (const protozero::exception& error) {
    const std::size_t series = impl_->batch.series.size();
    impl_->clear();
    return fail(
        Code::InvalidArgument,
        fmt::format("body is not a remote write {} message: {} at series {}",
                    version == RemoteWriteVersion::V1 ? "1.0" : "2.0", error.what(), series));
  }
  return {};
}

const telemetry::MetricBatch& RemoteWriteDecoder::batch() const {
  return impl_->batch;
}

const RejectionList& RemoteWriteDecoder::rejections() const {
  return impl_->rejections;
}

}  // namespace gantry::codec
