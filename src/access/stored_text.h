#pragma once

// What clients send, made fit for a text column: a byte that the database refuses must not cost
// the row, and with it the transaction.

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

namespace gantry::access {

/// At most `bytes_max` bytes, cut between code points; U+FFFD for what is not UTF-8 and for NUL.
[[nodiscard]] std::string stored_text(
    std::string_view text, std::size_t bytes_max = std::numeric_limits<std::size_t>::max());

}  // namespace gantry::access
