#include "access/authenticator.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "access/directory.h"
#include "access/expiring_cache.h"
#include "access/label_policy_header.h"
#include "access/token.h"
#include "core/log.h"
#include "core/mutex.h"

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

/// When a token was let in, raised without a lock by every request that uses it.
struct Usage {
  std::atomic<std::int64_t> first_ms = 0;    ///< Since it was last written; 0: not yet.
  std::atomic<std::int64_t> last_ms = 0;     ///< 0: never.
  std::atomic<std::int64_t> written_ms = 0;  ///< The last_ms that is in the database.

  void raise(std::int64_t now_ms) {
    std::int64_t never = 0;
    first_ms.compare_exchange_strong(never, now_ms, std::memory_order_relaxed);
    // Two requests may race here: either of their times is right within the documented precision.
    last_ms.store(now_ms, std::memory_order_relaxed);
  }
};

struct KnownToken {
  TokenGrant grant;
  std::shared_ptr<Usage> usage;
};

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

constexpr std::string_view kServiceAccountTokenPrefix = "glsa_";

/// The one stack that the request means, or why there is none.
AccessResult<const StackGrant*> select_stack(const TokenGrant& grant, std::string_view user,
                                             const RawCredentials& raw,
                                             const ChallengeContext& context) {
  std::optional<StackId> wanted;
  const auto want = [&](std::string_view text) {
    const auto id = parse_stack_id(text);
    const bool is_same = id && (!wanted || *wanted == *id);
    wanted = id;
    return is_same;
  };
  if (!user.empty() && !want(user)) return std::unexpected(invalid_token(context, "wrong_id"));
  for (const std::string& selected : raw.scope_org_id)
    if (!want(selected)) return std::unexpected(invalid_token(context, "wrong_stack"));
  if (!wanted) {
    if (grant.stacks.size() == 1) return &grant.stacks.front();
    if (grant.stacks.empty()) return std::unexpected(invalid_token(context, "no_stack"));
    return std::unexpected(bad_credentials(
        "stack is ambiguous: name it as the user name or in X-Scope-OrgID", "ambiguous_stack"));
  }
  const auto found = std::ranges::find(grant.stacks, *wanted, &StackGrant::stack);
  if (found == grant.stacks.end())
    return std::unexpected(invalid_token(context, user.empty() ? "wrong_stack" : "wrong_id"));
  return &*found;
}

AccessError unknown_token(std::string_view token, const ChallengeContext& context) {
  if (token.starts_with(kServiceAccountTokenPrefix))
    return invalid_token(context, "service_account_token",
                         "Grafana service account tokens are not accepted here; use an access "
                         "policy token");
  return invalid_token(context, parse_access_token(token) ? "unknown_token" : "malformed_token");
}

}  // namespace

struct Authenticator::Impl {
  Impl(Directory& the_directory, const TokenHasher& the_hasher, const Clock& the_clock,
       core::MetricRegistry& registry, Options the_options)
      : directory(the_directory),
        hasher(the_hasher),
        clock(the_clock),
        options(the_options),
        known(options.entries_max, {options.positive_ttl_ms}),
        unknown(options.entries_max, {options.negative_ttl_ms}),
        hits(registry.counter("gantry_access_cache_hits_total",
                              "Requests whose token was found in the cache.")),
        lookups(registry.counter("gantry_access_cache_misses_total",
                                 "Requests whose token was looked up in the state database.")) {}

  Directory& directory;
  const TokenHasher& hasher;
  const Clock& clock;
  const Options options;
  ExpiringCache<TokenHash, std::shared_ptr<const KnownToken>, TokenHashHash> known;
  ExpiringCache<TokenHash, bool, TokenHashHash> unknown;
  core::Counter& hits;
  core::Counter& lookups;

  core::Mutex usage_mutex;
  std::map<std::string, std::shared_ptr<Usage>> usages GANTRY_GUARDED_BY(usage_mutex);

  /// Null: no such token. Errors: the database's.
  Result<std::shared_ptr<const KnownToken>> look_up(std::string_view token, TimestampMs now) {
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
    GANTRY_TRY(std::optional<TokenGrant> grant, directory.find_grant(hashes));
    if (!grant) {
      unknown.put(hashes.front(), true, now, unknown_generation);
      return nullptr;
    }
    auto usage = usage_of(grant->token_id);
    auto entry = std::make_shared<const KnownToken>(
        KnownToken{.grant = *std::move(grant), .usage = std::move(usage)});
    known.put(hashes.front(), entry, now, known_generation);
    return entry;
  }

  std::shared_ptr<Usage> usage_of(const std::string& token_id) {
    const core::Lock lock(usage_mutex);
    auto& usage = usages[token_id];
    if (!usage) usage = std::make_shared<Usage>();
    return usage;
  }
};

Authenticator::Authenticator(Directory& directory, const TokenHasher& hasher, const Clock& clock,
                             core::MetricRegistry& registry, Options options)
    : impl_(std::make_unique<Impl>(directory, hasher, clock, registry, options)) {}

Authenticator::~Authenticator() = default;

AccessResult<Principal> Authenticator::authenticate(const RawCredentials& raw,
                                                    bool accepts_token_scheme,
                                                    const ChallengeContext& context) {
  GANTRY_TRY(const Credentials credentials, parse_credentials(raw, accepts_token_scheme, context));
  const TimestampMs now = impl_->clock.now();
  const auto found = impl_->look_up(credentials.token, now);
  if (!found) {
    log::error("token lookup failed", {{"error", found.error().message}});
    return std::unexpected(access_unavailable());
  }
  if (*found == nullptr) return std::unexpected(unknown_token(credentials.token, context));
  const TokenGrant& grant = (*found)->grant;
  if (const auto reason = refusal(grant, now); !reason.empty())
    return std::unexpected(invalid_token(context, reason));
  GANTRY_TRY(const StackGrant* const stack, select_stack(grant, credentials.user, raw, context));
  GANTRY_TRY(const Visibility visibility,
             narrow_by_header(stack->visibility, grant.attributes, stack->stack, raw.label_policy));
  (*found)->usage->raise(now.since_epoch);
  return Principal{.kind = PrincipalKind::Token,
                   .policy_id = grant.policy_id,
                   .policy_name = grant.policy_name,
                   .token_id = grant.token_id,
                   .org = grant.org,
                   .stack = stack->stack,
                   .scopes = grant.scopes,
                   .visibility = visibility};
}

void Authenticator::forget_all() {
  impl_->known.clear();
  impl_->unknown.clear();
}

Result<void> Authenticator::flush_usage(bool all) {
  const std::int64_t now_ms = impl_->clock.now().since_epoch;
  std::vector<TokenUse> uses;
  std::vector<std::shared_ptr<Usage>> written;
  {
    const core::Lock lock(impl_->usage_mutex);
    for (auto it = impl_->usages.begin(); it != impl_->usages.end();) {
      const std::shared_ptr<Usage>& usage = it->second;
      const std::int64_t last_ms = usage->last_ms.load(std::memory_order_relaxed);
      const std::int64_t written_ms = usage->written_ms.load(std::memory_order_relaxed);
      if (last_ms > written_ms &&
          (all || now_ms - written_ms >= impl_->options.usage_interval_ms)) {
        uses.push_back({.token_id = it->first,
                        .first = {usage->first_ms.load(std::memory_order_relaxed)},
                        .last = {last_ms}});
        written.push_back(usage);
      }
      // Only this map knows it and there is nothing to write: the cache has dropped the token.
      const bool is_idle = usage.use_count() == 1 && last_ms <= written_ms;
      it = is_idle ? impl_->usages.erase(it) : std::next(it);
    }
  }
  if (uses.empty()) return {};
  GANTRY_CHECK(impl_->directory.record_uses(uses));
  for (std::size_t i = 0; i < uses.size(); ++i)
    written[i]->written_ms.store(uses[i].last.since_epoch, std::memory_order_relaxed);
  return {};
}

}  // namespace gantry::access
