#pragma once

// DIR/secret.key: what hashes tokens (what seals secrets is the keyring, secrets/keyring.h). The
// operator backs it up apart from the database: neither is of use without the other.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace gantry::access {

struct Pepper {
  std::int64_t id = 0;
  std::array<unsigned char, 32> bytes{};
};

struct SecretKey {
  std::vector<Pepper> peppers;  ///< Never empty; the first is the current one, others are older.
};

/// Makes libsodium ready. Idempotent; the functions that read or make a key call it, so that all
/// later users (hashing, randomness) find it ready.
[[nodiscard]] Result<void> prepare_cryptography();

/// Errors: NotFound (no file), FailedPrecondition (newer version), DataLoss (damaged).
[[nodiscard]] Result<SecretKey> read_secret_key(const std::filesystem::path& path);

/// A fresh key, on disk (mode 0600) when it returns. Errors: AlreadyExists, Internal.
[[nodiscard]] Result<SecretKey> create_secret_key(const std::filesystem::path& path);

/// The file's text; `parse_secret_key` reads it back.
[[nodiscard]] std::string format_secret_key(const SecretKey& key);
[[nodiscard]] Result<SecretKey> parse_secret_key(std::string_view text);

/// Writes a file that only its owner may read, whole or not at all, synced with its directory.
/// Errors: AlreadyExists, ResourceExhausted, Internal.
[[nodiscard]] Result<void> write_private_file(const std::filesystem::path& path,
                                              std::string_view content);

/// After a file was put into or moved within its directory: it stays there across a power cut.
[[nodiscard]] Result<void> sync_parent_directory(const std::filesystem::path& path);

}  // namespace gantry::access
