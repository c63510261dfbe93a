// Any text as the body that makes or changes a destination. What is accepted shows no secret, is
// kept without one, and what was shown changes nothing when it is written back.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "broadcast/destination_json.h"
#include "net/egress_url.h"

namespace {

using namespace gantry;

std::string show(const broadcast::Destination& destination) {
  std::string text;
  core::JsonWriter json(text);
  broadcast::write_destination(json, destination, broadcast::masks_of(destination.config));
  return text;
}

void check_shown(const broadcast::Destination& destination) {
  const std::string shown = show(destination);
  const auto body = broadcast::DestinationBody::parse(shown);
  GANTRY_ASSERT(body, "what is shown is a body");
  const auto again = body->change(destination);
  GANTRY_ASSERT(again, "what is shown is accepted");
  GANTRY_ASSERT(again->config == destination.config && show(*again) == shown,
                "what is shown changes nothing");
  std::string config;
  core::JsonWriter json(config);
  broadcast::write_config(json, destination.type, destination.config,
                          broadcast::masks_of(destination.config));
  const auto kept = broadcast::parse_masked_config(destination.type, config);
  GANTRY_ASSERT(kept && kept->masks == broadcast::masks_of(destination.config),
                "a config is kept by its masks");
}

broadcast::Destination stored() {
  broadcast::Destination destination;
  destination.type = broadcast::DestinationType::Webhook;
  destination.name = "hook";
  destination.config = broadcast::default_config(destination.type);
  destination.config.url = "https://hook.example.com/in";
  destination.config.headers = {{"X-Key", "0123456789ab"}};
  return destination;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto body = broadcast::DestinationBody::parse(text);
  if (!body) return 0;
  const auto created = body->create();
  GANTRY_ASSERT(created || created.error().code == Code::InvalidArgument,
                "a refusal is the body's fault");
  if (created) check_shown(*created);
  static_cast<void>(body->connection());
  const broadcast::Destination before = stored();
  const auto changed = body->change(before);
  if (!changed) return 0;
  check_shown(*changed);
  const auto url = net::parse_egress_url(changed->config.url);
  GANTRY_ASSERT(url, "a saved URL is a URL");
  if (url->origin() == "https://hook.example.com" || text.contains('\\')) return 0;
  for (const auto& [name, value] : changed->config.headers)
    GANTRY_ASSERT(value != "0123456789ab" || text.contains(value),
                  "a stored secret goes to another server only when it is entered again");
  return 0;
}
