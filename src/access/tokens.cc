#include "access/tokens.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "access/ceiling.h"
#include "access/rows_internal.h"
#include "access/stacks.h"
#include "access/token_rows_internal.h"
#include "core/rfc3339.h"

namespace gantry::access {
namespace {

constexpr DurationMs kOverlapMax{std::int64_t{90} * 24 * 3600 * 1000};
constexpr int kRotationsMax = 1'000;

AuditTarget target_of(const Token& token) {
  return {.type = "token", .id = token.id, .name = token.name};
}

std::string time_or_never(const std::optional<TimestampMs>& time) {
  return time ? core::format_rfc3339(*time) : "never";
}

/// Who may make, change or revoke tokens of this policy and kind.
ControlResult<void> check_right(OrgId org, const ControlChange& change, const Policy& policy,
                                TokenKind kind) {
  const ControlPrincipal& who = change.who();
  GANTRY_CHECK(require_organisation_realm(who, org));
  if (kind == TokenKind::Bearer && who.actor.type == Actor::Type::User && !who.is_super_admin &&
      !change.plane().rules.bearer_by_org_admin)
    return refuse(Code::PermissionDenied,
                  "bearer tokens are for super-admins (access.bearer_by_org_admin lets admins of "
                  "the organisation as well)");
  return check_ceiling(who, org,
                       {.scopes = policy.scopes,
                        .realms = policy.realms,
                        .allowed_subnets = policy.allowed_subnets});
}

ControlResult<void> check_token_limit(OrgId org, ControlChange& change, const Policy& policy) {
  const std::uint32_t limit = change.plane().rules.tokens_per_policy_max;
  GANTRY_TRY(const std::int64_t count,
             count_living_tokens(org, change.tx(), policy.id, change.now()));
  if (count < limit) return {};
  return refuse(Code::FailedPrecondition,
                fmt::format("access policy \"{}\" has {} tokens, the limit is {} "
                            "(access.tokens_per_policy_max)",
                            policy.name, count, limit));
}

/// The policy of a bearer token: one for all that read all of a stack from anywhere, one of its own
/// for a token that is bound to labels or addresses.
ControlResult<Policy> bearer_policy(OrgId org, ControlChange& change, const BearerDraft& draft) {
  const auto stack = read_stack(org, change.tx(), draft.stack);
  if (!stack && stack.error().code == Code::NotFound)
    return refuse_field("stack", "no stack has this id or slug");
  GANTRY_CHECK(stack);
  const bool is_shared = draft.label_policies.empty() && draft.allowed_subnets.empty();
  const std::string suffix =
      is_shared ? std::string(draft.reads_traces ? "-traces" : "") : "-" + make_uuid().substr(0, 8);
  PolicyDraft policy{.name = fmt::format("bearer-{}{}", stack->id.value(), suffix),
                     .display_name = fmt::format("Read-only bearer tokens of {}", stack->slug),
                     .scopes = {std::string(scope_name(Scope::MetricsRead))},
                     .realms = {{.type = "stack",
                                 .identifier = std::to_string(stack->id.value()),
                                 .label_policies = draft.label_policies}},
                     .allowed_subnets = draft.allowed_subnets};
  if (draft.reads_traces) policy.scopes.emplace_back(scope_name(Scope::TracesRead));
  if (is_shared) {
    GANTRY_TRY(auto existing, find_policy_by_name(org, change.tx(), policy.name));
    if (existing && existing->is_system) return *std::move(existing);
    if (existing) policy.name += "-" + make_uuid().substr(0, 8);
  }
  return create_policy(org, change, policy, PolicySource::System);
}

/// "ci" and "ci-r7" become "ci-r2" and "ci-r8".
std::pair<std::string_view, int> split_rotation(std::string_view name) {
  const std::size_t mark = name.rfind("-r");
  if (mark == std::string_view::npos || mark == 0) return {name, 1};
  const std::string_view digits = name.substr(mark + 2);
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 2 ||
      number >= 1'000'000)
    return {name, 1};
  return {name.substr(0, mark), number};
}

ControlResult<std::string> next_name(OrgId org, state::Transaction& tx, std::string_view name) {
  const auto [base, number] = split_rotation(name);
  for (int next = number + 1; next <= number + kRotationsMax; ++next) {
    std::string candidate = fmt::format("{}-r{}", base.substr(0, 240), next);
    GANTRY_TRY(const bool is_taken, is_token_name_taken(org, tx, candidate));
    if (!is_taken) return candidate;
  }
  return refuse(Code::AlreadyExists, fmt::format("no free name after \"{}\"", name));
}

ControlResult<void> write_expiry(OrgId org, ControlChange& change, const Token& token) {
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE tokens SET display_name = ?, expires_at_ms = ?, "
                                 "updated_at_ms = ? WHERE org_id = ? AND id = ?"));
  update.bind(token.display_name)
      .bind(optional_ms(token.expires_at))
      .bind(token.updated_at.since_epoch)
      .bind(org.value())
      .bind(token.id);
  GANTRY_CHECK(update.run());
  return {};
}

void record_created(OrgId org, ControlChange& change, const Token& token, const Policy& policy) {
  change.record(org, "token.created", target_of(token),
                {{.field = "accessPolicy", .before = {}, .after = policy.name},
                 {.field = "kind", .before = {}, .after = std::string(token_kind_name(token.kind))},
                 {.field = "expiresAt", .before = {}, .after = time_or_never(token.expires_at)}});
}

}  // namespace

ControlResult<Token> finish_revocation(OrgId org, ControlChange& change, Token token) {
  token.revoked_at = change.now();
  token.revoked_by = change.who().actor.name;
  token.updated_at = change.now();
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE tokens SET revoked_at_ms = ?, revoked_by = ?, "
                                 "updated_at_ms = ? WHERE org_id = ? AND id = ?"));
  update.bind(change.now().since_epoch)
      .bind(token.revoked_by)
      .bind(change.now().since_epoch)
      .bind(org.value())
      .bind(token.id);
  GANTRY_CHECK(update.run());
  change.record(org, "token.revoked", target_of(token));
  return token;
}

ControlResult<IssuedToken> issue_token(OrgId org, ControlChange& change, const TokenIssue& draft) {
  GANTRY_CHECK(check_right(org, change, draft.policy, draft.kind));
  GANTRY_CHECK(require_recent_sign_in(change.who(), draft.policy.scopes, change.now()));
  std::vector<FieldProblem> problems;
  check_name(problems, "name", draft.name);
  check_display_text(problems, "displayName", draft.display_name);
  if (draft.expires_at && *draft.expires_at <= change.now())
    problems.push_back({.path = "expiresAt", .reason = "must be in the future"});
  if (!problems.empty()) return refuse_fields(std::move(problems));
  GANTRY_CHECK(check_token_limit(org, change, draft.policy));

  IssuedToken issued;
  issued.secret =
      draft.kind == TokenKind::Bearer
          ? issue_bearer_token()
          : issue_access_token({.org = org,
                                .policy_name = draft.policy.name,
                                .token_name = draft.name,
                                .zone = draft.zone.empty() ? change.plane().rules.zone
                                                           : std::string_view(draft.zone)});
  Token& token = issued.token;
  token.id = make_uuid();
  token.policy_id = draft.policy.id;
  token.org = org;
  token.name = draft.name;
  token.display_name = draft.display_name.empty() ? draft.name : draft.display_name;
  token.kind = draft.kind;
  token.hint = token_display_hint(issued.secret);
  token.created_at = change.now();
  token.created_by = change.who().actor.name;
  token.updated_at = change.now();
  token.expires_at = draft.expires_at;
  const auto inserted = insert_token(change.tx(), token, issued.secret, change.plane().hasher);
  if (!inserted && inserted.error().code == Code::AlreadyExists)
    return refuse(Code::AlreadyExists,
                  fmt::format("a token with the name \"{}\" exists", token.name));
  GANTRY_CHECK(inserted);
  record_created(org, change, token, draft.policy);
  return issued;
}

std::string_view token_status(const Token& token, TimestampMs now) {
  if (token.revoked_at) return "revoked";
  return token.expires_at && *token.expires_at <= now ? "expired" : "active";
}

ControlResult<IssuedToken> create_token(OrgId org, ControlChange& change, const TokenDraft& draft) {
  const auto policy = read_policy(org, change.tx(), draft.policy_id);
  if (!policy && policy.error().code == Code::NotFound)
    return refuse(Code::NotFound, "no such access policy");
  GANTRY_CHECK(policy);
  if (policy->is_system)
    return refuse(Code::FailedPrecondition,
                  fmt::format("policy \"{}\" is built in: its tokens are made as bearer tokens",
                              policy->name));
  GANTRY_TRY(IssuedToken issued, issue_token(org, change,
                                             {.policy = *policy,
                                              .name = draft.name,
                                              .display_name = draft.display_name,
                                              .kind = TokenKind::AccessPolicy,
                                              .expires_at = draft.expires_at,
                                              .zone = draft.zone}));
  return issued;
}

ControlResult<IssuedToken> create_bearer_token(OrgId org, ControlChange& change,
                                               const BearerDraft& draft) {
  GANTRY_TRY(const Policy policy, bearer_policy(org, change, draft));
  GANTRY_TRY(IssuedToken issued, issue_token(org, change,
                                             {.policy = policy,
                                              .name = draft.name,
                                              .display_name = draft.display_name,
                                              .kind = TokenKind::Bearer,
                                              .expires_at = draft.expires_at,
                                              .zone = {}}));
  return issued;
}

ControlResult<Token> update_token(OrgId org, ControlChange& change, std::string_view id,
                                  const TokenChanges& changes) {
  GANTRY_TRY(Token token, read_token(org, change.tx(), id, change.now()));
  GANTRY_TRY(const Policy policy, read_policy(org, change.tx(), token.policy_id));
  GANTRY_CHECK(check_right(org, change, policy, token.kind));
  std::vector<AuditChange> audit;
  if (changes.display_name) {
    std::vector<FieldProblem> problems;
    check_display_text(problems, "displayName", *changes.display_name);
    if (!problems.empty()) return refuse_fields(std::move(problems));
    std::string name = changes.display_name->empty() ? token.name : *changes.display_name;
    audit.push_back({.field = "displayName", .before = token.display_name, .after = name});
    token.display_name = std::move(name);
  }
  if (changes.expires_at) {
    // Not earlier than now, so that what was switched off by mistake can be found and undone.
    std::optional<TimestampMs> expires_at = *changes.expires_at;
    if (expires_at && *expires_at < change.now()) expires_at = change.now();
    const bool was_expired = token.expires_at && *token.expires_at <= change.now();
    const bool stays_expired = expires_at && *expires_at <= change.now();
    if (was_expired && !stays_expired && *token.expires_at + kExpiryUndoable < change.now())
      return refuse(Code::FailedPrecondition,
                    "the token expired more than 7 days ago: create or rotate to a new one");
    audit.push_back({.field = "expiresAt",
                     .before = time_or_never(token.expires_at),
                     .after = time_or_never(expires_at)});
    token.expires_at = expires_at;
  }
  token.updated_at = change.now();
  GANTRY_CHECK(write_expiry(org, change, token));
  change.record(org, "token.updated", target_of(token), std::move(audit));
  return token;
}

ControlResult<IssuedToken> rotate_token(OrgId org, ControlChange& change, std::string_view id,
                                        const TokenRotation& rotation) {
  if (rotation.overlap.count < 0 || rotation.overlap > kOverlapMax)
    return refuse_field("overlap", "must be a duration of at most 90d");
  GANTRY_TRY(Token old, read_token(org, change.tx(), id, change.now()));
  if (old.kind != TokenKind::AccessPolicy && old.kind != TokenKind::Bearer)
    return refuse(Code::FailedPrecondition, "tokens of this kind cannot be rotated");
  GANTRY_TRY(const Policy policy, read_policy(org, change.tx(), old.policy_id));
  if (!policy.owner.empty())
    return refuse(Code::FailedPrecondition,
                  "a personal token cannot be rotated: whose it is makes a new one");
  GANTRY_TRY(std::string name, next_name(org, change.tx(), old.name));
  std::optional<TimestampMs> expires_at = rotation.expires_at;
  if (!expires_at && old.expires_at) expires_at = change.now() + (*old.expires_at - old.created_at);
  GANTRY_TRY(IssuedToken issued, issue_token(org, change,
                                             {.policy = policy,
                                              .name = std::move(name),
                                              .display_name = {},
                                              .kind = old.kind,
                                              .expires_at = expires_at,
                                              .zone = rotation.zone}));
  const TimestampMs end = change.now() + rotation.overlap;
  if (!old.expires_at || end < *old.expires_at) old.expires_at = end;
  old.updated_at = change.now();
  GANTRY_CHECK(write_expiry(org, change, old));
  change.record(org, "token.rotated", target_of(old),
                {{.field = "successor", .before = {}, .after = issued.token.id},
                 {.field = "expiresAt", .before = {}, .after = time_or_never(old.expires_at)}});
  return issued;
}

ControlResult<Token> revoke_token(OrgId org, ControlChange& change, std::string_view id) {
  GANTRY_TRY(Token token, read_token(org, change.tx(), id, change.now()));
  GANTRY_TRY(const Policy policy, read_policy(org, change.tx(), token.policy_id));
  // No ceiling: taking rights away hands on none, and a leaked token must be easy to stop.
  GANTRY_CHECK(require_organisation_realm(change.who(), org));
  if (token.kind == TokenKind::Bearer) GANTRY_CHECK(check_right(org, change, policy, token.kind));
  return finish_revocation(org, change, std::move(token));
}

ControlResult<Token> revoke_own_token(ControlChange& change) {
  if (change.who().actor.type != Actor::Type::Token)
    return refuse(Code::PermissionDenied, "only a token can revoke itself");
  const OrgId org = change.who().org;
  GANTRY_TRY(Token token, read_token(org, change.tx(), change.who().actor.id, change.now()));
  return finish_revocation(org, change, std::move(token));
}

}  // namespace gantry::access
