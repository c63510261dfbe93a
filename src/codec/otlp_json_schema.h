#pragma once

// The messages of OTLP as tables: JSON name, field number, kind.

#include <cstdint>
#include <span>
#include <string_view>

namespace gantry::codec {

enum class JsonKind : std::uint8_t {
  String,
  Bytes,  ///< Base64, standard or URL-safe, padded or not.
  HexId,  ///< Hexadecimal of `id_bytes` bytes, or "".
  Bool,
  Enum,  ///< An integer, never a name.
  Int64,
  Uint32,
  Fixed32,
  Sint32,
  Fixed64,
  Sfixed64,
  Double,
  Fixed64List,
  Uint64List,
  DoubleList,
  Message,
  MessageList,
};

struct JsonMessage;

struct JsonField {
  std::string_view name;
  std::uint32_t number = 0;
  JsonKind kind = JsonKind::String;
  const JsonMessage* message = nullptr;  ///< Of Message and MessageList.
  std::uint8_t id_bytes = 0;             ///< Of HexId.
};

struct JsonMessage {
  std::span<const JsonField> fields;
};

inline constexpr std::size_t kJsonFieldsMax = 16;

/// ExportMetricsServiceRequest.
[[nodiscard]] const JsonMessage& metrics_request_schema();

/// ExportTraceServiceRequest.
[[nodiscard]] const JsonMessage& traces_request_schema();

}  // namespace gantry::codec
