#pragma once

// The fields of each type's config, in the order in which they are shown.

#include <cstdint>
#include <span>
#include <string_view>

#include "broadcast/destination.h"

namespace gantry::broadcast {

enum class FieldKind : std::uint8_t {
  Url,
  InstanceId,
  Username,
  Secret,
  Method,
  Protocol,
  Encoding,
  Compression,
  Version,  ///< Of remote write.
  Headers,
};

struct ConfigField {
  std::string_view name;
  FieldKind kind;
  bool is_required = false;
};

[[nodiscard]] std::span<const ConfigField> config_fields(DestinationType type);

[[nodiscard]] std::string_view protocol_name(Protocol protocol);
[[nodiscard]] std::string_view encoding_name(Encoding encoding);
[[nodiscard]] std::string_view compression_name(Compression compression);

}  // namespace gantry::broadcast
