#pragma once

// Tokens: making them, hashing them, and what can be read off one.
//
// An access policy token is `glc_` + base64 of {"o":"<org>","n":"<policy>-<token>","k":"<49
// characters>","m":{"r":"<zone>"}}. `k` is 32 random bytes in base62 (43 characters) and a CRC-32
// in base62 (6). The payload is a hint for people and logs: only the hash of the whole string
// authorises.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/principal.h"
#include "access/secret_key.h"
#include "core/error.h"

namespace gantry::access {

inline constexpr std::size_t kTokenHashBytes = 32;
using TokenHash = std::array<unsigned char, kTokenHashBytes>;

/// "glc", "cqm", "legacy", "llm": as stored and shown.
[[nodiscard]] std::string_view token_kind_name(TokenKind kind);
[[nodiscard]] std::optional<TokenKind> parse_token_kind(std::string_view name);

struct TokenSubject {
  OrgId org;
  std::string_view policy_name;  ///< [a-z0-9-]: see is_token_name.
  std::string_view token_name;
  std::string_view zone;
};

/// [a-z0-9][a-z0-9-]*, at most 255 characters: what names of policies, tokens and zones are made
/// of. None of these characters ends as '+' or '/' in base64.
[[nodiscard]] bool is_token_name(std::string_view name);

/// A new `glc_` token: only letters and digits after the prefix, at most 404 characters.
/// Precondition: the names are token names.
[[nodiscard]] std::string issue_access_token(const TokenSubject& subject);

/// A new `cqm_` token: 40 hexadecimal digits (160 random bits) and a CRC-32 of what stands before
/// it in 8.
[[nodiscard]] std::string issue_bearer_token();

/// Whether a `cqm_` token is whole. Says nothing about whether it was ever issued: tokens brought
/// from elsewhere have no checksum.
[[nodiscard]] bool has_bearer_checksum(std::string_view token);

/// A new API key of the old kind: base64 of {"k":"<40 hex>","n":"<name>","id":<org>}. `name` is a
/// token name.
[[nodiscard]] std::string issue_legacy_key(OrgId org, std::string_view name);

/// What a `glc_` token says about itself. Unproven.
struct TokenHint {
  std::string org;
  std::string name;
  std::string zone;
};

/// Errors (InvalidArgument): not the format, over 1 KiB, a duplicate key, or a checksum that says
/// it was cut or mistyped.
[[nodiscard]] Result<TokenHint> parse_access_token(std::string_view token);

/// The prefix and four characters that can be found in the token, for lists: "glc_…k3Xq". They are
/// the last ones that stand for nothing but the secret; those at the end of `glc_` tokens and API
/// keys spell names, and are the same for most of them.
[[nodiscard]] std::string token_display_hint(std::string_view token);

/// SHA-256 of a secret that Gantry was never told: of an API key that comes from elsewhere.
using Sha256 = std::array<unsigned char, 32>;

/// 64 hexadecimal digits. Errors: InvalidArgument.
[[nodiscard]] Result<Sha256> parse_sha256(std::string_view text);

/// HMAC-SHA-256 under the peppers of the secret key. Immutable, thread-safe.
class TokenHasher {
 public:
  explicit TokenHasher(const SecretKey& key) : peppers_(key.peppers) {}

  /// Under the current pepper.
  [[nodiscard]] TokenHash hash(std::string_view token) const;

  /// Under every pepper, the current one first. Of an API key (`eyJrIjoi`) also what it has when
  /// it was imported, after those.
  [[nodiscard]] std::vector<TokenHash> hashes(std::string_view token) const;

  /// Under the current pepper, of the secret with that SHA-256. The digest itself opens nothing:
  /// what is hashed here no token can be.
  [[nodiscard]] TokenHash imported_hash(const Sha256& digest) const;

  [[nodiscard]] std::int64_t current_pepper_id() const { return peppers_.front().id; }

 private:
  std::vector<Pepper> peppers_;
};

/// In constant time.
[[nodiscard]] bool is_equal_secret(std::span<const unsigned char> a,
                                   std::span<const unsigned char> b);

/// A random (version 4) UUID in lower case.
[[nodiscard]] std::string make_uuid();

}  // namespace gantry::access
