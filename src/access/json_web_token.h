#pragma once

// Signed JSON web tokens (RFC 7515, 7517, 7519) of OpenID providers: which key signed one, and what
// it says.
//
// The algorithm is one of a fixed list, all of public keys; `none` and the HS… family do not exist
// here. A token names a key by `kid`, and only among keys that the caller already has: `jwk`,
// `jku`, `x5c` and `x5u` in its header are not looked at.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace gantry::access {

enum class SignatureAlgorithm : std::uint8_t { Rs256, Ps256, Es256, EdDsa };

/// What an unverified token says about how to verify it.
struct JsonWebTokenHeader {
  SignatureAlgorithm algorithm = SignatureAlgorithm::Rs256;
  std::string key_id;  ///< "" when it names none.
  std::string type;    ///< `typ`; "" when absent.
};

/// Errors (InvalidArgument): not three parts of base64url, over 16 KiB, a header that is no JSON
/// object, another algorithm, `crit` (which demands what is not understood here).
[[nodiscard]] Result<JsonWebTokenHeader> parse_token_header(std::string_view token);

/// The public keys of a provider. Immutable, thread-safe.
class JsonWebKeys {
 public:
  /// A JWK set. Keys that cannot sign, of other kinds, or of RSA under 2048 bits are left out.
  /// Errors: InvalidArgument: not a JWK set, over 200 keys.
  static Result<std::shared_ptr<const JsonWebKeys>> parse(std::string_view text);

  ~JsonWebKeys();
  JsonWebKeys(const JsonWebKeys&) = delete;
  JsonWebKeys& operator=(const JsonWebKeys&) = delete;

  /// Whether there is a key for it: by its id, or the only one of its kind when it names none.
  [[nodiscard]] bool has_key_for(const JsonWebTokenHeader& header) const;

  /// The claims (a JSON object) of a token that one of these keys signed. Errors: as
  /// parse_token_header; Unauthenticated: no such key, or the signature is wrong.
  [[nodiscard]] Result<std::string> verify(std::string_view token) const;

  [[nodiscard]] std::size_t size() const;

 private:
  struct Impl;
  explicit JsonWebKeys(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// Bytes of base64url without padding. Errors: InvalidArgument.
[[nodiscard]] Result<std::string> decode_base64url(std::string_view text);
[[nodiscard]] std::string encode_base64url(std::string_view bytes);

}  // namespace gantry::access
