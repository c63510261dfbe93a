#pragma once

// Reading /proc and /sys: small files of lines and words.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace gantry::collect {

/// The whole file, which the kernel makes as it is read. Errors: NotFound, Internal; TooLarge past
/// one MiB.
[[nodiscard]] Result<std::string> read_proc_file(const std::string& path);

/// Without the line's end; blank lines are left out. Views into `text`.
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);

/// Separated by spaces and tabs. Views into `line`.
[[nodiscard]] std::vector<std::string_view> split_words(std::string_view line);

/// A decimal number with optional sign and fraction, whole.
[[nodiscard]] std::optional<double> parse_number(std::string_view word);

/// Without white space at either end.
[[nodiscard]] std::string_view trim(std::string_view text);

}  // namespace gantry::collect
