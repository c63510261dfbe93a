#include "access/oidc_sign_in.h"

#include <utility>
#include <vector>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sodium.h>

#include "access/id_token.h"
#include "access/oidc_flow_internal.h"
#include "access/oidc_roles.h"
#include "access/one_time_secrets.h"
#include "access/sign_in_support_internal.h"
#include "core/log.h"
#include "core/utf8.h"
#include "state/auth_epoch.h"

namespace gantry::access {
namespace {

constexpr std::size_t kReturnBytesMax = 1024;
constexpr std::int64_t kReauthenticationAgeSeconds = 0;

AccessError refused(std::string message, std::string_view reason) {
  return make_access_error(403, Code::PermissionDenied, std::move(message), reason);
}

AccessError not_begun_here() {
  return make_access_error(
      400, Code::FailedPrecondition,
      "This sign-in was not begun in this browser, or too long ago: begin again", "oidc_state");
}

bool is_same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// What went wrong with the provider or the database, without details for the person.
AccessError of(const Error& error) {
  switch (error.code) {
    case Code::Unauthenticated:
    case Code::InvalidArgument:
      return refused("The sign-in provider's answer was refused", "oidc_token");
    case Code::FailedPrecondition:
    case Code::PermissionDenied:
      return refused(error.message, "oidc_refused");
    default:
      log::warn("sign-in with the provider failed", {{"error", error.message}});
      return make_access_error(503, Code::Unavailable,
                               "The sign-in provider cannot be reached at the moment",
                               "oidc_unavailable");
  }
}

/// A login that nobody has: the name that the provider prefers, else the address, else a made one.
/// A name that looks like an address must be the verified one: administrators add people by
/// address.
Result<std::string> choose_login(state::Transaction& tx, const IdToken& token) {
  const std::string address = token.is_email_verified ? token.email : "";
  const bool is_borrowed =
      token.preferred_username.contains('@') && token.preferred_username != address;
  const std::string preferred = is_borrowed ? "" : token.preferred_username;
  for (const std::string& candidate : {preferred, address}) {
    if (!check_login(candidate)) continue;
    GANTRY_TRY(const std::optional<User> other, find_user_by_login(tx, candidate));
    if (!other) return candidate;
  }
  return fmt::format("oidc-{}", make_uuid().substr(0, 13));
}

/// The part of a flow that runs inside the transaction of the sign-in.
class Arrival {
 public:
  Arrival(state::Transaction& tx, const OidcSettings& settings, const IdToken& token,
          const OidcFlow& flow, const OidcCallback& callback, TimestampMs now)
      : tx_(tx), settings_(settings), token_(token), flow_(flow), callback_(callback), now_(now) {}

  /// The person: known by (issuer, subject), linked, or new. Never found by a name.
  Result<User> find_or_add_user() {
    GANTRY_TRY(const std::optional<std::string> known,
               find_identity(tx_, token_.issuer, token_.subject));
    if (known) return known_user(*known);
    if (flow_.purpose == OidcPurpose::Reauthenticate)
      return fail(Code::PermissionDenied, "You signed in to the provider as somebody else");
    if (flow_.purpose == OidcPurpose::Link) {
      GANTRY_CHECK(link(callback_.current->user));
      return callback_.current->user;
    }
    if (settings_.links_by_email && token_.is_email_verified) {
      GANTRY_TRY(std::optional<User> same, find_user_by_email(tx_, token_.email));
      if (same) {
        GANTRY_CHECK(link(*same));
        return *std::move(same);
      }
    }
    return add();
  }

  std::vector<AuditEvent> events;

 private:
  Result<User> known_user(const std::string& id) {
    GANTRY_TRY(std::optional<User> user, find_user(tx_, id));
    if (!user) return fail(Code::Internal, "an identity without its user");
    if (flow_.purpose != OidcPurpose::SignIn && user->id != callback_.current->user.id)
      return fail(Code::PermissionDenied, "You signed in to the provider as somebody else");
    return *std::move(user);
  }

  Result<void> link(const User& user) {
    AuditEvent event = event_about("user.updated", user, callback_.client);
    event.changes.push_back({.field = "identity", .before = "", .after = settings_.name});
    events.push_back(std::move(event));
    return add_identity(tx_, token_.issuer, token_.subject, user.id, now_);
  }

  Result<User> add() {
    GANTRY_TRY(const std::string login, choose_login(tx_, token_));
    // An address that the provider has not verified says nothing about the person.
    const std::string email = token_.is_email_verified ? token_.email : "";
    GANTRY_TRY(const std::string id,
               add_user(tx_, {.login = login, .name = token_.name, .email = email}, now_));
    GANTRY_CHECK(add_identity(tx_, token_.issuer, token_.subject, id, now_));
    GANTRY_TRY(std::optional<User> user, find_user(tx_, id));
    if (!user) return fail(Code::Internal, "a new user is not there");
    AuditEvent event = event_about("user.created", *user, callback_.client);
    event.actor = {.type = Actor::Type::System, .name = "oidc"};
    event.reason = settings_.name;
    events.push_back(std::move(event));
    return *std::move(user);
  }

  state::Transaction& tx_;
  const OidcSettings& settings_;
  const IdToken& token_;
  const OidcFlow& flow_;
  const OidcCallback& callback_;
  TimestampMs now_;
};

/// The cookie and the query belong to one flow of this browser; its session is still the one that
/// began it.
AccessResult<OidcFlow> check_flow(const OidcCallback& callback, const OidcSettings& settings,
                                  const TokenHasher& hasher, TimestampMs now) {
  auto flow = open_flow(callback.cookie, hasher, now);
  if (!flow || flow->provider != settings.name || !is_same(flow->state, callback.state))
    return std::unexpected(not_begun_here());
  const std::string family = callback.current ? callback.current->row.family_id : "";
  if (flow->purpose != OidcPurpose::SignIn && flow->family_id != family)
    return std::unexpected(not_begun_here());
  return *std::move(flow);
}

/// RFC 9207: an answer of another provider must not be taken for this one's.
AccessResult<void> check_issuer(const OidcCallback& callback, const OidcMetadata& metadata,
                                const OidcSettings& settings) {
  const bool is_good =
      callback.issuer ? *callback.issuer == settings.issuer : !metadata.names_itself;
  if (is_good) return {};
  return std::unexpected(refused("The answer is not from the provider that was asked", "oidc_iss"));
}

}  // namespace

AccessResult<OidcStart> OidcSignIn::start(OidcPurpose purpose, std::string_view redirect_url,
                                          std::string_view return_to,
                                          const std::optional<SessionIdentity>& current) {
  if (purpose != OidcPurpose::SignIn && !current) return std::unexpected(no_credentials({}));
  const auto metadata = parts_.provider.metadata();
  if (!metadata) {
    log::warn("the sign-in provider cannot be used",
              {{"issuer", settings().issuer}, {"error", metadata.error().message}});
    return std::unexpected(of(metadata.error()));
  }
  const TimestampMs now = parts_.clock.now();
  std::string path = safe_return_path(return_to);
  if (path.size() > kReturnBytesMax || !core::is_valid_utf8(path)) path = "/";
  OidcFlow flow{.purpose = purpose,
                .provider = settings().name,
                .nonce = make_url_secret(),
                .verifier = make_url_secret(),
                .return_to = std::move(path),
                .family_id = current ? current->row.family_id : "",
                .expires_at_ms = now.since_epoch + kOidcFlowSeconds * 1000};
  const auto keep = [&]() -> Result<std::string> {
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
    GANTRY_TRY(std::string state,
               add_one_time_secret(
                   tx, parts_.hasher,
                   {.purpose = "oidc", .payload = "{}", .expires_at = {flow.expires_at_ms}}, now));
    GANTRY_CHECK(tx.commit());
    return state;
  };
  GANTRY_TRY(flow.state, to_access(keep(), of));
  const bool has_query = metadata->authorization_endpoint.contains('?');
  std::string location = fmt::format(
      "{}{}response_type=code&client_id={}&redirect_uri={}&scope={}&state={}&nonce={}&"
      "code_challenge={}&code_challenge_method=S256",
      metadata->authorization_endpoint, has_query ? "&" : "?", form_escape(settings().client_id),
      form_escape(redirect_url), form_escape(fmt::format("{}", fmt::join(settings().scopes, " "))),
      flow.state, flow.nonce, code_challenge(flow.verifier));
  if (purpose == OidcPurpose::Reauthenticate)
    location += fmt::format("&max_age={}&prompt=login", kReauthenticationAgeSeconds);
  return OidcStart{.location = std::move(location), .cookie = seal_flow(flow, parts_.hasher)};
}

Result<bool> OidcSignIn::use_up(std::string_view state) {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(const std::optional<OneTimeSecret> row,
             take_one_time_secret(tx, parts_.hasher, "oidc", state, parts_.clock.now()));
  GANTRY_CHECK(tx.commit());
  return row.has_value();
}

Result<IdToken> OidcSignIn::fetch_token(const OidcFlow& flow, const OidcCallback& callback) {
  GANTRY_TRY(const OidcTokens tokens,
             parts_.provider.exchange(callback.code, flow.verifier, callback.redirect_url));
  GANTRY_TRY(const std::shared_ptr<const JsonWebKeys> keys,
             parts_.provider.keys_for(tokens.id_token));
  IdTokenExpectation expected{.issuer = settings().issuer,
                              .client_id = settings().client_id,
                              .nonce = flow.nonce,
                              .access_token = tokens.access_token,
                              .now = parts_.clock.now()};
  if (flow.purpose == OidcPurpose::Reauthenticate)
    expected.max_age_seconds = kReauthenticationAgeSeconds;
  return verify_id_token(tokens.id_token, *keys, expected);
}

/// The person with their roles, and a session for them: all of it or nothing.
Result<OidcSignedIn> OidcSignIn::arrive(const OidcFlow& flow, const OidcCallback& callback,
                                        const IdToken& token) {
  const TimestampMs now = parts_.clock.now();
  GANTRY_TRY(const std::vector<std::string> groups,
             read_groups(token.claims, settings().groups_claim));
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  Arrival arrival(tx, settings(), token, flow, callback, now);
  GANTRY_TRY(const User user, arrival.find_or_add_user());
  if (user.is_disabled) return fail(Code::PermissionDenied, "The account is disabled");
  GANTRY_TRY(const RoleOutcome roles, apply_groups(tx, user, settings(), groups, now));
  if (!roles.has_role && settings().is_strict)
    return fail(Code::PermissionDenied, "no role mapped");
  if (roles.is_reduced) {
    GANTRY_TRY(const std::int64_t ended, remove_sessions(tx, user.id, flow.family_id));
    static_cast<void>(ended);
  }
  OidcSignedIn signed_in{.return_to = flow.return_to};
  const bool is_sign_in = flow.purpose == OidcPurpose::SignIn;
  if (is_sign_in) {
    GANTRY_TRY(signed_in.session, parts_.sessions.begin(tx, {.user_id = user.id,
                                                             .provider = settings().name,
                                                             .provider_session = token.session,
                                                             .client = callback.client}));
    GANTRY_CHECK(record_login(tx, user.id, now));
  } else {
    GANTRY_TRY(signed_in.session, parts_.sessions.renew(tx, *callback.current));
  }
  AuditEvent done = event_about(is_sign_in ? "login.ok" : "reauth", user, callback.client);
  done.reason = settings().name;
  arrival.events.insert(arrival.events.end(), roles.events.begin(), roles.events.end());
  arrival.events.push_back(std::move(done));
  for (AuditEvent& event : arrival.events) {
    event.client = callback.client;
    GANTRY_CHECK(parts_.audit.append(tx, event));
  }
  GANTRY_CHECK(state::bump_auth_epoch(tx, now));
  GANTRY_CHECK(tx.commit());
  return signed_in;
}

AccessResult<OidcSignedIn> OidcSignIn::finish(const OidcCallback& callback) {
  const auto reject = [&](const AccessError& error, std::string_view detail) {
    parts_.audit.note_sampled(
        fmt::format("oidc_rejected|{}|{}", callback.client.ip, error.reason),
        {.event = "login.oidc_rejected",
         .outcome = Outcome::Denied,
         .target = {.type = "provider", .name = settings().name},
         .client = callback.client,
         .reason = detail.empty() ? std::string(error.reason) : std::string(detail)});
    return std::unexpected(error);
  };
  const auto flow = check_flow(callback, settings(), parts_.hasher, parts_.clock.now());
  if (!flow) return reject(flow.error(), {});
  GANTRY_TRY(const bool is_unused, to_access(use_up(callback.state), of));
  if (!is_unused) return reject(not_begun_here(), "state was used before");
  GANTRY_TRY(const OidcMetadata metadata, to_access(parts_.provider.metadata(), of));
  if (const auto issuer = check_issuer(callback, metadata, settings()); !issuer)
    return reject(issuer.error(), {});
  if (!callback.error.empty())
    return reject(refused(fmt::format("The provider did not sign you in: {}",
                                      callback.error.substr(0, kReturnBytesMax)),
                          "oidc_provider_error"),
                  {});
  const auto token = fetch_token(*flow, callback);
  if (!token) return reject(of(token.error()), token.error().message);
  auto arrived = arrive(*flow, callback, *token);
  parts_.sessions.forget_all();
  if (!arrived) return reject(of(arrived.error()), arrived.error().message);
  return *std::move(arrived);
}

std::string OidcSignIn::logout_url(std::string_view return_url) {
  const auto metadata = parts_.provider.metadata();
  if (!metadata || metadata->end_session_endpoint.empty()) return {};
  return fmt::format("{}{}client_id={}&post_logout_redirect_uri={}", metadata->end_session_endpoint,
                     metadata->end_session_endpoint.contains('?') ? "&" : "?",
                     form_escape(settings().client_id), form_escape(return_url));
}

AccessResult<void> OidcSignIn::back_channel_logout(std::string_view token,
                                                   const ClientContext& client) {
  const TimestampMs now = parts_.clock.now();
  const auto end = [&]() -> Result<void> {
    GANTRY_TRY(const std::shared_ptr<const JsonWebKeys> keys, parts_.provider.keys_for(token));
    GANTRY_TRY(const LogoutToken logout,
               verify_logout_token(token, *keys, settings().issuer, settings().client_id, now));
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
    GANTRY_TRY(const bool is_first,
               claim_once(tx, parts_.hasher, "oidc",
                          fmt::format("jti|{}|{}", settings().issuer, logout.id), now,
                          logout.expires_at + DurationMs{kOidcFlowSeconds * 1000}));
    if (!is_first) return fail(Code::InvalidArgument, "the logout token was used before");
    std::string user_id;
    if (!logout.subject.empty()) {
      GANTRY_TRY(const auto user, find_identity(tx, settings().issuer, logout.subject));
      if (!user) return tx.commit();  // nobody here: nothing to end
      user_id = *user;
    }
    GANTRY_TRY(const std::vector<std::string> users,
               remove_provider_sessions(tx, settings().name, user_id, logout.session));
    for (const std::string& id : users)
      GANTRY_CHECK(parts_.audit.append(tx, {.event = "session.revoked",
                                            .actor = {.type = Actor::Type::System, .name = "oidc"},
                                            .target = {.type = "user", .id = id, .name = ""},
                                            .client = client,
                                            .reason = "back-channel logout"}));
    GANTRY_CHECK(state::bump_auth_epoch(tx, now));
    return tx.commit();
  };
  const auto ended = end();
  parts_.sessions.forget_all();
  if (ended) return {};
  if (ended.error().code == Code::Unavailable || ended.error().code == Code::DeadlineExceeded)
    return std::unexpected(of(ended.error()));
  parts_.audit.note_sampled("logout_rejected|" + client.ip,
                            {.event = "login.oidc_rejected",
                             .outcome = Outcome::Denied,
                             .target = {.type = "provider", .name = settings().name},
                             .client = client,
                             .reason = ended.error().message});
  return std::unexpected(make_access_error(400, Code::FailedPrecondition,
                                           "the logout token is refused", "oidc_logout"));
}

}  // namespace gantry::access
