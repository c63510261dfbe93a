#include "access/policies.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "access/ceiling.h"
#include "access/control_rows_internal.h"
#include "access/label_policy.h"
#include "access/policy_rules_internal.h"
#include "access/rows_internal.h"
#include "access/stacks.h"

namespace gantry::access {
namespace {

#define GANTRY_POLICY_COLUMNS                                                              \
  "SELECT p.id, p.org_id, p.name, p.display_name, p.status, p.source, p.allowed_subnets, " \
  "p.attributes, p.created_at_ms, p.updated_at_ms, p.owner_user_id FROM access_policies p "

Result<Policy> read_row(const state::Statement& row) {
  Policy policy{.id = std::string(row.text(0)),
                .org = OrgId(row.integer(1)),
                .name = std::string(row.text(2)),
                .display_name = std::string(row.text(3)),
                .scopes = {},
                .realms = {},
                .allowed_subnets = {},
                .attributes = std::string(row.text(7)),
                .is_active = row.text(4) == "active",
                .is_system = row.text(5) == "system",
                .created_at = {row.integer(8)},
                .updated_at = {row.integer(9)}};
  if (!row.is_null(10)) policy.owner = row.text(10);
  GANTRY_TRY(policy.allowed_subnets, parse_string_array(row.text(6)));
  return policy;
}

Result<void> read_parts(state::Transaction& tx, Policy& policy) {
  {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT s.scope FROM policy_scopes s JOIN access_policies p ON p.id = "
                          "s.policy_id WHERE p.org_id = ? AND p.id = ? ORDER BY s.position"));
    select.bind(policy.org.value()).bind(policy.id);
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) break;
      policy.scopes.emplace_back(select.text(0));
    }
  }
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT r.type, r.identifier, r.label_policies FROM policy_realms r JOIN "
                        "access_policies p ON p.id = r.policy_id WHERE p.org_id = ? AND p.id = ? "
                        "ORDER BY r.position"));
  select.bind(policy.org.value()).bind(policy.id);
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return {};
    Realm realm{.type = select.text(0) == "org" ? Realm::Type::Org : Realm::Type::Stack,
                .identifier = select.integer(1),
                .label_policies = {}};
    if (!select.is_null(2)) {
      GANTRY_TRY(realm.label_policies, parse_string_array(select.text(2)));
    }
    policy.realms.push_back(std::move(realm));
  }
}

Result<void> write_parts(state::Transaction& tx, const Policy& policy) {
  for (const std::string_view sql : {"DELETE FROM policy_scopes WHERE policy_id = ?",
                                     "DELETE FROM policy_realms WHERE policy_id = ?"}) {
    GANTRY_TRY(state::Statement remove, tx.prepare(sql));
    remove.bind(policy.id);
    GANTRY_CHECK(remove.run());
  }
  std::int64_t position = 0;
  for (const std::string& scope : policy.scopes) {
    GANTRY_TRY(
        state::Statement insert,
        tx.prepare("INSERT INTO policy_scopes (policy_id, position, scope) VALUES (?, ?, ?)"));
    insert.bind(policy.id).bind(position++).bind(scope);
    GANTRY_CHECK(insert.run());
  }
  position = 0;
  for (const Realm& realm : policy.realms) {
    GANTRY_TRY(state::Statement insert,
               tx.prepare("INSERT INTO policy_realms (policy_id, position, type, identifier, "
                          "label_policies) VALUES (?, ?, ?, ?, ?)"));
    insert.bind(policy.id)
        .bind(position++)
        .bind(realm_type_name(realm.type))
        .bind(realm.identifier);
    if (realm.label_policies)
      insert.bind(format_string_array(*realm.label_policies));
    else
      insert.bind_null();
    GANTRY_CHECK(insert.run());
  }
  return {};
}

std::vector<std::string> without_repetitions(const std::vector<std::string>& values) {
  std::vector<std::string> unique;
  for (const std::string& value : values)
    if (std::ranges::find(unique, value) == unique.end()) unique.push_back(value);
  return unique;
}

AuditTarget target_of(const Policy& policy) {
  return {.type = "accesspolicy", .id = policy.id, .name = policy.name};
}

Grantable grantable(const Policy& policy) {
  return {
      .scopes = policy.scopes, .realms = policy.realms, .allowed_subnets = policy.allowed_subnets};
}

std::string describe_realms(const std::vector<Realm>& realms) {
  std::vector<std::string> texts;
  for (const Realm& realm : realms)
    texts.push_back(fmt::format("{}:{}{}", realm_type_name(realm.type), realm.identifier,
                                realm.label_policies
                                    ? fmt::format(" {}", fmt::join(*realm.label_policies, " or "))
                                    : std::string()));
  return fmt::format("{}", fmt::join(texts, ","));
}

std::vector<AuditChange> differences(const Policy& before, const Policy& after) {
  std::vector<AuditChange> changes;
  const auto compare = [&](std::string_view field, std::string old_value, std::string new_value) {
    if (old_value != new_value)
      changes.push_back({.field = std::string(field),
                         .before = std::move(old_value),
                         .after = std::move(new_value)});
  };
  const auto join = [](const std::vector<std::string>& values) {
    return fmt::format("{}", fmt::join(values, ","));
  };
  compare("displayName", before.display_name, after.display_name);
  compare("scopes", join(before.scopes), join(after.scopes));
  compare("realms", describe_realms(before.realms), describe_realms(after.realms));
  compare("conditions.allowedSubnets", join(before.allowed_subnets), join(after.allowed_subnets));
  compare("attributes", before.attributes, after.attributes);
  compare("status", before.is_active ? "active" : "inactive",
          after.is_active ? "active" : "inactive");
  return changes;
}

ControlResult<void> require_user_policy(const Policy& policy) {
  if (!policy.is_system) return {};
  return refuse(Code::FailedPrecondition,
                fmt::format("policy \"{}\" is built in and cannot be changed", policy.name));
}

}  // namespace

ControlResult<void> check_policy_limit(OrgId org, ControlChange& change) {
  const std::uint32_t limit = change.plane().rules.policies_per_organisation_max;
  GANTRY_TRY(state::Statement select,
             change.tx().prepare("SELECT count(*) FROM access_policies WHERE org_id = ?"));
  select.bind(org.value());
  GANTRY_TRY(const bool has_row, select.step());
  const std::int64_t count = has_row ? select.integer(0) : 0;
  if (count < limit) return {};
  return refuse(Code::FailedPrecondition,
                fmt::format("the organisation has {} access policies, the limit is {} "
                            "(access.policies_per_organisation_max)",
                            count, limit));
}

Result<void> insert_policy(state::Transaction& tx, const Policy& policy) {
  {
    GANTRY_TRY(state::Statement insert,
               tx.prepare("INSERT INTO access_policies (id, org_id, name, display_name, status, "
                          "source, allowed_subnets, attributes, created_at_ms, updated_at_ms, "
                          "owner_user_id) VALUES (?, ?, ?, ?, 'active', ?, ?, ?, ?, ?, ?)"));
    insert.bind(policy.id)
        .bind(policy.org.value())
        .bind(policy.name)
        .bind(policy.display_name)
        .bind(std::string_view(policy.is_system ? "system" : "user"))
        .bind(format_string_array(policy.allowed_subnets))
        .bind(policy.attributes)
        .bind(policy.created_at.since_epoch)
        .bind(policy.updated_at.since_epoch);
    if (policy.owner.empty())
      insert.bind_null();
    else
      insert.bind(policy.owner);
    GANTRY_CHECK(insert.run());
  }
  return write_parts(tx, policy);
}

std::string_view realm_type_name(Realm::Type type) {
  return type == Realm::Type::Org ? "org" : "stack";
}

ControlResult<Policy> create_policy(OrgId org, ControlChange& change, const PolicyDraft& draft,
                                    PolicySource source) {
  GANTRY_CHECK(require_organisation_realm(change.who(), org));
  const ControlRules& rules = change.plane().rules;
  std::vector<FieldProblem> problems;
  check_name(problems, "name", draft.name);
  check_display_text(problems, "displayName", draft.display_name);
  if (source == PolicySource::User) check_scopes(problems, draft.scopes, rules);
  check_attributes(problems, draft.attributes);
  Policy policy{.id = make_uuid(),
                .org = org,
                .name = draft.name,
                .display_name = draft.display_name.empty() ? draft.name : draft.display_name,
                .scopes = without_repetitions(draft.scopes),
                .realms = {},
                .allowed_subnets = canonical_subnets(problems, draft.allowed_subnets),
                .attributes = draft.attributes,
                .is_active = true,
                .is_system = source == PolicySource::System,
                .created_at = change.now(),
                .updated_at = change.now()};
  if (!problems.empty()) return refuse_fields(std::move(problems));
  GANTRY_TRY(policy.realms, resolve_realms(org, change.tx(), draft.realms));
  GANTRY_CHECK(check_combination(policy.scopes, policy.realms));
  GANTRY_CHECK(check_ceiling(change.who(), org, grantable(policy)));
  GANTRY_CHECK(check_policy_limit(org, change));
  const auto inserted = insert_policy(change.tx(), policy);
  if (!inserted && inserted.error().code == Code::AlreadyExists)
    return refuse(Code::AlreadyExists,
                  fmt::format("an access policy with the name \"{}\" exists", policy.name));
  GANTRY_CHECK(inserted);
  change.record(
      org, "accesspolicy.created", target_of(policy),
      {{.field = "scopes", .before = {}, .after = fmt::format("{}", fmt::join(policy.scopes, ","))},
       {.field = "realms", .before = {}, .after = describe_realms(policy.realms)}});
  return policy;
}

ControlResult<Policy> read_policy(OrgId org, state::Transaction& tx, std::string_view id) {
  Policy policy;
  {
    GANTRY_TRY(state::Statement select,
               tx.prepare(GANTRY_POLICY_COLUMNS "WHERE p.org_id = ? AND p.id = ?"));
    select.bind(org.value()).bind(id);
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return refuse(Code::NotFound, "no such access policy");
    GANTRY_TRY(policy, read_row(select));
  }
  GANTRY_CHECK(read_parts(tx, policy));
  return policy;
}

ControlResult<std::optional<Policy>> find_policy_by_name(OrgId org, state::Transaction& tx,
                                                         std::string_view name) {
  Policy policy;
  {
    GANTRY_TRY(state::Statement select,
               tx.prepare(GANTRY_POLICY_COLUMNS "WHERE p.org_id = ? AND p.name = ?"));
    select.bind(org.value()).bind(name);
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return std::nullopt;
    GANTRY_TRY(policy, read_row(select));
  }
  GANTRY_CHECK(read_parts(tx, policy));
  return policy;
}

ControlResult<std::vector<Policy>> list_policies(OrgId org, state::Transaction& tx,
                                                 const PolicyFilter& filter,
                                                 const PageStart& page) {
  std::int64_t realm_id = 0;
  if (!filter.realm_identifier.empty()) {
    if (const auto number = parse_identifier(filter.realm_identifier)) {
      realm_id = *number;
    } else {
      const auto stack = read_stack(org, tx, filter.realm_identifier);
      if (!stack) return std::vector<Policy>();
      realm_id = stack->id.value();
    }
  }
  std::vector<Policy> policies;
  {
    GANTRY_TRY(
        state::Statement select,
        tx.prepare(GANTRY_POLICY_COLUMNS
                   "WHERE p.org_id = ? AND (CAST(? AS TEXT) = '' OR p.name = ?) AND (CAST(? AS "
                   "TEXT) = '' OR p.status = ?) AND (CAST(? AS TEXT) = '' OR p.owner_user_id = ?) "
                   "AND EXISTS (SELECT 1 FROM policy_realms r WHERE "
                   "r.policy_id = p.id AND (CAST(? AS TEXT) = '' OR r.type = ?) AND (CAST(? AS "
                   "BIGINT) = 0 OR r.identifier = ?)) AND (p.created_at_ms, p.id) > (?, ?) ORDER "
                   "BY p.created_at_ms, p.id LIMIT ?"));
    select.bind(org.value())
        .bind(filter.name)
        .bind(filter.name)
        .bind(filter.status)
        .bind(filter.status)
        .bind(filter.owner)
        .bind(filter.owner)
        .bind(filter.realm_type)
        .bind(filter.realm_type)
        .bind(realm_id)
        .bind(realm_id)
        .bind(page.after_created_at.since_epoch)
        .bind(page.after_id)
        .bind(page.limit);
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) break;
      GANTRY_TRY(Policy policy, read_row(select));
      policies.push_back(std::move(policy));
    }
  }
  for (Policy& policy : policies) GANTRY_CHECK(read_parts(tx, policy));
  return policies;
}

#undef GANTRY_POLICY_COLUMNS

ControlResult<Policy> update_policy(OrgId org, ControlChange& change, std::string_view id,
                                    const PolicyChanges& changes) {
  GANTRY_CHECK(require_organisation_realm(change.who(), org));
  GANTRY_TRY(const Policy before, read_policy(org, change.tx(), id));
  GANTRY_CHECK(require_user_policy(before));
  Policy after = before;
  std::vector<FieldProblem> problems;
  if (changes.display_name) {
    check_display_text(problems, "displayName", *changes.display_name);
    after.display_name = changes.display_name->empty() ? after.name : *changes.display_name;
  }
  if (changes.scopes) {
    check_scopes(problems, *changes.scopes, change.plane().rules);
    after.scopes = without_repetitions(*changes.scopes);
  }
  if (changes.allowed_subnets)
    after.allowed_subnets = canonical_subnets(problems, *changes.allowed_subnets);
  if (changes.attributes) {
    check_attributes(problems, *changes.attributes);
    after.attributes = *changes.attributes;
  }
  if (changes.is_active) after.is_active = *changes.is_active;
  after.updated_at = change.now();
  if (!problems.empty()) return refuse_fields(std::move(problems));
  if (changes.realms) {
    GANTRY_TRY(after.realms, resolve_realms(org, change.tx(), *changes.realms));
  }
  GANTRY_CHECK(check_combination(after.scopes, after.realms));
  // Also what it was: else a weaker token could take a stronger one's policy away from it.
  GANTRY_CHECK(check_ceiling(change.who(), org, grantable(before)));
  GANTRY_CHECK(check_ceiling(change.who(), org, grantable(after)));
  {
    GANTRY_TRY(state::Statement update,
               change.tx().prepare("UPDATE access_policies SET display_name = ?, status = ?, "
                                   "allowed_subnets = ?, attributes = ?, updated_at_ms = ? WHERE "
                                   "org_id = ? AND id = ?"));
    update.bind(after.display_name)
        .bind(std::string_view(after.is_active ? "active" : "inactive"))
        .bind(format_string_array(after.allowed_subnets))
        .bind(after.attributes)
        .bind(after.updated_at.since_epoch)
        .bind(org.value())
        .bind(after.id);
    GANTRY_CHECK(update.run());
  }
  GANTRY_CHECK(write_parts(change.tx(), after));
  change.record(
      org,
      before.is_active == after.is_active ? "accesspolicy.updated" : "accesspolicy.status_changed",
      target_of(after), differences(before, after));
  return after;
}

ControlResult<void> remove_policy(OrgId org, ControlChange& change, const Policy& policy) {
  {
    GANTRY_TRY(state::Statement select,
               change.tx().prepare("SELECT id, name, kind FROM tokens WHERE org_id = ? AND "
                                   "policy_id = ? AND revoked_at_ms IS NULL ORDER BY "
                                   "created_at_ms, id"));
    select.bind(org.value()).bind(policy.id);
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) break;
      const bool is_legacy = select.text(2) == token_kind_name(TokenKind::Legacy);
      change.record(org, is_legacy ? "apikey.deleted" : "token.revoked",
                    {.type = is_legacy ? "apikey" : "token",
                     .id = std::string(select.text(0)),
                     .name = std::string(select.text(1))});
    }
  }
  // The foreign keys take scopes, realms and tokens with it.
  GANTRY_TRY(state::Statement remove,
             change.tx().prepare("DELETE FROM access_policies WHERE org_id = ? AND id = ?"));
  remove.bind(org.value()).bind(policy.id);
  GANTRY_CHECK(remove.run());
  change.record(org, "accesspolicy.deleted", target_of(policy));
  return {};
}

ControlResult<void> delete_policy(OrgId org, ControlChange& change, std::string_view id) {
  GANTRY_CHECK(require_organisation_realm(change.who(), org));
  GANTRY_TRY(const Policy policy, read_policy(org, change.tx(), id));
  GANTRY_CHECK(require_user_policy(policy));
  return remove_policy(org, change, policy);
}

std::vector<std::string> policy_warnings(const Policy& policy) {
  std::vector<std::string> warnings;
  for (const Realm& realm : policy.realms) {
    if (!realm.label_policies) continue;
    const auto policies = LabelPolicySet::parse(*realm.label_policies);
    if (!policies) continue;
    for (std::string& warning : label_policy_warnings(*policies, std::nullopt))
      warnings.push_back(fmt::format("{} {}: {}", realm_type_name(realm.type), realm.identifier,
                                     std::move(warning)));
  }
  return warnings;
}

}  // namespace gantry::access
