#pragma once

// An OpenID provider as seen from here: its metadata, its keys, and the exchange of a code for
// tokens. All of it over a function that makes one guarded HTTP exchange.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "access/client_key.h"
#include "access/control.h"
#include "access/json_web_token.h"
#include "core/error.h"
#include "core/time.h"
#include "net/egress.h"

namespace gantry::access {

/// How the client proves to the provider who it is.
enum class ClientAuthentication : std::uint8_t { SecretBasic, SecretPost, PrivateKeyJwt };

/// Members of `group` ("*": everybody) get `role` in the organisation.
struct GroupRule {
  std::string group;
  std::string organisation;  ///< Its slug.
  Role role = Role::Viewer;
};

/// "admins=main:admin". Errors: InvalidArgument.
[[nodiscard]] Result<GroupRule> parse_group_rule(std::string_view text);

struct OidcSettings {
  std::string name = "sso";  ///< In paths: a-z, 0-9 and -.
  std::string display_name;
  std::string issuer;
  std::string client_id;
  std::string client_secret;
  ClientAuthentication authentication = ClientAuthentication::SecretBasic;
  std::shared_ptr<const ClientKey> client_key;  ///< Of PrivateKeyJwt; else null.
  std::vector<std::string> scopes = {"openid", "profile", "email"};
  std::string groups_claim = "/groups";  ///< A JSON pointer into the ID token.
  std::vector<GroupRule> rules;
  bool is_strict = true;          ///< Nobody gets in without a role.
  std::string super_admin_group;  ///< "": nobody becomes super-admin by it.
  bool links_by_email = false;    ///< A verified address finds an existing user.
};

struct OidcMetadata {
  std::string authorization_endpoint;
  std::string token_endpoint;
  std::string keys_url;
  std::string end_session_endpoint;  ///< "" when it has none.
  bool names_itself = false;         ///< authorization_response_iss_parameter_supported
};

/// Errors (FailedPrecondition): not JSON, another issuer than `issuer`, or without an endpoint that
/// is needed; endpoints must be usable URLs, https unless the issuer itself is not.
[[nodiscard]] Result<OidcMetadata> parse_oidc_metadata(std::string_view text,
                                                       std::string_view issuer);

/// How long keys may be kept, by Cache-Control: 5 minutes to 24 hours.
[[nodiscard]] DurationMs keys_lifetime(std::string_view cache_control);

struct OidcTokens {
  std::string id_token;
  std::string access_token;
};

/// Thread-safe. Calls may take as long as the provider does, at most some 10 s each; beyond eight
/// at once they are refused as Unavailable.
class OidcProvider {
 public:
  using Fetch = std::function<Result<net::EgressResponse>(const net::EgressRequest&)>;

  /// The clock must outlive it.
  OidcProvider(OidcSettings settings, Fetch fetch, const Clock& clock);
  ~OidcProvider();

  [[nodiscard]] const OidcSettings& settings() const { return settings_; }

  /// Read once an hour; kept when the provider is down. Errors: Unavailable, FailedPrecondition.
  [[nodiscard]] Result<OidcMetadata> metadata();

  /// Keys among which that token's is. An unknown key makes it ask the provider again, once a
  /// minute; when it does not answer, known keys stay in use. Errors: Unavailable, InvalidArgument
  /// (no token).
  [[nodiscard]] Result<std::shared_ptr<const JsonWebKeys>> keys_for(std::string_view token);

  /// Errors: Unavailable; Unauthenticated (the provider refused the code, with its reason).
  [[nodiscard]] Result<OidcTokens> exchange(std::string_view code, std::string_view verifier,
                                            std::string_view redirect_url);

 private:
  struct Impl;
  OidcSettings settings_;
  std::unique_ptr<Impl> impl_;
};

/// application/x-www-form-urlencoded.
[[nodiscard]] std::string form_escape(std::string_view text);

}  // namespace gantry::access
