#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/generation.h"

namespace gantry::gateway {

/// What a request's content has besides text: of "image", "audio", "video" and "file", each once,
/// in the order in which they come first. `body` is what RequestBody::parse accepted; one pass over
/// it, and none over most bodies that are text alone.
[[nodiscard]] std::vector<std::string> find_input_modalities(Api api, std::string_view body);

}  // namespace gantry::gateway
