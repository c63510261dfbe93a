#pragma once

// Whether a destination takes an event: enabled, then its keys, then sampling, then its rules.

#include <cstdint>
#include <string_view>

#include "broadcast/destination.h"
#include "pipeline/filter_rules.h"

namespace gantry::broadcast {

using pipeline::EventFields;

enum class Decision : std::uint8_t { Taken, Disabled, KeyFiltered, Sampled, Filtered };

/// What decisions are made by.
struct EventFacts {
  std::string_view key_hash;      ///< Of the API key that brought it; "": none did.
  std::string_view sampling_key;  ///< The session id, else the trace id in 32 hex digits.
  EventFields fields;
};

/// The first that refuses, or Taken. Pure.
[[nodiscard]] Decision decide(const Destination& destination, const EventFacts& facts);

}  // namespace gantry::broadcast
