#pragma once

// What a request brought as identity, before anyone believes it. Forms (all case-insensitive in the
// scheme): `Basic base64(id:token)`, `Bearer token`, `Bearer id:token`, `Token token`, `Token
// id:token` (Influx routes), and the header X-Gantry-Token.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "access/access_error.h"
#include "access/control.h"
#include "net/http.h"

namespace gantry::access {

inline constexpr std::size_t kCredentialBytesMax = 2048;  ///< Decoded; more is malformed.

/// Copies of the headers that matter; gRPC fills it from metadata.
struct RawCredentials {
  std::vector<std::string> authorization;  ///< All values of Authorization, in order.
  std::vector<std::string> gantry_token;   ///< All values of X-Gantry-Token.
  std::vector<std::string> scope_org_id;   ///< X-Scope-OrgID: selects a stack, never widens.
  std::vector<std::string> label_policy;   ///< X-Prom-Label-Policy: narrows what is visible.
  bool has_secret_in_url = false;          ///< A token or password in the query string.
  bool is_browser = false;                 ///< Sec-Fetch-Mode is present.
  ClientContext client;
  std::string route;  ///< What it asks for, for last-used information: a path or a gRPC method.
};

/// Which forms a route takes.
struct CredentialForms {
  bool accepts_token_scheme = false;  ///< `Authorization: Token …`, which Influx clients send.
  bool bearer_only = false;           ///< Nothing but `Authorization: Bearer …` is looked at.
};

[[nodiscard]] RawCredentials raw_credentials(const net::Request& request);

/// One token and, when given, the user name that must name its stack.
struct Credentials {
  std::string user;  ///< "" when none was given.
  std::string token;
};

/// Picks the one credential that counts. Errors: 401 without credentials or with one in the URL or
/// malformed, 400 for contradicting ones.
[[nodiscard]] AccessResult<Credentials> parse_credentials(const RawCredentials& raw,
                                                          const CredentialForms& forms,
                                                          const ChallengeContext& context);

}  // namespace gantry::access
