#pragma once

// Other user names of a stack: numbers that somebody's senders are configured with already. Each is
// good where one signal is asked for; the instance id is good everywhere.

#include <cstdint>
#include <optional>

#include "access/control_plane.h"

namespace gantry::access {

/// Absent: the instance id alone.
struct StackAliases {
  std::optional<std::uint32_t> metrics;
  std::optional<std::uint32_t> logs;
  std::optional<std::uint32_t> traces;

  friend bool operator==(const StackAliases&, const StackAliases&) = default;
};

/// The outer one absent: unchanged; the inner one: none from now on.
struct StackAliasChanges {
  std::optional<std::optional<std::uint32_t>> metrics;
  std::optional<std::optional<std::uint32_t>> logs;
  std::optional<std::optional<std::uint32_t>> traces;
};

/// `before` with the changes applied, in the database too. The stack's own id counts as none.
/// Errors: InvalidArgument (0), AlreadyExists (it is the id or an alias of another stack, or the
/// alias of another signal).
[[nodiscard]] ControlResult<StackAliases> change_stack_aliases(OrgId org, ControlChange& change,
                                                               StackId stack,
                                                               const StackAliases& before,
                                                               const StackAliasChanges& changes);

/// Of a stack that is deleted: its numbers are free again.
[[nodiscard]] Result<void> remove_stack_aliases(OrgId org, state::Transaction& tx, StackId stack);

}  // namespace gantry::access
