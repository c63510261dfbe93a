#include "codec/influx.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "codec/influx_line.h"
#include "codec/series_labels.h"
#include "core/arena.h"
#include "core/hash.h"
#include "core/number_format.h"
#include "core/utf8.h"

namespace gantry::codec {

namespace {

using telemetry::LabelView;

constexpr std::uint64_t kKeySalt = 0x494e464c;

constexpr std::int64_t kNsPerMs = 1'000'000;

constexpr std::string_view kSource = "influx";

std::int64_t unit_ns(InfluxPrecision precision) {
  switch (precision) {
    case InfluxPrecision::Nanoseconds:
    case InfluxPrecision::ByMagnitude:
      return 1;
    case InfluxPrecision::Microseconds:
      return 1'000;
    case InfluxPrecision::Milliseconds:
      return kNsPerMs;
    case InfluxPrecision::Seconds:
      return 1'000 * kNsPerMs;
    case InfluxPrecision::Minutes:
      return 60'000 * kNsPerMs;
    case InfluxPrecision::Hours:
      return 3'600'000 * kNsPerMs;
  }
  return 1;
}

/// VictoriaMetrics: by the size of the number.
std::int64_t guessed_unit_ns(std::int64_t timestamp) {
  const double magnitude = std::abs(static_cast<double>(timestamp));
  if (magnitude >= 1e17) return unit_ns(InfluxPrecision::Nanoseconds);
  if (magnitude >= 1e14) return unit_ns(InfluxPrecision::Microseconds);
  if (magnitude >= 1e11) return unit_ns(InfluxPrecision::Milliseconds);
  return unit_ns(InfluxPrecision::Seconds);
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

/// Each character outside [A-Za-z0-9_] becomes one underscore.
void append_sanitised(std::string& out, std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const bool is_kept =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    out.push_back(is_kept ? c : '_');
    if (static_cast<unsigned char>(c) < 0x80) {
      ++i;
    } else {
      static_cast<void>(core::next_code_point(text, i));
    }
  }
}

/// A name must not begin with a digit.
std::string sanitised(std::string_view text) {
  std::string out;
  if (!text.empty() && text.front() >= '0' && text.front() <= '9') out.push_back('_');
  append_sanitised(out, text);
  return out;
}

std::string metric_name(InfluxMapping mapping, std::string_view measurement,
                        std::string_view field) {
  std::string name(measurement);
  if (mapping == InfluxMapping::VictoriaMetrics) {
    if (!name.empty()) name += '_';
    return name.append(field);
  }
  if (field != "value") name.append("_").append(field);
  return sanitised(name);
}

}  // namespace

Result<InfluxPrecision> parse_influx_precision(std::string_view word, PrecisionWords accepted) {
  struct Word {
    std::string_view word;
    InfluxPrecision precision;
    bool is_grafana_cloud;
  };

  static constexpr Word kWords[] = {
      {"", InfluxPrecision::Nanoseconds, true},     {"ns", InfluxPrecision::Nanoseconds, true},
      {"us", InfluxPrecision::Microseconds, true},  {"ms", InfluxPrecision::Milliseconds, true},
      {"s", InfluxPrecision::Seconds, true},        {"n", InfluxPrecision::Nanoseconds, false},
      {"u", InfluxPrecision::Microseconds, false},  {"µ", InfluxPrecision::Microseconds, false},
      {"µs", InfluxPrecision::Microseconds, false}, {"m", InfluxPrecision::Minutes, false},
      {"h", InfluxPrecision::Hours, false},
  };
  for (const Word& known : kWords) {
    if (known.word == word && (known.is_grafana_cloud || accepted == PrecisionWords::All)) {
      return known.precision;
    }
  }
  return fail(Code::InvalidArgument,
              fmt::format("precision supplied is not valid: {}", excerpt(word, 64)));
}

struct InfluxDecoder::Impl final : telemetry::SeriesResolver {
  /// What a series' labels are made from.
  struct Source {
    std::string_view raw_series;
    std::string_view field;
  };

  telemetry::MetricBatch batch;
  RejectionList rejections;
  InfluxOptions options;
  core::Arena arena;
  std::vector<Source> sources;
  InfluxPoint point;
  std::string key_scratch;

  void clear();
  Result<void> decode(std::string_view body);
  void add_point(std::int64_t timestamp_ms, std::uint64_t seed);
  [[nodiscard]] std::uint64_t key_seed() const;
  [[nodiscard]] Result<std::int64_t> timestamp_ms_of(const InfluxPoint& line) const;
  Result<void> resolve(std::uint32_t series, core::Arena& out,
                       std::vector<LabelView>& labels) const override;
};

void InfluxDecoder::Impl::clear() {
  batch.clear();
  batch.resolver = this;
  rejections.clear();
  arena.clear();
  sources.clear();
}

/// Everything in the options that changes labels is part of the keys.
std::uint64_t InfluxDecoder::Impl::key_seed() const {
  std::uint64_t seed = core::process_hash_seed() ^ kKeySalt;
  seed = core::hash64(options.mapping == InfluxMapping::GrafanaCloud ? "g" : "v", seed);
  for (const std::string_view part :
       {options.database_label, options.database, options.source_label}) {
    seed = core::hash64(part, seed);
  }
  return seed;
}

Result<std::int64_t> InfluxDecoder::Impl::timestamp_ms_of(const InfluxPoint& line) const {
  const bool is_guessed = options.precision == InfluxPrecision::ByMagnitude;
  const bool is_missing = !line.timestamp || (is_guessed && *line.timestamp == 0);
  if (is_missing) {
    const std::int64_t unit = unit_ns(options.precision);
    return floor_divide(floor_divide(options.now_ns, unit) * unit, kNsPerMs);
  }
  const std::int64_t unit =
      is_guessed ? guessed_unit_ns(*line.timestamp) : unit_ns(options.precision);
  std::int64_t timestamp_ns = 0;
  if (__builtin_mul_overflow(*line.timestamp, unit, &timestamp_ns)) {
    return fail(Code::InvalidArgument,
                fmt::format("timestamp {} is out of range at this precision: \"{}\"",
                            *line.timestamp, excerpt(line.raw_series, 64)));
  }
  return floor_divide(timestamp_ns, kNsPerMs);
}

/// Hot: per line.
void InfluxDecoder::Impl::add_point(std::int64_t timestamp_ms, std::uint64_t seed) {
  const core::Hash128 series_hash = core::hash128(point.raw_series, seed);
  for (const InfluxField& field : point.fields) {
    double value = field.value.number;
    if (field.value.kind == InfluxValueKind::String) {
      if (options.mapping == InfluxMapping::GrafanaCloud) continue;
      value = core::parse_float(unescape_influx_string(field.value.raw_string)).value_or(0);
    }
    key_scratch.assign(reinterpret_cast<const char*>(&series_hash), sizeof(series_hash));
    key_scratch.append(field.key);
    batch.series.push_back({.key = core::hash128(key_scratch, seed),
                            .duplicates = telemetry::DuplicatePolicy::LastWins});
    sources.push_back({.raw_series = point.raw_series, .field = field.key});
    batch.samples.push_back({.series = static_cast<std::uint32_t>(batch.series.size() - 1),
                             .timestamp_ms = timestamp_ms,
                             .value = value});
  }
}

Result<void> InfluxDecoder::Impl::decode(std::string_view body) {
  const bool is_lax = options.mapping == InfluxMapping::VictoriaMetrics;
  const std::uint64_t seed = key_seed();
  InfluxLineParser parser(body, {.is_lax = is_lax}, arena);
  while (true) {
    auto read = parser.next(point);
    if (read && !*read) return {};
    auto timestamp_ms = read ? timestamp_ms_of(point) : Result<std::int64_t>(0);
    if (!read || !timestamp_ms) {
      Error error = !read ? std::move(read).error() : std::move(timestamp_ms).error();
      if (!options.keeps_good_lines) return std::unexpected(std::move(error));
      rejections.add(telemetry::RejectReason::InvalidLabels, 1,
                     [&] { return std::move(error.message); });
      continue;
    }
    add_point(*timestamp_ms, seed);
  }
}

Result<void> InfluxDecoder::Impl::resolve(std::uint32_t series, core::Arena& out,
                                          std::vector<LabelView>& labels) const {
  const Source& source = sources[series];
  const bool is_sanitised = options.mapping == InfluxMapping::GrafanaCloud;
  InfluxPoint parsed;
  // The arena is the store's: it lives as long as the labels are looked at.
  InfluxLineParser parser(source.raw_series, {.is_lax = !is_sanitised}, out);
  GANTRY_CHECK(parser.parse_series(parsed));
  const std::size_t before = labels.size();
  labels.push_back({telemetry::kMetricNameLabel,
                    out.copy(metric_name(options.mapping, parsed.measurement, source.field))});
  const bool has_source = !options.source_label.empty();
  bool has_database = options.database_label.empty() || options.database.empty();
  for (const InfluxTag& tag : parsed.tags) {
    if (tag.key == telemetry::kMetricNameLabel) continue;
    const std::string_view name = is_sanitised ? out.copy(sanitised(tag.key)) : tag.key;
    if (has_source && name == options.source_label) continue;
    has_database |= name == options.database_label;
    labels.push_back({name, tag.value});
  }
  if (!has_database) labels.push_back({options.database_label, options.database});
  if (has_source) labels.push_back({options.source_label, kSource});
  return check_series_labels(std::span(labels).subspan(before));
}

InfluxDecoder::InfluxDecoder() : impl_(std::make_unique<Impl>()) {
  impl_->clear();
}

InfluxDecoder::~InfluxDecoder() = default;
InfluxDecoder::InfluxDecoder(InfluxDecoder&&) noexcept = default;
InfluxDecoder& InfluxDecoder::operator=(InfluxDecoder&&) noexcept = default;

Result<void> InfluxDecoder::decode(std::string_view body, const InfluxOptions& options) {
  impl_->clear();
  impl_->options = options;
  auto decoded = impl_->decode(body);
  impl_->batch.body_bytes = body.size();
  if (!decoded) impl_->clear();
  return decoded;
}

const telemetry::MetricBatch& InfluxDecoder::batch() const {
  return impl_->batch;
}

const RejectionList& InfluxDecoder::rejections() const {
  return impl_->rejections;
}

}  // namespace gantry::codec
