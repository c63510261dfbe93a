#pragma once

// Destinations as the API shows them.

#include <string>

#include "broadcast/destination_json.h"
#include "core/json_writer.h"

namespace gantry::broadcast::testing {

/// The object, with masks.
inline std::string show(const Destination& destination) {
  std::string text;
  core::JsonWriter json(text);
  write_destination(json, destination, masks_of(destination.config));
  return text;
}

inline std::string show_config(const Destination& destination) {
  std::string text;
  core::JsonWriter json(text);
  write_config(json, destination.type, destination.config, masks_of(destination.config));
  return text;
}

}  // namespace gantry::broadcast::testing
