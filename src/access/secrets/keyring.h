#pragma once

// The keys that seal the organisations' data keys, as in keyring.json:
//
//   {"active":"k2","keys":{"k1":"<base64 of 32 bytes>","k2":"…"}}
//
// New seals are made with the active one, the others open what is older.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "access/secrets/sealed_text.h"
#include "access/secrets/secret.h"
#include "core/error.h"

namespace gantry::access {

inline constexpr std::size_t kKeyringKeysMax = 100;

struct KeyringKey {
  std::string id;  ///< is_key_id
  Secret bytes;    ///< kSealKeyBytes
};

/// Immutable once made, thread-safe.
class Keyring {
 public:
  /// One fresh key, `id`.
  [[nodiscard]] static Keyring make(std::string id);

  /// The one key that is all of `base64`, under the id "env". Errors: InvalidArgument.
  [[nodiscard]] static Result<Keyring> of_one_key(std::string_view base64);

  /// Errors: InvalidArgument: what is wrong and where, nothing of the keys.
  [[nodiscard]] static Result<Keyring> parse(std::string_view json);

  /// As `parse` reads it, with a newline.
  [[nodiscard]] Secret format() const;

  /// These keys and a fresh active one. `id` must be new, and there be fewer than
  /// kKeyringKeysMax.
  [[nodiscard]] Keyring with_new_key(std::string id) const;

  [[nodiscard]] const KeyringKey& active() const { return keys_[active_]; }

  /// Null: no such key.
  [[nodiscard]] const KeyringKey* find(std::string_view id) const;

  [[nodiscard]] const std::vector<KeyringKey>& keys() const { return keys_; }

 private:
  Keyring() = default;

  std::vector<KeyringKey> keys_;  ///< Never empty; ids differ.
  std::size_t active_ = 0;
};

}  // namespace gantry::access
