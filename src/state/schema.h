#pragma once

// The tables, as the numbered steps that make them.

#include <span>
#include <string_view>

namespace gantry::state {

/// Applied once each, in order, in a transaction of its own. Never edited once released.
struct Migration {
  int version = 0;        ///< 1, 2, 3, …
  std::string_view name;  ///< snake_case; shown when an older program meets a newer file.
  std::string_view sql;
};

[[nodiscard]] std::span<const Migration> migrations();

}  // namespace gantry::state
