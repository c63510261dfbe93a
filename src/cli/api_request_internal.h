#pragma once

// What the commands that read share: requests to a server's API, and tables of what it answers.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/time.h"
#include "net/client.h"

namespace gantry::cli {

/// application/x-www-form-urlencoded: for bodies, and for what goes behind a '?'.
[[nodiscard]] std::string encode_form(
    const std::vector<std::pair<std::string_view, std::string>>& fields);

/// A base URL, whatever slashes it ends in.
[[nodiscard]] std::string without_end_slashes(std::string_view url);

/// Basic credentials of `user`, or Bearer when it is ""; nothing without a token.
void set_credentials(net::ClientRequest& request, std::string_view user, std::string_view token);

/// Unix seconds or RFC 3339. Errors (InvalidArgument) name the flag.
[[nodiscard]] Result<TimestampMs> parse_time(std::string_view flag, std::string_view text);

/// Left-aligned columns, two blanks between them; the last one is not padded.
[[nodiscard]] std::string align(const std::vector<std::vector<std::string>>& rows);

}  // namespace gantry::cli
