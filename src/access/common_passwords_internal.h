#pragma once

#include <string_view>

namespace gantry::access {

/// Lines of common_passwords.txt, which the build compiles in; lower case.
[[nodiscard]] std::string_view common_password_lines();

}  // namespace gantry::access
