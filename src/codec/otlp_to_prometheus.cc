#include "codec/otlp_to_prometheus.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "codec/otlp_translator_internal.h"
#include "codec/series_labels.h"

namespace gantry::codec {

namespace {

using telemetry::MetricType;

constexpr std::uint64_t kKeySalt = 0x4f544c50;
/// Names kept from earlier requests; more than this and they are forgotten together.
constexpr std::size_t kNamesKept = 20'000;
/// A resource whose points are far apart in time gets no more target_info samples than this.
constexpr std::int64_t kTargetInfoSamplesMax = 100;

core::Hash128 combine(core::Hash128 a, core::Hash128 b, std::uint64_t seed) {
  const std::array<core::Hash128, 2> both = {a, b};
  return core::hash128({reinterpret_cast<const char*>(both.data()), sizeof(both)}, seed);
}

std::uint64_t hash_list(const std::vector<std::string>& list, std::uint64_t seed) {
  for (const std::string& item : list) seed = core::hash64(item, seed);
  return seed;
}

/// Of everything in the options that changes labels.
std::uint64_t hash_options(const OtlpOptions& options) {
  const std::array<char, 9> flags = {static_cast<char>(options.strategy),
                                     options.keeps_repeated_underscores ? '1' : '0',
                                     options.prefixes_underscore ? '1' : '0',
                                     options.promotes_scope ? '1' : '0',
                                     options.keeps_identifying_attributes ? '1' : '0',
                                     options.adds_type_and_unit_labels ? '1' : '0',
                                     options.promotion.all ? '1' : '0',
                                     static_cast<char>(options.explicit_histograms),
                                     static_cast<char>(options.delta)};
  std::uint64_t seed = core::process_hash_seed() ^ kKeySalt;
  seed = core::hash64({flags.data(), flags.size()}, seed);
  seed = core::hash64(options.name_space, seed);
  seed = hash_list(options.promotion.attributes, seed);
  return hash_list(options.promotion.ignored, seed);
}

NameType name_type(const OtlpMetric& metric) {
  if (metric.kind == OtlpMetricKind::Gauge) return NameType::Gauge;
  if (metric.kind == OtlpMetricKind::Sum && metric.is_monotonic) return NameType::MonotonicSum;
  return NameType::Other;
}

bool has_temporality(OtlpMetricKind kind) {
  return kind == OtlpMetricKind::Sum || kind == OtlpMetricKind::Histogram ||
         kind == OtlpMetricKind::ExponentialHistogram;
}

}  // namespace

std::string OtlpOutcome::message() const {
  std::string text;
  for (const auto* list : {&errors, &warnings}) {
    for (const std::string& line : *list) {
      if (!text.empty()) text += "; ";
      text += line;
    }
  }
  return text;
}

void OtlpOutcome::clear() {
  *this = {};
}

void OtlpTranslator::Impl::begin(const OtlpOptions& new_options, std::uint64_t body_bytes) {
  options = &new_options;
  const std::uint64_t new_hash = hash_options(new_options);
  if (new_hash != options_hash || names.size() > kNamesKept) {
    names.clear();
    name_by_key.clear();
  }
  options_hash = new_hash;
  ++request;
  batch.clear();
  batch.resolver = this;
  batch.body_bytes = body_bytes;
  outcome.clear();
  arena.clear();
  resources.clear();
  scopes.clear();
  metrics.clear();
  sources.clear();
  point_of_series.clear();
  begun_points = 0;
  non_ascii_names.clear();
  target_info_seen.clear();
}

void OtlpTranslator::Impl::reject(std::uint64_t points, std::string message) {
  outcome.rejected_data_points += points;
  if (outcome.errors.size() < OtlpOutcome::kMessagesKept) {
    outcome.errors.push_back(std::move(message));
  }
}

void OtlpTranslator::Impl::warn(std::string message) {
  if (outcome.warnings.size() >= OtlpOutcome::kMessagesKept) return;
  if (std::ranges::find(outcome.warnings, message) != outcome.warnings.end()) return;
  outcome.warnings.push_back(std::move(message));
}

void OtlpTranslator::Impl::begin_resource(const OtlpResource& resource) {
  ResourceState state{.attributes = resource.attributes};
  std::string_view service_name;
  std::string_view service_namespace;
  attribute_scratch.clear();
  read_attributes(resource.attributes, attribute_scratch);
  for (const OtlpAttribute& attribute : attribute_scratch) {
    if (attribute.key == "service.name") {
      service_name = attribute_text(attribute.value, arena);
    } else if (attribute.key == "service.namespace") {
      service_namespace = attribute_text(attribute.value, arena);
    } else if (attribute.key == "service.instance.id") {
      state.instance = attribute_text(attribute.value, arena);
    } else {
      state.has_other_attributes = true;
    }
  }
  state.job = service_name;
  if (!service_name.empty() && !service_namespace.empty()) {
    state.job = arena.copy(fmt::format("{}/{}", service_namespace, service_name));
  }
  state.hash = core::hash128(resource.attributes, options_hash);
  resources.push_back(state);
  time_ns_min = std::numeric_limits<std::uint64_t>::max();
  time_ns_max = 0;
}

void OtlpTranslator::Impl::begin_scope(const OtlpScope& scope) {
  ScopeState state{.scope = scope};
  // Without promotion the scope is in no label, so it must not be in the keys either.
  if (options->promotes_scope) {
    scratch.clear();
    for (const std::string_view part :
         {scope.name, scope.version, scope.schema_url, scope.attributes}) {
      scratch.append(std::to_string(part.size())).append(":").append(part);
    }
    state.hash = core::hash128(scratch, options_hash);
  }
  scopes.push_back(state);
}

/// Hot: per metric.
OtlpTranslator::Impl::Name& OtlpTranslator::Impl::name_of(const OtlpMetric& metric) {
  scratch.assign(1, static_cast<char>(name_type(metric)));
  scratch.append(metric.name).push_back('\0');
  scratch.append(metric.unit);
  const core::Hash128 key = core::hash128(scratch, options_hash);
  const auto [entry, is_new] = name_by_key.try_emplace(key, nullptr);
  if (!is_new) return *entry->second;
  Name& name = names.emplace_back();
  entry->second = &name;
  auto translated = prometheus_metric_name(metric.name, metric.unit, name_type(metric),
                                           options->strategy, options->name_space);
  if (translated) {
    name.name = *std::move(translated);
    name.unit = prometheus_unit(metric.unit);
  } else {
    name.error = std::move(translated).error().message;
  }
  return name;
}

/// Two names that differ only in letters that both became underscores would mix their samples.
void OtlpTranslator::Impl::report_collision(const OtlpMetric& metric, const Name& name) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (std::ranges::all_of(metric.name, is_ascii) || !escapes_names(options->strategy)) return;
  for (const auto& [translated, original] : non_ascii_names) {
    if (translated == name.name && original != metric.name) {
      warn(fmt::format("metrics \"{}\" and \"{}\" both become {}", excerpt(original, 128),
                       excerpt(metric.name, 128), name.name));
      return;
    }
  }
  non_ascii_names.emplace_back(name.name, metric.name);
}

MetricType OtlpTranslator::Impl::type_of(const OtlpMetric& metric) const {
  const bool is_delta = metric.temporality == OtlpTemporality::Delta;
  if (has_temporality(metric.kind) && is_delta && options->delta == DeltaPolicy::Native) {
    return MetricType::Unknown;
  }
  switch (metric.kind) {
    case OtlpMetricKind::Gauge:
      return MetricType::Gauge;
    case OtlpMetricKind::Sum:
      return metric.is_monotonic ? MetricType::Counter : MetricType::Gauge;
    case OtlpMetricKind::Histogram:
    case OtlpMetricKind::ExponentialHistogram:
      return MetricType::Histogram;
    case OtlpMetricKind::Summary:
      return MetricType::Summary;
  }
  return MetricType::Unknown;
}

void OtlpTranslator::Impl::add_metadata(MetricState& state) {
  Name& name = *state.name;
  if (name.request == request) return;
  name.request = request;
  batch.metadata.push_back({.family = name.name,
                            .type = state.type,
                            .help = state.metric.description,
                            .unit = name.unit});
}

bool OtlpTranslator::Impl::begin_metric(const OtlpMetric& metric, std::uint64_t point_count) {
  outcome.data_points += point_count;
  if (point_count == 0) {
    warn(fmt::format("empty data points. {} is dropped", excerpt(metric.name, 128)));
    return false;
  }
  if (has_temporality(metric.kind)) {
    const bool is_taken =
        metric.temporality == OtlpTemporality::Cumulative ||
        (metric.temporality == OtlpTemporality::Delta && options->delta != DeltaPolicy::Reject);
    if (!is_taken) {
      reject(point_count, fmt::format("invalid temporality and type combination for metric \"{}\"",
                                      excerpt(metric.name, 128)));
      return false;
    }
  }
  Name& name = name_of(metric);
  if (!name.error.empty()) {
    reject(point_count, name.error);
    return false;
  }
  report_collision(metric, name);
  MetricState state{.metric = metric,
                    .name = &name,
                    .type = type_of(metric),
                    .resource = static_cast<std::uint32_t>(resources.size() - 1),
                    .scope = static_cast<std::uint32_t>(scopes.size() - 1)};
  scratch.assign(1, static_cast<char>(state.type));
  scratch.append(name.unit).push_back('\0');
  scratch.append(name.name);
  state.hash = combine(combine(resources.back().hash, scopes.back().hash, options_hash),
                       core::hash128(scratch, options_hash), options_hash);
  add_metadata(state);
  metrics.push_back(state);
  return true;
}

void OtlpTranslator::Impl::note_time(std::uint64_t time_ns) {
  if (time_ns == 0) time_ns = static_cast<std::uint64_t>(options->now_ms) * kNsPerMs;
  time_ns_min = std::min(time_ns_min, time_ns);
  time_ns_max = std::max(time_ns_max, time_ns);
}

/// target_info from the earliest to the latest point, often enough to be found by any query.
void OtlpTranslator::Impl::end_resource() {
  const ResourceState& resource = resources.back();
  if (!options->has_target_info || !resource.has_other_attributes || time_ns_max == 0 ||
      (resource.job.empty() && resource.instance.empty())) {
    return;
  }
  const core::Hash128 part{.high = 0, .low = static_cast<std::uint64_t>(Part::TargetInfo)};
  const core::Hash128 key = combine(resource.hash, part, options_hash);
  batch.series.push_back(
      {.key = key, .duplicates = telemetry::DuplicatePolicy::Ignore, .is_best_effort = true});
  const auto series = static_cast<std::uint32_t>(batch.series.size() - 1);
  sources.push_back(
      {.metric = static_cast<std::uint32_t>(resources.size() - 1), .part = Part::TargetInfo});
  point_of_series.push_back(kNoPoint);
  if (target_info_seen.empty()) {
    batch.metadata.push_back({.family = "target_info",
                              .type = MetricType::Gauge,
                              .help = "Target metadata",
                              .unit = ""});
  }
  const std::int64_t step_ms = std::max<std::int64_t>(options->lookback_ms / 2, 1);
  const std::int64_t last_ms = ms_of(time_ns_max);
  std::int64_t time_ms = std::max(ms_of(time_ns_min), last_ms - step_ms * kTargetInfoSamplesMax);
  for (bool is_last = false; !is_last; time_ms += step_ms) {
    is_last = time_ms >= last_ms;
    const std::int64_t at_ms = is_last ? last_ms : time_ms;
    const core::Hash128 moment{.high = 0, .low = static_cast<std::uint64_t>(at_ms)};
    if (!target_info_seen.insert(combine(key, moment, options_hash)).second) continue;
    batch.samples.push_back({.series = series, .timestamp_ms = at_ms, .value = 1});
  }
  if (!batch.start_timestamps_ms.empty()) {
    batch.start_timestamps_ms.resize(batch.samples.size(), 0);
  }
}

OtlpTranslator::OtlpTranslator() : impl_(std::make_unique<Impl>()) {}

OtlpTranslator::~OtlpTranslator() = default;
OtlpTranslator::OtlpTranslator(OtlpTranslator&&) noexcept = default;
OtlpTranslator& OtlpTranslator::operator=(OtlpTranslator&&) noexcept = default;

void OtlpTranslator::begin(const OtlpOptions& options, std::uint64_t body_bytes) {
  impl_->begin(options, body_bytes);
}

void OtlpTranslator::begin_resource(const OtlpResource& resource) {
  impl_->begin_resource(resource);
}

void OtlpTranslator::begin_scope(const OtlpScope& scope) {
  impl_->begin_scope(scope);
}

bool OtlpTranslator::begin_metric(const OtlpMetric& metric, std::uint64_t point_count) {
  return impl_->begin_metric(metric, point_count);
}

void OtlpTranslator::skip_point(std::uint64_t time_ns) {
  impl_->note_time(time_ns);
}

void OtlpTranslator::add(OtlpNumberPoint& point) {
  impl_->add(point);
}

void OtlpTranslator::add(OtlpHistogramPoint& point) {
  impl_->add(point);
}

void OtlpTranslator::add(OtlpExponentialPoint& point) {
  impl_->add(point);
}

void OtlpTranslator::add(OtlpSummaryPoint& point) {
  impl_->add(point);
}

void OtlpTranslator::end_resource() {
  impl_->end_resource();
}

const telemetry::MetricBatch& OtlpTranslator::batch() const {
  return impl_->batch;
}

const OtlpOutcome& OtlpTranslator::outcome() const {
  return impl_->outcome;
}

std::uint64_t OtlpTranslator::count_refused_points(const telemetry::AppendResult& result) const {
  std::vector<std::uint32_t> refused;
  const auto collect = [&](const auto& samples, std::span<const std::uint32_t> positions) {
    for (const std::uint32_t position : positions) {
      const std::uint32_t point = impl_->point_of_series[samples[position].series];
      if (point != Impl::kNoPoint) refused.push_back(point);
    }
  };
  collect(impl_->batch.samples, result.refused_samples);
  collect(impl_->batch.histograms, result.refused_histograms);
  std::ranges::sort(refused);
  const auto repeated = std::ranges::unique(refused);
  return refused.size() - repeated.size();
}

}  // namespace gantry::codec
