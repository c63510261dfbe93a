#include "access/legacy_keys.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

#include "access/ceiling.h"
#include "access/rows_internal.h"
#include "access/token_rows_internal.h"

namespace gantry::access {
namespace {

/// Of a key whose text is not known.
constexpr std::string_view kImportedHint = "eyJrIjoi…";

struct LegacyRole {
  std::string_view name;
  std::string_view policy_name;
};

constexpr std::array kRoles = {
    LegacyRole{"Viewer", "legacy-viewer"},
    LegacyRole{"Editor", "legacy-editor"},
    LegacyRole{"Admin", "legacy-admin"},
    LegacyRole{"MetricsPublisher", "legacy-metrics-publisher"},
    LegacyRole{"PluginPublisher", "legacy-plugin-publisher"},
};

constexpr std::array kViewer = {Scope::MetricsRead, Scope::LogsRead,   Scope::TracesRead,
                                Scope::RulesRead,   Scope::AlertsRead, Scope::StacksRead};
constexpr std::array kEditor = {Scope::RulesWrite, Scope::AlertsWrite, Scope::DashboardsWrite};
constexpr std::array kAdmin = {Scope::MetricsWrite,         Scope::LogsWrite,
                               Scope::TracesWrite,          Scope::ProfilesWrite,
                               Scope::DestinationsWrite,    Scope::PipelinesWrite,
                               Scope::StacksWrite,          Scope::StacksDelete,
                               Scope::AccessPoliciesRead,   Scope::AccessPoliciesWrite,
                               Scope::AccessPoliciesDelete, Scope::OrgsRead};
constexpr std::array kPublisher = {Scope::MetricsWrite, Scope::LogsWrite, Scope::TracesWrite};

std::vector<std::string> role_scope_names(std::string_view role) {
  std::vector<std::string> names;
  const auto add = [&](const auto& scopes) {
    for (const Scope scope : scopes) names.emplace_back(scope_name(scope));
  };
  if (role == "MetricsPublisher") add(kPublisher);
  if (role == "Viewer" || role == "Editor" || role == "Admin") add(kViewer);
  if (role == "Editor" || role == "Admin") add(kEditor);
  if (role == "Admin") add(kAdmin);
  return names;
}

ControlResult<Policy> role_policy(OrgId org, ControlChange& change, const LegacyRole& role) {
  GANTRY_TRY(auto existing, find_policy_by_name(org, change.tx(), role.policy_name));
  if (existing && existing->is_system) return *std::move(existing);
  if (existing)
    return refuse(Code::AlreadyExists,
                  fmt::format("the name \"{}\", which API keys of this role need, is that of an "
                              "access policy",
                              role.policy_name));
  return create_policy(
      org, change,
      {.name = std::string(role.policy_name),
       .display_name = fmt::format("API keys with the role {}", role.name),
       .scopes = role_scope_names(role.name),
       .realms = {{.type = "org", .identifier = std::to_string(org.value()), .label_policies = {}}},
       .allowed_subnets = {}},
      PolicySource::System);
}

AuditTarget target_of(const Token& token) {
  return {.type = "apikey", .id = token.id, .name = token.name};
}

/// All but the hint, checked; what the role grants must be the asker's to give.
ControlResult<LegacyKey> draft_key(OrgId org, ControlChange& change, std::string_view name,
                                   std::string_view role) {
  std::vector<FieldProblem> problems;
  check_name(problems, "name", name);
  const auto* const known = std::ranges::find(kRoles, role, &LegacyRole::name);
  if (known == kRoles.end())
    problems.push_back(
        {.path = "role",
         .reason = "must be Viewer, Editor, Admin, MetricsPublisher or PluginPublisher"});
  if (!problems.empty()) return refuse_fields(std::move(problems));
  GANTRY_TRY(const Policy policy, role_policy(org, change, *known));
  GANTRY_CHECK(check_ceiling(change.who(), org,
                             {.scopes = policy.scopes,
                              .realms = policy.realms,
                              .allowed_subnets = policy.allowed_subnets}));
  GANTRY_CHECK(require_recent_sign_in(change.who(), policy.scopes, change.now()));
  LegacyKey key;
  key.role = role;
  Token& token = key.token;
  token.id = make_uuid();
  token.policy_id = policy.id;
  token.org = org;
  token.name = name;
  token.display_name = name;
  token.kind = TokenKind::Legacy;
  token.created_at = change.now();
  token.created_by = change.who().actor.name;
  token.updated_at = change.now();
  return key;
}

}  // namespace

ControlResult<IssuedLegacyKey> create_legacy_key(OrgId org, ControlChange& change,
                                                 std::string_view name, std::string_view role) {
  if (!change.plane().rules.legacy_keys)
    return refuse(Code::FailedPrecondition,
                  "API keys are switched off (access.legacy_keys): use an access policy and a "
                  "token");
  GANTRY_TRY(LegacyKey key, draft_key(org, change, name, role));
  IssuedLegacyKey issued{.key = std::move(key), .secret = issue_legacy_key(org, name)};
  issued.key.token.hint = token_display_hint(issued.secret);
  const auto inserted =
      insert_token(change.tx(), issued.key.token, issued.secret, change.plane().hasher);
  if (!inserted && inserted.error().code == Code::AlreadyExists)
    return refuse(Code::AlreadyExists, fmt::format("a token with the name \"{}\" exists", name));
  GANTRY_CHECK(inserted);
  change.record(org, "apikey.created", target_of(issued.key.token),
                {{.field = "role", .before = {}, .after = std::string(role)}});
  return issued;
}

ControlResult<LegacyKey> import_legacy_key(OrgId org, ControlChange& change,
                                           const LegacyKeyImport& import) {
  const auto digest = parse_sha256(import.sha256);
  if (!digest) return refuse_field("sha256", digest.error().message);
  GANTRY_TRY(LegacyKey key, draft_key(org, change, import.name, import.role));
  key.token.hint = kImportedHint;
  const TokenHasher& hasher = change.plane().hasher;
  const auto inserted = insert_token(change.tx(), key.token, hasher.imported_hash(*digest), hasher);
  if (!inserted && inserted.error().code == Code::AlreadyExists)
    return refuse(
        Code::AlreadyExists,
        fmt::format("a token with the name \"{}\" exists, or this key was imported before",
                    import.name));
  GANTRY_CHECK(inserted);
  change.record(org, "apikey.created", target_of(key.token),
                {{.field = "role", .before = {}, .after = import.role},
                 {.field = "imported", .before = {}, .after = "true"}});
  return key;
}

ControlResult<std::vector<LegacyKey>> list_legacy_keys(OrgId org, state::Transaction& tx,
                                                       TimestampMs now) {
  std::vector<LegacyKey> keys;
  for (const LegacyRole& role : kRoles) {
    TokenFilter filter;
    filter.policy_name = role.policy_name;
    PageStart page;
    page.limit = 10'000;
    GANTRY_TRY(std::vector<Token> tokens, list_tokens(org, tx, filter, page, now));
    for (Token& token : tokens)
      if (token.kind == TokenKind::Legacy)
        keys.push_back({.token = std::move(token), .role = std::string(role.name)});
  }
  std::ranges::sort(
      keys, {}, [](const LegacyKey& key) { return std::pair(key.token.created_at, key.token.id); });
  return keys;
}

ControlResult<void> delete_legacy_key(OrgId org, ControlChange& change, std::string_view name) {
  GANTRY_CHECK(require_organisation_realm(change.who(), org));
  GANTRY_TRY(const std::vector<LegacyKey> keys, list_legacy_keys(org, change.tx(), change.now()));
  const auto found =
      std::ranges::find_if(keys, [&](const LegacyKey& key) { return key.token.name == name; });
  if (found == keys.end()) return refuse(Code::NotFound, "no such API key");
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE tokens SET revoked_at_ms = ?, revoked_by = ?, "
                                 "updated_at_ms = ? WHERE org_id = ? AND id = ?"));
  update.bind(change.now().since_epoch)
      .bind(change.who().actor.name)
      .bind(change.now().since_epoch)
      .bind(org.value())
      .bind(found->token.id);
  GANTRY_CHECK(update.run());
  change.record(org, "apikey.deleted", target_of(found->token));
  return {};
}

}  // namespace gantry::access
