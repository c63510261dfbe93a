#pragma once

// The `trace` object of a request.

#include <string_view>

#include <simdjson.h>

#include "gateway/generation.h"

namespace gantry::gateway {

/// Attributes after flattening, those that say that a value was cut not counted.
inline constexpr std::size_t kMetadataMax = 64;
inline constexpr std::size_t kMetadataKeyBytesMax = 128;
inline constexpr std::size_t kMetadataValueBytesMax = 8 << 10;
/// Objects in objects; deeper ones become JSON text.
inline constexpr int kMetadataDepthMax = 5;
/// Names in TraceContext::ignored_keys.
inline constexpr std::size_t kIgnoredKeysMax = 64;

/// Collects what is ignored: nothing about metadata fails a call.
class IgnoredKeys {
 public:
  explicit IgnoredKeys(TraceContext& context) : context_(context) {}

  void add(std::string_view key);

 private:
  TraceContext& context_;
};

/// Fills the names, ids, metadata and ignored keys of `context`. Of a key that occurs twice the
/// last counts. Errors: the object is not JSON.
[[nodiscard]] simdjson::error_code read_trace_object(simdjson::ondemand::object& object,
                                                     std::string_view metadata_namespace,
                                                     TraceContext& context);

}  // namespace gantry::gateway
