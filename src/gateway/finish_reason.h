#pragma once

#include <string_view>

namespace gantry::gateway {

/// The provider's word as one of tool_calls, stop, length, content_filter, error. Words of all
/// providers are known, in any case; an unknown one is "stop". "" stays "".
[[nodiscard]] std::string_view normalise_finish_reason(std::string_view native);

}  // namespace gantry::gateway
