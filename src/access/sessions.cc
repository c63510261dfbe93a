#include "access/sessions.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>
#include <sodium.h>

#include "access/expiring_cache.h"
#include "access/label_policy.h"
#include "core/mutex.h"
#include "state/auth_epoch.h"

namespace gantry::access {
namespace {

constexpr std::size_t kValueBytes = 32;
constexpr std::size_t kValueCharacters = 43;  // of base64url without padding
constexpr DurationMs kUnknownLife{5'000};
constexpr std::string_view kCookie = "session";

/// What a super-admin may do in an organisation that they are no member of: everything but reading
/// and writing telemetry.
constexpr std::array kAdministrationScopes = {Scope::RulesRead,
                                              Scope::RulesWrite,
                                              Scope::AlertsRead,
                                              Scope::AlertsWrite,
                                              Scope::StacksRead,
                                              Scope::StacksWrite,
                                              Scope::StacksDelete,
                                              Scope::OrgsRead,
                                              Scope::OrgsWrite,
                                              Scope::AccessPoliciesRead,
                                              Scope::AccessPoliciesWrite,
                                              Scope::AccessPoliciesDelete,
                                              Scope::DestinationsRead,
                                              Scope::DestinationsWrite,
                                              Scope::PipelinesRead,
                                              Scope::PipelinesWrite,
                                              Scope::DashboardsRead,
                                              Scope::DashboardsWrite,
                                              Scope::AuditRead};

/// The hash is uniform already.
struct TokenHashHash {
  std::size_t operator()(const TokenHash& hash) const {
    std::size_t value = 0;
    std::memcpy(&value, hash.data(), sizeof value);
    return value;
  }
};

std::string make_value() {
  std::array<unsigned char, kValueBytes> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string text(sodium_base64_ENCODED_LEN(kValueBytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                   '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  text.resize(kValueCharacters);
  return text;
}

std::string csrf_text(std::string_view family_id) {
  return fmt::format("csrf|{}", family_id);
}

std::string hex(const TokenHash& hash) {
  std::string text;
  for (const unsigned char byte : hash) text += fmt::format("{:02x}", byte);
  return text;
}

Actor actor_of(const User& user) {
  return {.type = Actor::Type::User, .id = user.id, .name = user.login};
}

}  // namespace

std::string session_hash_text(const TokenHash& hash) {
  return hex(hash);
}

struct Sessions::Impl {
  using Known = std::shared_ptr<const SessionIdentity>;

  state::Db& db;
  const TokenHasher& hasher;
  const ConsoleOrigin& console;
  const Clock& clock;
  AuditLog& audit;
  Options options;
  core::Counter& reused;
  core::Counter& forged;
  ExpiringCache<TokenHash, Known, TokenHashHash> known;
  ExpiringCache<TokenHash, bool, TokenHashHash> unknown;

  core::Mutex mutex;
  std::unordered_map<TokenHash, std::int64_t, TokenHashHash> uses_ms GANTRY_GUARDED_BY(mutex);

  Impl(state::Db& db_in, const TokenHasher& hasher_in, const ConsoleOrigin& console_in,
       const Clock& clock_in, AuditLog& audit_in, core::MetricRegistry& registry, Options o)
      : db(db_in),
        hasher(hasher_in),
        console(console_in),
        clock(clock_in),
        audit(audit_in),
        options(o),
        reused(registry.counter("gantry_session_reuse_total",
                                "Session families ended because a replaced id came again.")),
        forged(registry.counter("gantry_session_csrf_blocked_total",
                                "Requests refused because another site may have made them.")),
        known(o.cache_entries_max, o.cache_life),
        unknown(o.cache_entries_max, kUnknownLife) {}

  AccessResult<Known> load(const std::string& value, TimestampMs now);
  Result<Known> read(std::span<const TokenHash> hashes) const;
  std::string_view refusal(const SessionIdentity& identity, TimestampMs now);
  Result<void> end_reused(const SessionIdentity& identity, const net::Request& request);
  void note_use(const TokenHash& hash, TimestampMs now);
  std::int64_t last_used_ms(const SessionRow& row);
  Result<IssuedSession> replace(state::Transaction& tx, const SessionRow& old,
                                TimestampMs authenticated_at, TimestampMs now);
  IssuedSession issued(const SessionRow& row, std::string value) const;
  void note_denied(std::string_view event, const net::Request& request,
                   const SessionIdentity& identity, std::string_view reason);
};

Result<Sessions::Impl::Known> Sessions::Impl::read(std::span<const TokenHash> hashes) const {
  GANTRY_TRY(state::Transaction tx, db.begin_read());
  GANTRY_TRY(std::optional<SessionRow> row, find_session(tx, hashes));
  if (!row) return nullptr;
  GANTRY_TRY(std::optional<User> user, find_user(tx, row->user_id));
  if (!user) return nullptr;
  GANTRY_TRY(std::vector<Membership> memberships, list_memberships(tx, user->id));
  return std::make_shared<const SessionIdentity>(SessionIdentity{
      .row = *std::move(row), .user = *std::move(user), .memberships = std::move(memberships)});
}

/// Null for an id that is nobody's.
AccessResult<Sessions::Impl::Known> Sessions::Impl::load(const std::string& value,
                                                         TimestampMs now) {
  const std::vector<TokenHash> hashes = hasher.hashes(value);
  if (auto found = known.find(hashes.front(), now)) return *std::move(found);
  if (unknown.find(hashes.front(), now)) return nullptr;
  const std::uint64_t generation = known.generation();
  auto found = read(hashes);
  if (!found) return std::unexpected(access_unavailable());
  if (*found == nullptr)
    unknown.put(hashes.front(), true, now, unknown.generation());
  else
    known.put(hashes.front(), *found, now, generation);
  return *std::move(found);
}

std::int64_t Sessions::Impl::last_used_ms(const SessionRow& row) {
  const core::Lock lock(mutex);
  const auto use = uses_ms.find(row.hash);
  return std::max(row.last_used_at.since_epoch, use == uses_ms.end() ? 0 : use->second);
}

void Sessions::Impl::note_use(const TokenHash& hash, TimestampMs now) {
  const core::Lock lock(mutex);
  auto& last = uses_ms[hash];
  last = std::max(last, now.since_epoch);
}

/// Why the session does not count now; "" when it does.
std::string_view Sessions::Impl::refusal(const SessionIdentity& identity, TimestampMs now) {
  const SessionRow& row = identity.row;
  if (identity.user.is_disabled) return "user_disabled";
  if (now >= row.expires_at) return "expired";
  if (now.since_epoch - last_used_ms(row) >= options.idle_max.count) return "idle";
  if (row.replaced_at && now - *row.replaced_at >= options.replaced_grace) return "reuse";
  return "";
}

Result<void> Sessions::Impl::end_reused(const SessionIdentity& identity,
                                        const net::Request& request) {
  reused.add(1);
  GANTRY_TRY(state::Transaction tx, db.begin_write());
  GANTRY_CHECK(remove_family(tx, identity.row.family_id));
  GANTRY_CHECK(audit.append(
      tx, {.event = "session.reuse",
           .outcome = Outcome::Denied,
           .actor = {},
           .target = {.type = "user", .id = identity.user.id, .name = identity.user.login},
           .client = client_context(request),
           .session_hash = hex(identity.row.hash),
           .reason = "a replaced session id came again"}));
  GANTRY_CHECK(tx.commit());
  known.clear();
  return {};
}

void Sessions::Impl::note_denied(std::string_view event, const net::Request& request,
                                 const SessionIdentity& identity, std::string_view reason) {
  audit.note_sampled(fmt::format("{}|{}|{}", event, identity.row.family_id, reason),
                     {.event = std::string(event),
                      .outcome = Outcome::Denied,
                      .actor = actor_of(identity.user),
                      .target = {.type = "session"},
                      .client = client_context(request),
                      .session_hash = hex(identity.row.hash),
                      .reason = std::string(reason)});
}

IssuedSession Sessions::Impl::issued(const SessionRow& row, std::string value) const {
  IssuedSession session{.family_id = row.family_id, .value = std::move(value)};
  const bool is_remembered = row.expires_at - row.signed_in_at > options.lifetime;
  if (is_remembered) session.max_age_seconds = (row.expires_at - row.issued_at).count / 1000;
  return session;
}

Result<IssuedSession> Sessions::Impl::replace(state::Transaction& tx, const SessionRow& old,
                                              TimestampMs authenticated_at, TimestampMs now) {
  std::string value = make_value();
  SessionRow next = old;
  next.hash = hasher.hash(value);
  next.issued_at = now;
  next.last_used_at = now;
  next.authenticated_at = authenticated_at;
  next.replaced_at = std::nullopt;
  GANTRY_CHECK(insert_session(tx, next));
  return issued(next, std::move(value));
}

Sessions::Sessions(state::Db& db, const TokenHasher& hasher, const ConsoleOrigin& console,
                   const Clock& clock, AuditLog& audit, core::MetricRegistry& registry,
                   Options options)
    : impl_(std::make_unique<Impl>(db, hasher, console, clock, audit, registry, options)) {}

Sessions::~Sessions() = default;

const ConsoleOrigin& Sessions::console() const {
  return impl_->console;
}

AccessResult<SessionIdentity> Sessions::identify(const net::Request& request) const {
  GANTRY_CHECK(impl_->console.check_transport(request));
  const auto value = find_cookie(request.headers, impl_->console.cookie_name(request, kCookie));
  if (!value) return std::unexpected(no_credentials({}));
  if (value->size() != kValueCharacters)
    return std::unexpected(invalid_token({}, "malformed_session", "the session has ended"));
  const TimestampMs now = impl_->clock.now();
  GANTRY_TRY(const Impl::Known known, impl_->load(*value, now));
  if (known == nullptr)
    return std::unexpected(invalid_token({}, "unknown_session", "the session has ended"));
  const std::string_view reason = impl_->refusal(*known, now);
  if (reason == "reuse" && !impl_->end_reused(*known, request))
    return std::unexpected(access_unavailable());
  if (!reason.empty()) {
    if (reason == "expired" || reason == "idle")
      impl_->note_denied("session.expired", request, *known, reason);
    return std::unexpected(invalid_token({}, reason, "the session has ended"));
  }
  impl_->note_use(known->row.hash, now);
  return *known;
}

std::string Sessions::csrf_token(const SessionIdentity& identity) const {
  return hex(impl_->hasher.hash(csrf_text(identity.row.family_id)));
}

AccessResult<void> Sessions::check_forgery(const net::Request& request,
                                           const SessionIdentity& identity) const {
  if (!is_unsafe(request.method)) return {};
  const auto refuse = [&](AccessError error) {
    impl_->forged.add(1);
    impl_->note_denied("csrf.blocked", request, identity, error.reason);
    return std::unexpected(std::move(error));
  };
  if (auto source = impl_->console.check_source(request); !source)
    return refuse(std::move(source).error());
  const std::string_view sent = request.headers.find(kCsrfHeader);
  for (const TokenHash& hash : impl_->hasher.hashes(csrf_text(identity.row.family_id))) {
    const std::string expected = hex(hash);
    if (sent.size() == expected.size() &&
        sodium_memcmp(sent.data(), expected.data(), expected.size()) == 0)
      return {};
  }
  return refuse(forbidden(
      fmt::format("the header {} is missing or not this session's: GET /api/session shows it",
                  kCsrfHeader),
      "csrf_token"));
}

ControlPrincipal Sessions::principal(const net::Request& request, const SessionIdentity& identity,
                                     std::optional<OrgId> org) const {
  ControlPrincipal principal{.actor = actor_of(identity.user),
                             .client = client_context(request),
                             .is_super_admin = identity.user.is_super_admin,
                             .session_hash = hex(identity.row.hash),
                             .authenticated_at_ms = identity.row.authenticated_at.since_epoch};
  if (principal.is_super_admin)
    for (const Scope scope : kAdministrationScopes) principal.scopes.add(scope);
  auto membership = identity.memberships.begin();
  if (org) membership = std::ranges::find(identity.memberships, *org, &Membership::org);
  if (membership == identity.memberships.end()) {
    if (org) principal.org = *org;
    if (org && principal.is_super_admin)
      principal.realms.push_back({.type = Realm::Type::Org, .identifier = org->value()});
    return principal;
  }
  principal.org = membership->org;
  principal.role = membership->role;
  const ScopeSet of_role = role_scopes(membership->role);
  for (std::size_t i = 0; i < kScopeCount; ++i) {
    const auto scope = static_cast<Scope>(i);
    // Who sees some series only must not get at others by way of rules or pipelines, which run with
    // Gantry's rights.
    const bool is_safe = !membership->label_policies || is_restrictable(scope) ||
                         scope == Scope::OrgsRead || scope == Scope::DashboardsRead ||
                         scope == Scope::DashboardsWrite;
    if (of_role.contains(scope) && is_safe) principal.scopes.add(scope);
  }
  principal.realms.push_back({.type = Realm::Type::Org,
                              .identifier = membership->org.value(),
                              .label_policies = membership->label_policies});
  return principal;
}

AccessResult<ControlPrincipal> Sessions::authenticate(const net::Request& request,
                                                      std::optional<OrgId> org) const {
  GANTRY_TRY(const SessionIdentity identity, identify(request));
  GANTRY_CHECK(check_forgery(request, identity));
  ControlPrincipal principal = this->principal(request, identity, org);
  if (!principal.role && !principal.is_super_admin) {
    impl_->note_denied("authz.denied", request, identity, "no_member");
    return std::unexpected(forbidden("not a member of the organisation", "no_member"));
  }
  return principal;
}

Result<IssuedSession> Sessions::begin(state::Transaction& tx, const NewSession& session) {
  const TimestampMs now = impl_->clock.now();
  const DurationMs lifetime = session.remember == Remember::Yes ? impl_->options.remembered_lifetime
                                                                : impl_->options.lifetime;
  GANTRY_TRY(const std::vector<SessionRow> current, list_sessions(tx, session.user_id));
  for (std::size_t i = impl_->options.per_user_max - 1; i < current.size(); ++i)
    GANTRY_CHECK(remove_family(tx, current[i].family_id));
  const SessionRow first{.family_id = make_uuid(),
                         .user_id = session.user_id,
                         .provider = session.provider,
                         .provider_session = session.provider_session,
                         .ip = session.client.ip,
                         .user_agent = session.client.user_agent,
                         .signed_in_at = now,
                         .expires_at = now + lifetime};
  return impl_->replace(tx, first, now, now);
}

Result<IssuedSession> Sessions::renew(state::Transaction& tx, const SessionIdentity& identity) {
  const TimestampMs now = impl_->clock.now();
  GANTRY_TRY(const bool was_first, mark_replaced(tx, identity.row.hash, now));
  if (!was_first) return fail(Code::NotFound, "the session has ended");
  return impl_->replace(tx, identity.row, now, now);
}

Result<void> Sessions::end(const SessionIdentity& identity, const ClientContext& client) {
  {
    GANTRY_TRY(state::Transaction tx, impl_->db.begin_write());
    GANTRY_CHECK(remove_family(tx, identity.row.family_id));
    GANTRY_CHECK(impl_->audit.append(tx, {.event = "logout",
                                          .actor = actor_of(identity.user),
                                          .target = {.type = "session"},
                                          .client = client,
                                          .session_hash = hex(identity.row.hash)}));
    GANTRY_CHECK(state::bump_auth_epoch(tx, impl_->clock.now()));
    GANTRY_CHECK(tx.commit());
  }
  forget_all();
  return {};
}

Result<std::optional<IssuedSession>> Sessions::rotate_if_due(const net::Request& request) {
  const std::uint64_t generation = impl_->known.generation();
  const auto identity = identify(request);
  if (!identity || identity->row.replaced_at) return std::nullopt;
  const TimestampMs now = impl_->clock.now();
  if (now - identity->row.issued_at < impl_->options.rotation_interval) return std::nullopt;
  IssuedSession next;
  {
    GANTRY_TRY(state::Transaction tx, impl_->db.begin_write());
    GANTRY_TRY(const bool was_first, mark_replaced(tx, identity->row.hash, now));
    if (!was_first) return std::nullopt;
    GANTRY_TRY(next, impl_->replace(tx, identity->row, identity->row.authenticated_at, now));
    GANTRY_CHECK(impl_->audit.append(tx, {.event = "session.rotated",
                                          .actor = actor_of(identity->user),
                                          .target = {.type = "session"},
                                          .client = client_context(request),
                                          .session_hash = hex(identity->row.hash)}));
    GANTRY_CHECK(tx.commit());
  }
  // The cached copy of the old id does not know yet that it was replaced.
  auto replaced = std::make_shared<SessionIdentity>(*identity);
  replaced->row.replaced_at = now;
  impl_->known.put(identity->row.hash, std::move(replaced), now, generation);
  return next;
}

std::string Sessions::set_cookie(const net::Request& request, const IssuedSession& issued) const {
  return format_cookie({.name = impl_->console.cookie_name(request, kCookie),
                        .value = issued.value,
                        .transport = impl_->console.cookie_transport(request),
                        .max_age_seconds = issued.max_age_seconds});
}

std::string Sessions::clear_cookie(const net::Request& request) const {
  return format_expired_cookie(impl_->console.cookie_name(request, kCookie),
                               impl_->console.cookie_transport(request));
}

void Sessions::forget_all() {
  impl_->known.clear();
}

Result<void> Sessions::flush() {
  std::unordered_map<TokenHash, std::int64_t, TokenHashHash> uses;
  {
    const core::Lock lock(impl_->mutex);
    uses.swap(impl_->uses_ms);
  }
  const TimestampMs now = impl_->clock.now();
  GANTRY_TRY(state::Transaction tx, impl_->db.begin_write());
  for (const auto& [hash, used_ms] : uses)
    GANTRY_CHECK(raise_last_used(tx, hash, TimestampMs{used_ms}));
  GANTRY_CHECK(remove_expired_sessions(tx, now, now - impl_->options.idle_max));
  return tx.commit();
}

}  // namespace gantry::access
