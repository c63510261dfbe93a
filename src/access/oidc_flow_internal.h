#pragma once

// What an OpenID sign-in remembers between its two halves.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "access/oidc_sign_in.h"
#include "access/token.h"

namespace gantry::access {

struct OidcFlow {
  OidcPurpose purpose = OidcPurpose::SignIn;
  std::string provider;
  std::string state;
  std::string nonce;
  std::string verifier;  ///< PKCE
  std::string return_to;
  std::string family_id;  ///< The session that Link and Reauthenticate are about.
  std::int64_t expires_at_ms = 0;
};

/// base64url of XChaCha20-Poly1305 under a key made from the current pepper.
[[nodiscard]] std::string seal_flow(const OidcFlow& flow, const TokenHasher& hasher);

/// Absent for anything that seal_flow did not make, or whose time is over.
[[nodiscard]] std::optional<OidcFlow> open_flow(std::string_view sealed, const TokenHasher& hasher,
                                                TimestampMs now);

/// base64url of the SHA-256 of the verifier.
[[nodiscard]] std::string code_challenge(std::string_view verifier);

}  // namespace gantry::access
