#include "broadcast/destination.h"

#include <algorithm>
#include <array>

#include "broadcast/config_fields_internal.h"

namespace gantry::broadcast {
namespace {

struct TypeFacts {
  DestinationType type;
  std::string_view name;
  std::optional<Signal> only;
};

constexpr std::array<TypeFacts, 6> kTypes = {{
    {DestinationType::Grafana, "grafana", std::nullopt},
    {DestinationType::OtelCollector, "otel-collector", std::nullopt},
    {DestinationType::Webhook, "webhook", Signal::Spans},
    {DestinationType::Gantry, "gantry", std::nullopt},
    {DestinationType::PrometheusRemoteWrite, "prometheus-remote-write", Signal::Metrics},
    {DestinationType::Influx, "influx", Signal::Metrics},
}};

const TypeFacts& facts_of(DestinationType type) {
  const TypeFacts& facts = kTypes.at(static_cast<std::size_t>(type));
  GANTRY_DEBUG_ASSERT(facts.type == type, "the table has the enum's order");
  return facts;
}

}  // namespace

std::string_view destination_type_name(DestinationType type) {
  return facts_of(type).name;
}

std::optional<DestinationType> parse_destination_type(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &TypeFacts::name);
  return found == kTypes.end() ? std::nullopt : std::optional(found->type);
}

ConfigFieldNames config_field_names(DestinationType type) {
  ConfigFieldNames names;
  for (const ConfigField& field : config_fields(type)) {
    if (field.kind == FieldKind::Url) names.url = field.name;
    if (field.kind == FieldKind::InstanceId || field.kind == FieldKind::Username)
      names.instance_id = field.name;
    if (field.kind == FieldKind::Secret) names.secret = field.name;
  }
  return names;
}

std::optional<Signal> only_signal(DestinationType type) {
  return facts_of(type).only;
}

bool takes(const Destination& destination, Signal signal) {
  const std::optional<Signal> only = only_signal(destination.type);
  return only ? *only == signal : destination.config.signals.has(signal);
}

Destination narrowed_to(Destination destination, Signal signal) {
  DestinationConfig& config = destination.config;
  config.signals = {.traces = signal == Signal::Spans, .metrics = signal == Signal::Metrics};
  if (destination.type == DestinationType::OtelCollector && signal == Signal::Metrics)
    config.url = metrics_url_of(config);
  return destination;
}

Signal signal_of(const Destination& destination) {
  return takes(destination, Signal::Spans) ? Signal::Spans : Signal::Metrics;
}

std::string metrics_url_of(const DestinationConfig& config) {
  constexpr std::string_view kTraces = "/v1/traces";
  constexpr std::string_view kMetrics = "/v1/metrics";
  if (config.protocol == Protocol::Grpc) return config.url;  // The method says the signal.
  if (!config.metrics_url.empty()) return config.metrics_url;
  // An endpoint that was derived already.
  if (config.url.ends_with(kMetrics)) return config.url;
  if (!config.url.ends_with(kTraces)) return "";
  return config.url.substr(0, config.url.size() - kTraces.size()).append(kMetrics);
}

bool takes_key(const Destination& destination, std::string_view key_hash) {
  const auto has = [&](const std::vector<std::string>& hashes) {
    return !key_hash.empty() && std::ranges::find(hashes, key_hash) != hashes.end();
  };
  if (has(destination.excluded_api_key_hashes)) return false;
  return !destination.api_key_hashes || has(*destination.api_key_hashes);
}

}  // namespace gantry::broadcast
