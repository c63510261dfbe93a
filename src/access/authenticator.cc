#include "access/authenticator.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "access/audit.h"
#include "access/directory.h"
#include "access/expiring_cache.h"
#include "access/label_policy_header.h"
#include "access/query_policy.h"
#include "access/token.h"
#include "access/token_usage.h"
#include "core/ip_network.h"
#include "core/log.h"

namespace gantry::access {
namespace {

/// The hash is uniform already.
struct TokenHashHash {
  std::size_t operator()(const TokenHash& hash) const {
    std::size_t value = 0;
    std::memcpy(&value, hash.data(), sizeof value);
    return value;
  }
};

struct KnownToken {
  TokenGrant grant;
  std::optional<std::vector<core::IpNetwork>> allowed_networks;  // absent: any
  std::shared_ptr<const QueryPolicy> query_policy;
  std::shared_ptr<TokenUsage> usage;
};

/// A rule that cannot be read lets nobody in.
std::optional<std::vector<core::IpNetwork>> parse_networks(const TokenGrant& grant) {
  if (grant.allowed_subnets.empty()) return std::nullopt;
  std::vector<core::IpNetwork> networks;
  for (const std::string& text : grant.allowed_subnets) {
    const auto network = core::IpNetwork::parse(text);
    if (network)
      networks.push_back(*network);
    else
      log::error("an allowed subnet cannot be read and lets nobody in",
                 {{"policy", grant.policy_name}, {"error", network.error().message}});
  }
  return networks;
}

std::shared_ptr<const QueryPolicy> parse_limits(const TokenGrant& grant) {
  auto policy = parse_query_policy(grant.attributes);
  if (!policy) {
    log::error("the query limits of a policy cannot be read; the defaults hold",
               {{"policy", grant.policy_name}, {"error", policy.error().message}});
    return nullptr;
  }
  if (policy->is_default()) return nullptr;
  return std::make_shared<const QueryPolicy>(*std::move(policy));
}

bool is_allowed_origin(const KnownToken& token, const ClientContext& client) {
  if (!token.allowed_networks) return true;
  const auto address = core::IpAddress::parse(client.ip);
  return address && std::ranges::any_of(*token.allowed_networks, [&](const auto& network) {
           return network.contains(*address);
         });
}

std::optional<StackId> parse_stack_id(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return StackId(id);
}

/// Why a token that exists may not be used now; "" when it may.
std::string_view refusal(const TokenGrant& grant, TimestampMs now) {
  if (grant.revoked_at) return "revoked";
  if (grant.expires_at && *grant.expires_at <= now) return "expired";
  if (!grant.is_policy_active) return "inactive_policy";
  return {};
}

constexpr DurationMs kLegacyKeyInterval{std::int64_t{24} * 3600 * 1000};
constexpr std::string_view kServiceAccountTokenPrefix = "glsa_";

/// "metrics" of metrics:read.
std::string_view signal_of(Scope scope) {
  const std::string_view name = scope_name(scope);
  return name.substr(0, name.find(':'));
}

bool is_named(const StackGrant& stack, StackId id, std::string_view signal) {
  return stack.stack == id || std::ranges::any_of(stack.aliases, [&](const auto& alias) {
           return alias.id == id.value() && alias.signal == signal;
         });
}

/// The one stack that the request means, or why there is none.
AccessResult<const StackGrant*> select_stack(const TokenGrant& grant, std::string_view user,
                                             const RawCredentials& raw,
                                             const ChallengeContext& context) {
  const StackGrant* selected = nullptr;
  const auto select = [&](std::string_view text) {
    const auto id = parse_stack_id(text);
    if (!id) return false;
    const auto found = std::ranges::find_if(grant.stacks, [&](const StackGrant& stack) {
      return is_named(stack, *id, signal_of(context.scope));
    });
    if (found == grant.stacks.end() || (selected != nullptr && selected != &*found)) return false;
    selected = &*found;
    return true;
  };
  if (!user.empty() && !select(user)) return std::unexpected(invalid_token(context, "wrong_id"));
  for (const std::string& text : raw.scope_org_id)
    if (!select(text)) return std::unexpected(invalid_token(context, "wrong_stack"));
  if (selected != nullptr) return selected;
  if (grant.stacks.size() == 1) return &grant.stacks.front();
  if (grant.stacks.empty()) return std::unexpected(invalid_token(context, "no_stack"));
  return std::unexpected(bad_credentials(
      "stack is ambiguous: name it as the user name or in X-Scope-OrgID", "ambiguous_stack"));
}

AccessError unknown_token(std::string_view token, const ChallengeContext& context) {
  if (token.starts_with(kServiceAccountTokenPrefix))
    return invalid_token(context, "service_account_token",
                         "Grafana service account tokens are not accepted here; use an access "
                         "policy token");
  return invalid_token(context, parse_access_token(token) ? "unknown_token" : "malformed_token");
}

std::optional<std::int64_t> earliest(const KnownToken& token, TimestampMs now) {
  if (!token.query_policy || !token.query_policy->lookback_max_ms) return std::nullopt;
  return now.since_epoch - *token.query_policy->lookback_max_ms;
}

Actor actor_of(const TokenGrant& grant) {
  std::string name = grant.policy_name;
  if (!grant.token_name.empty()) name += "/" + grant.token_name;
  return {.type = Actor::Type::Token, .id = grant.token_id, .name = std::move(name)};
}

/// The audit event for a refusal after authentication.
std::string_view denial_event(std::string_view reason) {
  // Not the caller's doing: somebody has to mend the policy.
  if (reason == "label_policy_error") return "lbac.policy_error";
  return reason == "restricted" ? "lbac.denied" : "authz.denied";
}

}  // namespace

struct Authenticator::Impl {
  Impl(Directory& the_directory, const TokenHasher& the_hasher, const Clock& the_clock,
       core::MetricRegistry& registry, Options the_options)
      : directory(the_directory),
        hasher(the_hasher),
        clock(the_clock),
        options(the_options),
        known(options.entries_max, {options.positive_ttl_ms}, {options.stale_grace_ms}),
        unknown(options.entries_max, {options.negative_ttl_ms}),
        hits(registry.counter("gantry_access_cache_hits_total",
                              "Requests whose token was found in the cache.")),
        lookups(registry.counter("gantry_access_cache_misses_total",
                                 "Requests whose token was looked up in the state database.")),
        stale(registry.counter("gantry_access_stale_total",
                               "Writers let in as they were last known, because the state "
                               "database did not answer.")) {}

  Directory& directory;
  const TokenHasher& hasher;
  const Clock& clock;
  const Options options;
  ExpiringCache<TokenHash, std::shared_ptr<const KnownToken>, TokenHashHash> known;
  ExpiringCache<TokenHash, bool, TokenHashHash> unknown;
  core::Counter& hits;
  core::Counter& lookups;
  core::Counter& stale;
  TokenUsages usages;

  /// A token that exists and may be used now, with what it said about itself.
  struct Bearer {
    std::shared_ptr<const KnownToken> token;
    Credentials credentials;
    TimestampMs now;
  };

  /// Null: no such token. Errors: the database's.
  Result<std::shared_ptr<const KnownToken>> look_up(std::string_view token, Scope scope,
                                                    TimestampMs now) {
    const std::vector<TokenHash> hashes = hasher.hashes(token);
    if (auto found = known.find(hashes.front(), now)) {
      hits.add();
      return *std::move(found);
    }
    if (unknown.find(hashes.front(), now)) {
      hits.add();
      return nullptr;
    }
    lookups.add();
    const std::uint64_t known_generation = known.generation();
    const std::uint64_t unknown_generation = unknown.generation();
    auto grant = directory.find_grant(hashes);
    if (!grant) {
      // What comes in cannot be asked for again later; what goes out can.
      auto last_known = known.find_stale(hashes.front(), now);
      if (!last_known || !is_write_scope(scope)) return std::unexpected(grant.error());
      stale.add();
      return *std::move(last_known);
    }
    if (!*grant) {
      unknown.put(hashes.front(), true, now, unknown_generation);
      return nullptr;
    }
    auto entry =
        std::make_shared<const KnownToken>(KnownToken{.grant = **grant,
                                                      .allowed_networks = parse_networks(**grant),
                                                      .query_policy = parse_limits(**grant),
                                                      .usage = usages.of(**grant)});
    known.put(hashes.front(), entry, now, known_generation);
    return entry;
  }

  AccessResult<Bearer> find_bearer(const RawCredentials& raw, const CredentialForms& forms,
                                   const ChallengeContext& context) {
    auto credentials = parse_credentials(raw, forms, context);
    if (!credentials) {
      if (credentials.error().reason == "secret_in_url") note_secret_in_url(raw);
      return std::unexpected(credentials.error());
    }
    const TimestampMs now = clock.now();
    auto found = look_up(credentials->token, context.scope, now);
    if (!found) {
      log::error("token lookup failed", {{"error", found.error().message}});
      return std::unexpected(access_unavailable());
    }
    if (*found == nullptr) {
      AccessError error = unknown_token(credentials->token, context);
      note_rejection(nullptr, raw.client, error.reason);
      return std::unexpected(std::move(error));
    }
    Bearer bearer{.token = *std::move(found), .credentials = *std::move(credentials), .now = now};
    if (const auto reason = refusal(bearer.token->grant, now); !reason.empty())
      return std::unexpected(reject(bearer, raw, invalid_token(context, reason)));
    return bearer;
  }

  /// A token that is known: its owner learns of the refusal.
  AccessError reject(const Bearer& bearer, const RawCredentials& raw, AccessError error) {
    bearer.token->usage->reject(bearer.now, raw.client, error.reason);
    note_rejection(&bearer.token->grant, raw.client, error.reason);
    return error;
  }

  void let_in(const Bearer& bearer, const RawCredentials& raw) {
    const auto news = bearer.token->usage->raise(bearer.now, raw.client, raw.route);
    const TokenGrant& grant = bearer.token->grant;
    if (options.audit == nullptr) return;
    if (news.is_first_use)
      options.audit->note(event_of(grant, raw.client, "auth.first_use", Outcome::Ok));
    if (news.is_new_ip)
      options.audit->note_sampled("new_ip " + grant.token_id + " " + raw.client.ip,
                                  event_of(grant, raw.client, "auth.new_ip", Outcome::Ok));
    if (grant.kind == TokenKind::Legacy)
      options.audit->note_sampled("legacy " + grant.token_id,
                                  event_of(grant, raw.client, "auth.legacy_key_used", Outcome::Ok),
                                  kLegacyKeyInterval);
  }

  static AuditEvent event_of(const TokenGrant& grant, const ClientContext& client,
                             std::string_view name, Outcome outcome) {
    return {.event = std::string(name),
            .outcome = outcome,
            .actor = actor_of(grant),
            .org = grant.org,
            .target = {.type = "token", .id = grant.token_id, .name = grant.token_name},
            .client = client};
  }

  void note_rejection(const TokenGrant* grant, const ClientContext& client,
                      std::string_view reason) const {
    if (options.audit == nullptr) return;
    AuditEvent event{.event = "auth.token_rejected", .outcome = Outcome::Denied, .client = client};
    if (grant != nullptr) event = event_of(*grant, client, event.event, event.outcome);
    event.reason = reason;
    options.audit->note_sampled(
        fmt::format("rejected {} {}", grant != nullptr ? grant->token_id : "-", reason),
        std::move(event));
  }

  void note_secret_in_url(const RawCredentials& raw) const {
    if (options.audit == nullptr) return;
    options.audit->note_sampled(
        "secret_in_url " + raw.client.ip,
        {.event = "auth.secret_in_url", .outcome = Outcome::Denied, .client = raw.client});
  }
};

Authenticator::Authenticator(Directory& directory, const TokenHasher& hasher, const Clock& clock,
                             core::MetricRegistry& registry, Options options)
    : impl_(std::make_unique<Impl>(directory, hasher, clock, registry, options)) {}

Authenticator::~Authenticator() = default;

AccessResult<Principal> Authenticator::authenticate(const RawCredentials& raw,
                                                    const CredentialForms& forms,
                                                    const ChallengeContext& context) {
  GANTRY_TRY(const Impl::Bearer bearer, impl_->find_bearer(raw, forms, context));
  const TokenGrant& grant = bearer.token->grant;
  const auto stack = select_stack(grant, bearer.credentials.user, raw, context);
  if (!stack) return std::unexpected(impl_->reject(bearer, raw, stack.error()));
  if (!is_allowed_origin(*bearer.token, raw.client))
    return std::unexpected(impl_->reject(bearer, raw, origin_not_allowed()));
  auto visibility =
      narrow_by_header((*stack)->visibility, grant.attributes, (*stack)->stack, raw.label_policy);
  if (!visibility) return std::unexpected(impl_->reject(bearer, raw, visibility.error()));
  impl_->let_in(bearer, raw);
  return Principal{.kind = PrincipalKind::Token,
                   .token_kind = grant.kind,
                   .policy_id = grant.policy_id,
                   .policy_name = grant.policy_name,
                   .token_id = grant.token_id,
                   .org = grant.org,
                   .stack = (*stack)->stack,
                   .scopes = grant.scopes,
                   .visibility = *std::move(visibility),
                   .query_policy = bearer.token->query_policy,
                   .earliest_ms = earliest(*bearer.token, bearer.now)};
}

AccessResult<ControlPrincipal> Authenticator::authenticate_control(
    const RawCredentials& raw, const ChallengeContext& context) {
  GANTRY_TRY(const Impl::Bearer bearer, impl_->find_bearer(raw, {}, context));
  const TokenGrant& grant = bearer.token->grant;
  if (!bearer.credentials.user.empty()) {
    const auto stack = select_stack(grant, bearer.credentials.user, raw, context);
    if (!stack) return std::unexpected(impl_->reject(bearer, raw, stack.error()));
  }
  if (!is_allowed_origin(*bearer.token, raw.client))
    return std::unexpected(impl_->reject(bearer, raw, origin_not_allowed()));
  impl_->let_in(bearer, raw);
  return ControlPrincipal{.actor = actor_of(grant),
                          .client = raw.client,
                          .org = grant.org,
                          .scopes = grant.scopes,
                          .realms = grant.realms,
                          .allowed_subnets = grant.allowed_subnets,
                          .policy_id = grant.policy_id};
}

void Authenticator::note_refusal(const Principal& principal, const ClientContext& client,
                                 std::string_view reason) {
  const TokenGrant grant{.token_id = principal.token_id,
                         .policy_name = principal.policy_name,
                         .org = principal.org,
                         .was_used = true};
  impl_->usages.of(grant)->reject(impl_->clock.now(), client, reason);
  if (impl_->options.audit == nullptr) return;
  AuditEvent event = Impl::event_of(grant, client, denial_event(reason), Outcome::Denied);
  event.stack = principal.stack;
  event.reason = reason;
  impl_->options.audit->note_sampled(fmt::format("denied {} {}", principal.token_id, reason),
                                     std::move(event));
}

void Authenticator::note_refusal(const ControlPrincipal& who, std::string_view reason) {
  if (who.actor.type == Actor::Type::Token)
    impl_->usages.of({.token_id = who.actor.id, .org = who.org, .was_used = true})
        ->reject(impl_->clock.now(), who.client, reason);
  if (impl_->options.audit == nullptr) return;
  impl_->options.audit->note_sampled(fmt::format("denied {} {}", who.actor.id, reason),
                                     {.event = std::string(denial_event(reason)),
                                      .outcome = Outcome::Denied,
                                      .actor = who.actor,
                                      .org = who.org,
                                      .client = who.client,
                                      .session_hash = who.session_hash,
                                      .reason = std::string(reason)});
}

void Authenticator::forget_all() {
  impl_->known.clear();
  impl_->unknown.clear();
}

Result<void> Authenticator::flush_usage(bool all) {
  return impl_->usages.flush(impl_->directory, impl_->clock.now(),
                             {all ? 0 : impl_->options.usage_interval_ms});
}

}  // namespace gantry::access
