#pragma once

// What an empty data directory gets: an organisation, a stack, an administrator and three tokens.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "access/control_plane.h"
#include "access/directory.h"
#include "access/secret_key.h"
#include "core/error.h"
#include "core/time.h"

namespace gantry::access {

inline constexpr std::string_view kFirstStartFile = "first-start.json";
inline constexpr std::string_view kSecretKeyFile = "secret.key";

/// Shown once, and kept in DIR/first-start.json (mode 0600) until the operator removes it.
struct FirstStart {
  std::string url;
  StackId instance_id;
  std::string admin_user;
  std::string admin_password;
  std::string write_token;  ///< metrics, logs and traces of the stack.
  std::string read_token;   ///< The same, with rules and alerts.
  std::string admin_token;  ///< Every scope, every stack of the organisation.
};

/// {"url":…,"instance_id":…,"admin_user":…,"admin_password":…,"write_token":…,"read_token":…,
/// "admin_token":…}
[[nodiscard]] std::string format_first_start(const FirstStart& first);

/// Reads DIR/secret.key, or makes it when no key belongs to the database yet. Errors:
/// FailedPrecondition when the database's key is not there, or is not this one.
[[nodiscard]] Result<SecretKey> open_secret_key(const std::filesystem::path& data_directory,
                                                Directory& directory);

/// Creates all of it when the directory, which is of `plane`'s database, is empty, else does
/// nothing and returns null; of processes that start at once on one database, one does. The audit
/// log has each act, as done by Gantry. All or nothing across a crash: the file is written before
/// the rows are committed, and a file without rows is replaced. `url`: what clients are told to
/// use.
[[nodiscard]] Result<std::optional<FirstStart>> create_first_stack(
    const std::filesystem::path& data_directory, Directory& directory, const ControlPlane& plane,
    std::string_view url);

/// Where a first start has left its file.
struct FirstStartPlace {
  std::string host;
  std::string file;
};

/// Null: there was none, or by a Gantry that did not note it.
[[nodiscard]] Result<std::optional<FirstStartPlace>> find_first_start(Directory& directory);

}  // namespace gantry::access
