#pragma once

// What the trace of a call takes from a provider's answer that came in one piece: chat completions,
// legacy completions and embeddings.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "gateway/generation.h"

namespace gantry::gateway {

struct Answer {
  std::string upstream_id;
  std::optional<Usage> usage;               ///< Absent if the provider did not count.
  std::optional<PicoUsd> reported_cost;     ///< The usage's own `cost`.
  std::string finish_reason;                ///< Of the first choice; normalised.
  std::string native_finish_reason;         ///< Of the first choice; the provider's own word.
  std::vector<std::string> finish_reasons;  ///< Of all choices, by index; normalised.
  std::int64_t tool_calls_count = 0;        ///< In all choices.
  RecordedContent completion;               ///< Of the first choice; none for embeddings.
};

/// `body` is the answer's JSON; 64 bytes behind it must be readable. `api` is Chat, Completions or
/// Embeddings. Any number of threads. Numbers of tokens that are negative or no integers count as
/// not given, and a usage without input tokens is none.
///
/// Errors, InvalidArgument: "answer: …": not JSON, or without a choice (embeddings: without data):
/// then it is not one that a client could use.
[[nodiscard]] Result<Answer> read_answer(Api api, std::string_view body);

}  // namespace gantry::gateway
