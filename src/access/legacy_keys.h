#pragma once

// API keys of the time before access policies: a role in the whole organisation. Each is a token
// of the built-in policy of its role.

#include <string>
#include <string_view>
#include <vector>

#include "access/tokens.h"

namespace gantry::access {

struct LegacyKey {
  Token token;
  std::string role;  ///< "Viewer", "Editor", "Admin", "MetricsPublisher", "PluginPublisher"
};

struct IssuedLegacyKey {
  LegacyKey key;
  std::string secret;
};

struct LegacyKeyImport {
  std::string name;
  std::string role;
  std::string sha256;  ///< 64 hexadecimal digits.
};

/// Errors: InvalidArgument (name, role), AlreadyExists, FailedPrecondition (access.legacy_keys is
/// off), PermissionDenied (the ceiling).
[[nodiscard]] ControlResult<IssuedLegacyKey> create_legacy_key(OrgId org, ControlChange& change,
                                                               std::string_view name,
                                                               std::string_view role);

/// A key that exists elsewhere, known by the SHA-256 of its text (which begins with "eyJrIjoi").
/// Also while access.legacy_keys is off. Errors: InvalidArgument, AlreadyExists (the name; or the
/// key was imported before), PermissionDenied.
[[nodiscard]] ControlResult<LegacyKey> import_legacy_key(OrgId org, ControlChange& change,
                                                         const LegacyKeyImport& key);

[[nodiscard]] ControlResult<std::vector<LegacyKey>> list_legacy_keys(OrgId org,
                                                                     state::Transaction& tx,
                                                                     TimestampMs now);

/// Errors: NotFound.
[[nodiscard]] ControlResult<void> delete_legacy_key(OrgId org, ControlChange& change,
                                                    std::string_view name);

}  // namespace gantry::access
