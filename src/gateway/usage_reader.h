#pragma once

// A provider's `usage` in each of the wire formats. What all of them become counts cached and
// written tokens as part of the input and reasoning as part of the output.

#include <cstdint>
#include <optional>

#include "gateway/generation.h"
#include "gateway/json_reader.h"

namespace gantry::gateway {

struct ReportedUsage {
  std::optional<Usage> usage;   ///< Nothing: the input was not counted.
  std::optional<PicoUsd> cost;  ///< Some gateways behind this one say what the call cost.
};

/// Reads the value that comes next: prompt_tokens, completion_tokens, total_tokens and their
/// details (Chat, Completions, Embeddings), or input_tokens, output_tokens and theirs (Responses).
/// A missing total is the sum of input and output.
/// Gemini's completion_tokens leave thinking out: where the total is larger than both by exactly
/// the reasoning tokens, these are added to the output.
[[nodiscard]] ReportedUsage read_openai_usage(JsonReader& json);

/// Anthropic's `cache_creation`: tokens written to a cache, by how long it lasts.
struct CacheWrites {
  std::optional<std::int64_t> of_5m;
  std::optional<std::int64_t> of_1h;
};

/// Anthropic's `usage`, which a stream gives in parts, each later one replacing what it repeats.
/// Its input_tokens leave out both caches.
class AnthropicUsage {
 public:
  /// Reads the value that comes next.
  void read(JsonReader& json);

  /// Nothing before any count was read.
  [[nodiscard]] std::optional<Usage> usage() const;

 private:
  std::optional<std::int64_t> input_;
  std::optional<std::int64_t> output_;
  std::optional<std::int64_t> cache_read_;
  std::optional<std::int64_t> cache_write_;
  CacheWrites cache_writes_;
};

}  // namespace gantry::gateway
