#pragma once

// What of an LLM call a destination gets beyond the usual attributes.

namespace gantry::broadcast {

/// All off by default.
struct GenerationExtras {
  bool cost = false;
  bool identity = false;
  bool request_context = false;

  friend bool operator==(const GenerationExtras&, const GenerationExtras&) = default;
};

}  // namespace gantry::broadcast
