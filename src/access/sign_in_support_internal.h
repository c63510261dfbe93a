#pragma once

// What signing in with a password and through a provider share.

#include <expected>
#include <string>
#include <type_traits>
#include <utility>

#include "access/access_error.h"
#include "access/audit.h"
#include "access/users.h"
#include "core/error.h"

namespace gantry::access {

/// The error as `explain` tells the person.
template <class T>
[[nodiscard]] AccessResult<T> to_access(Result<T> result, AccessError (*explain)(const Error&)) {
  if (!result) return std::unexpected(explain(result.error()));
  if constexpr (std::is_void_v<T>)
    return {};
  else
    return *std::move(result);
}

/// What a person did to their own account.
[[nodiscard]] inline AuditEvent event_about(std::string name, const User& user,
                                            const ClientContext& client) {
  return {.event = std::move(name),
          .actor = {.type = Actor::Type::User, .id = user.id, .name = user.login},
          .target = {.type = "user", .id = user.id, .name = user.login},
          .client = client};
}

}  // namespace gantry::access
