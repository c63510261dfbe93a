#pragma once

#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

/// `body` is what RequestBody::parse accepted; one pass over it, and none over most bodies that are
/// text alone.
[[nodiscard]] InputMedia find_input_media(Api api, std::string_view body);

}  // namespace gantry::gateway
