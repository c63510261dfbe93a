#include "broadcast/destination.h"

#include <algorithm>
#include <array>

#include "broadcast/config_fields_internal.h"

namespace gantry::broadcast {
namespace {

struct TypeFacts {
  DestinationType type;
  std::string_view name;
  Signal signal;
};

constexpr std::array<TypeFacts, 6> kTypes = {{
    {DestinationType::Grafana, "grafana", Signal::Spans},
    {DestinationType::OtelCollector, "otel-collector", Signal::Spans},
    {DestinationType::Webhook, "webhook", Signal::Spans},
    {DestinationType::Gantry, "gantry", Signal::Spans},
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

Signal signal_of(DestinationType type) {
  return facts_of(type).signal;
}

bool takes_key(const Destination& destination, std::string_view key_hash) {
  const auto has = [&](const std::vector<std::string>& hashes) {
    return !key_hash.empty() && std::ranges::find(hashes, key_hash) != hashes.end();
  };
  if (has(destination.excluded_api_key_hashes)) return false;
  return !destination.api_key_hashes || has(*destination.api_key_hashes);
}

}  // namespace gantry::broadcast
