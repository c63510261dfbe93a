#pragma once

// Where the keyring comes from, and the one in use, which follows its file.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "access/secrets/keyring.h"
#include "core/error.h"
#include "core/mutex.h"

namespace gantry::access {

inline constexpr std::string_view kKeyringFile = "keyring.json";
inline constexpr std::string_view kMasterKeyVariable = "GANTRY_MASTER_KEY";

struct KeyringSource {
  enum class Kind : std::uint8_t {
    File,         ///< DIR/keyring.json
    Credential,   ///< keyring.json among the credentials that systemd hands to a service.
    Environment,  ///< GANTRY_MASTER_KEY: a keyring in JSON, or the base64 of one key.
  };

  Kind kind = Kind::File;
  std::filesystem::path path;  ///< Of a file or credential.
  std::string text;            ///< Of the environment.

  /// The path or the variable's name: for messages.
  [[nodiscard]] std::string name() const;
};

/// The variable when it is set, else the credential when there is one, else DIR/keyring.json,
/// whether it is there or not.
[[nodiscard]] KeyringSource find_keyring(
    const std::filesystem::path& data_directory,
    std::span<const std::pair<std::string, std::string>> environment);

/// Messages begin with the source's name. Errors: NotFound (no file), PermissionDenied (others than
/// its owner may read it, or its owner is neither this process's user nor root; root itself
/// reads that of the directory's owner), InvalidArgument (its content), Internal.
[[nodiscard]] Result<Keyring> read_keyring(const KeyringSource& source);

/// A new DIR/keyring.json, mode 0600, with the owner of its directory. Errors: AlreadyExists,
/// FailedPrecondition (the source is no file), ResourceExhausted, Internal.
[[nodiscard]] Result<void> create_keyring(const KeyringSource& source, const Keyring& keyring);

/// Puts another in its place, whole or not at all, with the owner of the old one. Errors: as
/// create_keyring.
[[nodiscard]] Result<void> replace_keyring(const KeyringSource& source, const Keyring& keyring);

/// The keyring in use. Reads its source again when asked for a key that it does not know: a key
/// that `gantry keyring rotate` adds needs no restart. Thread-safe.
class LiveKeyring {
 public:
  /// `first`: what `source` holds; null: nothing yet.
  LiveKeyring(KeyringSource source, std::optional<Keyring> first);

  [[nodiscard]] const KeyringSource& source() const { return source_; }

  /// Null: there is none.
  [[nodiscard]] std::shared_ptr<const Keyring> current() const;

  /// As the source is now. Errors: FailedPrecondition (there is none), those of read_keyring.
  [[nodiscard]] Result<std::shared_ptr<const Keyring>> read_again();

  /// The key `id`. Errors: FailedPrecondition: it is not in the keyring.
  [[nodiscard]] Result<std::shared_ptr<const Secret>> find(std::string_view id);

 private:
  const KeyringSource source_;
  mutable core::Mutex mutex_;
  std::shared_ptr<const Keyring> current_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::access
