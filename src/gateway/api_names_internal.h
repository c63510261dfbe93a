#pragma once

// How traces, metrics and records name a call.

#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

/// gen_ai.operation.name
[[nodiscard]] std::string_view operation_name(Api api);

/// As the generation record has it: chat completions are completions there too.
[[nodiscard]] std::string_view api_type(Api api);

/// gen_ai.provider.name: "openai" of "openai/gpt-4o"; empty when the model has no author.
[[nodiscard]] std::string_view model_author(std::string_view model);

}  // namespace gantry::gateway
