#pragma once

// Small words of HTTP.

#include <string>
#include <string_view>

namespace gantry::net {

[[nodiscard]] bool equals_without_case(std::string_view a, std::string_view b);

/// `given` when it is 1 to 128 characters of [A-Za-z0-9._-], else a new random one of 32 hex
/// digits.
[[nodiscard]] std::string request_id_from(std::string_view given);

/// "Sun, 06 Nov 1994 08:49:37 GMT". Cached per thread and second.
[[nodiscard]] std::string_view http_date();

/// Appends a header field; line breaks and other control characters in it become spaces, so that
/// a value cannot start another field.
void append_field(std::string& out, std::string_view name, std::string_view value);

}  // namespace gantry::net
