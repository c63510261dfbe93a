#pragma once

// The fields of each type's config, in the order in which they are shown.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "broadcast/destination.h"

namespace gantry::broadcast {

enum class FieldKind : std::uint8_t {
  Url,
  MetricsUrl,
  InstanceId,
  Username,
  Secret,
  Method,
  Protocol,
  Signals,
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
/// "traces", "metrics".
[[nodiscard]] std::string_view signal_name(Signal signal);
/// "traces,metrics".
[[nodiscard]] std::string signals_text(const SignalSet& signals);
/// A list of their names, each once; nothing for another value, and for an empty list.
[[nodiscard]] std::optional<SignalSet> read_signals(simdjson::dom::element element);

[[nodiscard]] std::string_view encoding_name(Encoding encoding);
[[nodiscard]] std::string_view compression_name(Compression compression);

}  // namespace gantry::broadcast
