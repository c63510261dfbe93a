#pragma once

#include <string_view>

namespace gantry::api {

/// What the pages at /login and /account load.
[[nodiscard]] std::string_view console_style();
[[nodiscard]] std::string_view console_script();

}  // namespace gantry::api
