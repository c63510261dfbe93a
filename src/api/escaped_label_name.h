#pragma once

#include <string>
#include <string_view>

namespace gantry::api {

/// Undoes the escaping of a label name in a path: `U__a_2e_b` is `a.b`, `__` an underscore. Text
/// that is no escaped name, or a wrongly escaped one, stays as it is (Prometheus common
/// model.UnescapeName, values escaping, which knows code points of at most five digits).
[[nodiscard]] std::string unescape_label_name(std::string_view name);

}  // namespace gantry::api
