#include "codec/remote_write.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_message.hpp>

#include "codec/remote_write_fields.h"
#include "codec/remote_write_histogram.h"
#include "codec/remote_write_parts.h"
#include "codec/series_labels.h"
#include "core/arena.h"
#include "core/hash.h"
#include "telemetry/metadata_labels.h"

namespace gantry::codec {

namespace {

using protozero::pbf_wire_type;
using telemetry::LabelView;
using telemetry::RejectReason;

// Keys of the two messages (and of other codecs) must not meet: 1.0 hashes raw bytes, 2.0 hashes.
constexpr std::uint64_t kKeySaltV1 = 0x52573100;
constexpr std::uint64_t kKeySaltV2 = 0x52573200;

/// What a series of 2.0 says of its family; help and unit are symbols.
struct FamilyMetadata {
  telemetry::MetricType type = telemetry::MetricType::Unknown;
  std::uint32_t help = 0;
  std::uint32_t unit = 0;
};

FamilyMetadata decode_metadata_v2(std::string_view bytes) {
  using wire::v2::Metadata;
  FamilyMetadata metadata;
  protozero::pbf_message<Metadata> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(Metadata::Type, pbf_wire_type::varint):
        metadata.type = metric_type(message.get_enum());
        break;
      case tag_and_type(Metadata::HelpRef, pbf_wire_type::varint):
        metadata.help = message.get_uint32();
        break;
      case tag_and_type(Metadata::UnitRef, pbf_wire_type::varint):
        metadata.unit = message.get_uint32();
        break;
      default:
        message.skip();
    }
  }
  return metadata;
}

/// The labels that a series gets from its metadata; both empty: none.
struct MetadataLabels {
  std::string_view type;
  std::string_view unit;

  [[nodiscard]] bool is_empty() const { return type.empty() && unit.empty(); }
};

/// Keys are two polynomials over the halves of the strings' hashes, which are independent. The
/// hashes are keyed, so that nobody can choose strings for which both meet.
void append_to_key(core::Hash128& key, const core::Hash128& hash) {
  constexpr std::uint64_t kHighFactor = 0x9e3779b97f4a7c15;
  constexpr std::uint64_t kLowFactor = 0xc2b2ae3d27d4eb4f;
  key.high = key.high * kHighFactor + hash.high;
  key.low = key.low * kLowFactor + hash.low;
}

bool is_metadata_label(std::string_view name) {
  return name == telemetry::kTypeLabel || name == telemetry::kUnitLabel;
}

}  // namespace

struct RemoteWriteDecoder::Impl final : telemetry::SeriesResolver {
  telemetry::MetricBatch batch;
  RejectionList rejections;
  core::Arena arena;
  RemoteWriteVersion version = RemoteWriteVersion::V1;
  std::uint64_t key_seed = 0;

  /// 1.0: per series of the batch, its Label fields one after the other as on the wire.
  std::vector<std::string_view> label_fields;
  /// 2.0: per series, where its references begin; they end where the next series' begin.
  std::vector<std::uint32_t> refs_begin;
  std::vector<std::uint32_t> refs;
  std::vector<std::string_view> symbols;
  std::vector<core::Hash128> symbol_hashes;
  /// 2.0: metric name symbols whose metadata is in the batch already.
  std::vector<bool> has_metadata;
  RemoteWriteOptions options;
  /// 2.0, with adds_type_and_unit_labels: one per series.
  std::vector<MetadataLabels> metadata_labels;

  void clear();
  void decode_v1(std::string_view body);
  void decode_v2(std::string_view body);
  void decode_series_v1(std::string_view bytes);
  void decode_series_v2(std::string_view bytes);

  [[nodiscard]] bool has_starts() const {
    return version == RemoteWriteVersion::V2 || options.has_start_timestamps;
  }

  std::uint32_t begin_series();
  void add_sample(std::uint32_t series, std::string_view bytes);
  void add_histogram(std::uint32_t series, std::string_view bytes);
  void add_exemplar_v1(std::uint32_t series, std::string_view bytes);
  void add_exemplar_v2(std::uint32_t series, std::string_view bytes);
  void add_metadata_v1(std::string_view bytes);
  void add_metadata_v2(std::span<const std::uint32_t> series_refs, const FamilyMetadata& metadata);
  void add_metadata_labels(const FamilyMetadata& metadata);
  [[nodiscard]] std::string_view joined_label_fields(std::string_view series);
  [[nodiscard]] Result<void> check_refs(std::span<const std::uint32_t> some) const;
  [[nodiscard]] std::span<const std::uint32_t> refs_of(std::uint32_t series) const;
  [[nodiscard]] core::Hash128 key_of(std::span<const std::uint32_t> series_refs) const;
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
  metadata_labels.clear();
}

std::uint32_t RemoteWriteDecoder::Impl::begin_series() {
  batch.series.emplace_back();
  return static_cast<std::uint32_t>(batch.series.size() - 1);
}

void RemoteWriteDecoder::Impl::add_sample(std::uint32_t series, std::string_view bytes) {
  const DecodedSample sample = decode_sample(bytes);
  batch.samples.push_back(
      {.series = series, .timestamp_ms = sample.timestamp_ms, .value = sample.value});
  if (!has_starts()) return;
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
  batch.histograms.push_back({.series = series,
                              .timestamp_ms = decoded->timestamp_ms,
                              .start_timestamp_ms = has_starts() ? decoded->start_timestamp_ms : 0,
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
  const std::size_t leading_bytes = leading_label_bytes(bytes);
  const char* labels_begin = bytes.data();
  const char* labels_end = labels_begin + leading_bytes;
  bool is_fragmented = false;
  // Errors of histograms name their series, so its labels must be known by then.
  label_fields.push_back(bytes.substr(0, leading_bytes));
  protozero::pbf_message<TimeSeries> message(bytes.substr(leading_bytes));
  const char* field_begin = labels_end;
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
  batch.series.back().key = core::hash128(label_fields.back(), key_seed);
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
                                               const FamilyMetadata& metadata) {
  std::optional<std::uint32_t> name;
  for (std::size_t i = 0; i + 1 < series_refs.size(); i += 2) {
    if (symbols[series_refs[i]] == telemetry::kMetricNameLabel) name = series_refs[i + 1];
  }
  if (!name || has_metadata[*name]) return;
  const auto [type, help, unit] = metadata;
  if (help >= symbols.size() || unit >= symbols.size()) {
    rejections.add(RejectReason::MetadataLimit, 1, [&] {
      return fmt::format("metadata of {} refers to symbol {}, the table has {}",
                         excerpt(symbols[*name], 128), std::max(metadata.help, metadata.unit),
                         symbols.size());
    });
    return;
  }
  has_metadata[*name] = true;
  if (type == telemetry::MetricType::Unknown && symbols[help].empty() && symbols[unit].empty()) {
    return;
  }
  batch.metadata.push_back({.family = family_of(symbols[*name], type),
                            .type = type,
                            .help = symbols[help],
                            .unit = symbols[unit]});
}

/// Of the last series. They are part of what its labels are made from.
void RemoteWriteDecoder::Impl::add_metadata_labels(const FamilyMetadata& metadata) {
  MetadataLabels& labels = metadata_labels.back();
  if (metadata.type != telemetry::MetricType::Unknown) {
    labels.type = telemetry::metric_type_name(metadata.type);
  }
  if (metadata.unit < symbols.size()) labels.unit = symbols[metadata.unit];
  if (labels.is_empty()) return;
  core::Hash128& key = batch.series.back().key;
  for (const std::string_view text : {labels.type, labels.unit}) {
    append_to_key(key, core::hash128(text, core::process_hash_seed()));
  }
}

/// Hot: per series. The key of a label set from the hashes of its strings.
core::Hash128 RemoteWriteDecoder::Impl::key_of(std::span<const std::uint32_t> series_refs) const {
  core::Hash128 key{.high = key_seed, .low = ~key_seed};
  for (const std::uint32_t ref : series_refs) append_to_key(key, symbol_hashes[ref]);
  return key;
}

/// Hot: per series.
void RemoteWriteDecoder::Impl::decode_series_v2(std::string_view bytes) {
  using wire::v2::TimeSeries;
  const std::uint32_t series = begin_series();
  refs_begin.push_back(static_cast<std::uint32_t>(refs.size()));
  if (options.adds_type_and_unit_labels) metadata_labels.emplace_back();
  const std::size_t samples_before = batch.samples.size();
  const std::size_t histograms_before = batch.histograms.size();
  const std::size_t exemplars_before = batch.exemplars.size();
  std::uint64_t item_count = 0;
  std::string_view metadata;
  for (protozero::pbf_message<TimeSeries> message(bytes); message.next();) {
    switch (message.tag_and_type()) {
      case tag_and_type(TimeSeries::LabelsRefs, pbf_wire_type::length_delimited):
        for (const std::uint32_t ref : message.get_packed_uint32()) refs.push_back(ref);
        break;
      case tag_and_type(TimeSeries::LabelsRefs, pbf_wire_type::varint):
        refs.push_back(message.get_uint32());
        break;
      case tag_and_type(TimeSeries::Samples, pbf_wire_type::length_delimited):
        ++item_count;
        add_sample(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Histograms, pbf_wire_type::length_delimited):
        ++item_count;
        add_histogram(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Exemplars, pbf_wire_type::length_delimited):
        add_exemplar_v2(series, message.get_view());
        break;
      case tag_and_type(TimeSeries::Metadata, pbf_wire_type::length_delimited):
        metadata = message.get_view();
        break;
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
    const std::uint64_t added_count =
        batch.samples.size() - samples_before + batch.histograms.size() - histograms_before;
    rejections.add(RejectReason::InvalidLabels, std::max<std::uint64_t>(added_count, 1),
                   [&] { return std::move(checked.error().message); });
    batch.samples.resize(samples_before);
    batch.start_timestamps_ms.resize(std::min(batch.start_timestamps_ms.size(), samples_before));
    batch.histograms.erase(
        batch.histograms.begin() + static_cast<std::ptrdiff_t>(histograms_before),
        batch.histograms.end());
    batch.exemplars.erase(batch.exemplars.begin() + static_cast<std::ptrdiff_t>(exemplars_before),
                          batch.exemplars.end());
    refs.resize(refs_begin.back());
    refs_begin.pop_back();
    if (!metadata_labels.empty()) metadata_labels.pop_back();
    batch.series.pop_back();
    return;
  }
  batch.series.back().key = key_of(series_refs);
  if (metadata.empty()) return;
  const FamilyMetadata decoded = decode_metadata_v2(metadata);
  if (options.adds_type_and_unit_labels) add_metadata_labels(decoded);
  add_metadata_v2(series_refs, decoded);
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
    const MetadataLabels added =
        metadata_labels.empty() ? MetadataLabels{} : metadata_labels[series];
    for (std::size_t i = 0; i + 1 < series_refs.size(); i += 2) {
      // A series that is described before it is checked may have any reference.
      if (std::max(series_refs[i], series_refs[i + 1]) >= symbols.size()) continue;
      const std::string_view name = symbols[series_refs[i]];
      if (!added.is_empty() && is_metadata_label(name)) continue;
      labels.push_back({name, symbols[series_refs[i + 1]]});
    }
    if (!added.type.empty()) labels.push_back({telemetry::kTypeLabel, added.type});
    if (!added.unit.empty()) labels.push_back({telemetry::kUnitLabel, added.unit});
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

Result<void> RemoteWriteDecoder::decode(RemoteWriteVersion version, std::string_view body,
                                        RemoteWriteOptions options) {
  impl_->clear();
  impl_->options = options;
  impl_->version = version;
  impl_->key_seed =
      core::process_hash_seed() ^ (version == RemoteWriteVersion::V1 ? kKeySaltV1 : kKeySaltV2);
  impl_->batch.body_bytes = body.size();
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
