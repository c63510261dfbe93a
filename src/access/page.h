#pragma once

// Pages of lists ordered by (created, id), and the cursors between them.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"

namespace gantry::access {

/// Where a page begins.
struct PageStart {
  TimestampMs after_created_at{-1};  ///< Everything is after the default.
  std::string after_id;
  std::size_t limit = 100;
};

/// The last row of a page, and of which list it is.
struct PageCursor {
  TimestampMs created_at;
  std::string id;
  std::uint64_t filter_hash = 0;

  friend bool operator==(const PageCursor&, const PageCursor&) = default;
};

/// Base64url; opaque to clients, and nothing that it grants depends on it.
[[nodiscard]] std::string format_page_cursor(const PageCursor& cursor);

/// Errors: InvalidArgument.
[[nodiscard]] Result<PageCursor> parse_page_cursor(std::string_view text);

}  // namespace gantry::access
