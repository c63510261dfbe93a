#pragma once

// What the repositories of this folder share: columns in and out.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/control_error.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

inline std::optional<TimestampMs> optional_time(const state::Statement& row, int column) {
  const auto value = row.optional_integer(column);
  if (!value) return std::nullopt;
  return TimestampMs{*value};
}

inline std::optional<std::int64_t> optional_ms(const std::optional<TimestampMs>& time) {
  if (!time) return std::nullopt;
  return time->since_epoch;
}

/// ["a","b"]. Errors: DataLoss.
[[nodiscard]] Result<std::vector<std::string>> parse_string_array(std::string_view text);
[[nodiscard]] std::string format_string_array(std::span<const std::string> values);

/// A problem when `name` is no is_token_name of at most `length_max` characters.
void check_name(std::vector<FieldProblem>& problems, std::string_view path, std::string_view name,
                std::size_t length_max = 255);

/// A problem when `text` is longer than 255 bytes or has control characters.
void check_display_text(std::vector<FieldProblem>& problems, std::string_view path,
                        std::string_view text);

/// A decimal number without sign; null for anything else.
[[nodiscard]] std::optional<std::int64_t> parse_identifier(std::string_view text);

}  // namespace gantry::access
