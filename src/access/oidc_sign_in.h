#pragma once

// Signing in with an OpenID provider: the authorization code flow with PKCE (RFC 6749, RFC 7636,
// OpenID Connect Core 1.0), and the provider's word that a session is over.
//
// What the flow must remember is in a sealed cookie of the browser that began it; the state is
// besides a row that can be used once. Both must be there, so that nobody can make another's
// browser finish a flow, nor finish one twice. Tokens of the provider are not kept.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "access/access_error.h"
#include "access/audit.h"
#include "access/oidc_provider.h"
#include "access/sessions.h"
#include "access/token.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

inline constexpr std::int64_t kOidcFlowSeconds = 600;

struct OidcFlow;
struct IdToken;

enum class OidcPurpose : std::uint8_t {
  SignIn,
  Link,            ///< To the person of a session: they sign in with the provider from then on.
  Reauthenticate,  ///< The person of a session, again.
};

struct OidcStart {
  std::string location;  ///< Where to send the browser.
  std::string cookie;    ///< For kOidcFlowSeconds.
};

struct OidcCallback {
  std::string cookie;
  std::string state;
  std::string code;
  std::optional<std::string> issuer;       ///< `iss`
  std::string error;                       ///< `error`: the provider refused.
  std::string redirect_url;                ///< The one that was used in `start`.
  std::optional<SessionIdentity> current;  ///< The browser's session, if any.
  ClientContext client;
};

struct OidcSignedIn {
  IssuedSession session;
  std::string return_to;
};

/// Thread-safe. Calls wait for the provider.
class OidcSignIn {
 public:
  /// All must outlive it.
  struct Parts {
    state::Db& db;
    Sessions& sessions;
    OidcProvider& provider;
    const TokenHasher& hasher;
    AuditLog& audit;
    const Clock& clock;
  };

  explicit OidcSignIn(const Parts& parts) : parts_(parts) {}

  [[nodiscard]] const OidcSettings& settings() const { return parts_.provider.settings(); }

  /// `current`: needed for Link and Reauthenticate. Errors: 401, 503.
  [[nodiscard]] AccessResult<OidcStart> start(OidcPurpose purpose, std::string_view redirect_url,
                                              std::string_view return_to,
                                              const std::optional<SessionIdentity>& current);

  /// Errors: 400 (not a flow that this browser began), 403 (refused, with a sentence for the
  /// person), 503.
  [[nodiscard]] AccessResult<OidcSignedIn> finish(const OidcCallback& callback);

  /// Where the person can end their session at the provider too; "" when it has no such place.
  [[nodiscard]] std::string logout_url(std::string_view return_url);

  /// Errors: 400 for a token that is wrong or came before.
  [[nodiscard]] AccessResult<void> back_channel_logout(std::string_view token,
                                                       const ClientContext& client);

 private:
  Result<bool> use_up(std::string_view state);
  Result<IdToken> fetch_token(const OidcFlow& flow, const OidcCallback& callback);
  Result<OidcSignedIn> arrive(const OidcFlow& flow, const OidcCallback& callback,
                              const IdToken& token);

  Parts parts_;
};

}  // namespace gantry::access
