#include "access/organisations.h"

#include <cstdint>
#include <limits>
#include <ranges>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "access/control_rows_internal.h"
#include "access/rows_internal.h"
#include "access/secrets/stored_secrets.h"
#include "access/session_rows.h"
#include "access/users.h"

namespace gantry::access {
namespace {

constexpr std::size_t kSlugCharactersMax = 63;
constexpr std::size_t kStacksNamedMax = 10;

constexpr std::string_view kSelectById =
    "SELECT id, slug, name, created_at_ms, updated_at_ms FROM organisations WHERE id = ? AND "
    "deleted_at_ms IS NULL";
constexpr std::string_view kSelectBySlug =
    "SELECT id, slug, name, created_at_ms, updated_at_ms FROM organisations WHERE slug = ? AND "
    "deleted_at_ms IS NULL";

Organisation read_row(const state::Statement& row) {
  return {.id = OrgId(row.integer(0)),
          .slug = std::string(row.text(1)),
          .name = std::string(row.text(2)),
          .created_at = {row.integer(3)},
          .updated_at = {row.integer(4)}};
}

void check_organisation_name(std::vector<FieldProblem>& problems, std::string_view name) {
  check_display_text(problems, "name", name);
  if (name.empty()) problems.push_back({.path = "name", .reason = "must not be empty"});
}

AuditTarget target_of(const Organisation& organisation) {
  return {.type = "org", .id = std::to_string(organisation.id.value()), .name = organisation.slug};
}

std::unexpected<ControlError> refuse_stacks(const Organisation& organisation,
                                            const std::vector<Stack>& stacks) {
  std::vector<std::string_view> slugs;
  for (const Stack& stack : stacks | std::views::take(kStacksNamedMax)) slugs.push_back(stack.slug);
  const std::string others = stacks.size() > slugs.size()
                                 ? fmt::format(" and {} more", stacks.size() - slugs.size())
                                 : std::string();
  return refuse(Code::FailedPrecondition,
                fmt::format("organisation \"{}\" has stacks ({}{}): delete them first",
                            organisation.slug, fmt::join(slugs, ", "), others));
}

/// Whoever loses a place loses the sessions as well, but who deletes: a super-admin stays one.
ControlResult<void> remove_members(OrgId org, ControlChange& change) {
  GANTRY_TRY(const std::vector<Member> members, list_members(change.tx(), org));
  for (const auto& [user, membership] : members) {
    GANTRY_CHECK(remove_membership(change.tx(), user.id, org));
    if (user.id == change.who().actor.id) {
      GANTRY_CHECK(make_rotation_due(change.tx(), user.id));
    } else {
      GANTRY_CHECK(remove_sessions(change.tx(), user.id, {}));
    }
    change.record(
        org, "member.removed", {.type = "user", .id = user.id, .name = user.login},
        {{.field = "role", .before = std::string(role_name(membership.role)), .after = {}}});
  }
  return {};
}

}  // namespace

Result<void> insert_organisation(state::Transaction& tx, Organisation& organisation) {
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO organisations (slug, name, created_at_ms, updated_at_ms) "
                        "VALUES (?, ?, ?, ?) RETURNING id"));
  insert.bind(organisation.slug)
      .bind(organisation.name)
      .bind(organisation.created_at.since_epoch)
      .bind(organisation.updated_at.since_epoch);
  GANTRY_TRY(const bool has_row, insert.step());
  GANTRY_ASSERT(has_row, "RETURNING gives a row for an inserted row");
  organisation.id = OrgId(insert.integer(0));
  return {};
}

ControlResult<Organisation> create_organisation(ControlChange& change, std::string_view slug,
                                                std::string_view name) {
  std::vector<FieldProblem> problems;
  check_name(problems, "slug", slug, kSlugCharactersMax);
  if (parse_identifier(slug))
    problems.push_back({.path = "slug", .reason = "must not be a number"});
  check_organisation_name(problems, name);
  if (!problems.empty()) return refuse_fields(std::move(problems));
  Organisation organisation{.id = {},
                            .slug = std::string(slug),
                            .name = std::string(name),
                            .created_at = change.now(),
                            .updated_at = change.now()};
  const auto inserted = insert_organisation(change.tx(), organisation);
  if (!inserted && inserted.error().code == Code::AlreadyExists)
    return refuse(Code::AlreadyExists,
                  fmt::format("an organisation with the slug \"{}\" exists", slug));
  GANTRY_CHECK(inserted);
  change.record(organisation.id, "org.created", target_of(organisation));
  return organisation;
}

ControlResult<Organisation> read_organisation(OrgId org, state::Transaction& tx) {
  GANTRY_TRY(state::Statement select, tx.prepare(kSelectById));
  select.bind(org.value());
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return refuse(Code::NotFound, "no such organisation");
  return read_row(select);
}

ControlResult<std::optional<Organisation>> look_up_organisation(state::Transaction& tx,
                                                                std::string_view slug_or_id) {
  const auto id = parse_identifier(slug_or_id);
  GANTRY_TRY(state::Statement select, tx.prepare(id ? kSelectById : kSelectBySlug));
  if (id)
    select.bind(*id);
  else
    select.bind(slug_or_id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return read_row(select);
}

ControlResult<std::vector<Organisation>> list_organisations(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT id, slug, name, created_at_ms, updated_at_ms FROM organisations "
                        "WHERE deleted_at_ms IS NULL ORDER BY id"));
  std::vector<Organisation> organisations;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return organisations;
    organisations.push_back(read_row(select));
  }
}

ControlResult<Organisation> rename_organisation(OrgId org, ControlChange& change,
                                                std::string_view name) {
  std::vector<FieldProblem> problems;
  check_organisation_name(problems, name);
  if (!problems.empty()) return refuse_fields(std::move(problems));
  GANTRY_TRY(Organisation organisation, read_organisation(org, change.tx()));
  GANTRY_TRY(
      state::Statement update,
      change.tx().prepare("UPDATE organisations SET name = ?, updated_at_ms = ? WHERE id = ?"));
  update.bind(name).bind(change.now().since_epoch).bind(org.value());
  GANTRY_CHECK(update.run());
  const std::string before = std::exchange(organisation.name, std::string(name));
  organisation.updated_at = change.now();
  change.record(org, "org.updated", target_of(organisation),
                {{.field = "name", .before = before, .after = organisation.name}});
  return organisation;
}

ControlResult<Organisation> delete_organisation(OrgId org, ControlChange& change) {
  GANTRY_TRY(Organisation organisation, read_organisation(org, change.tx()));
  GANTRY_TRY(const std::vector<Stack> stacks, list_stacks(org, change.tx()));
  if (!stacks.empty()) return refuse_stacks(organisation, stacks);
  PageStart all;
  all.limit = std::numeric_limits<std::int64_t>::max();
  GANTRY_TRY(const std::vector<Policy> policies, list_policies(org, change.tx(), {}, all));
  for (const Policy& policy : policies) GANTRY_CHECK(remove_policy(org, change, policy));
  GANTRY_CHECK(remove_members(org, change));
  {
    GANTRY_TRY(state::Statement remove,
               change.tx().prepare("DELETE FROM idempotent_requests WHERE org_id = ?"));
    remove.bind(org.value());
    GANTRY_CHECK(remove.run());
  }
  GANTRY_CHECK(erase_secrets(org, change.tx()));
  // '!' is in no slug, so the name is free again and the row can be told from living ones.
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE organisations SET slug = ?, deleted_at_ms = ?, "
                                 "updated_at_ms = ? WHERE id = ?"));
  update.bind(fmt::format("{}!{}", organisation.slug, org.value()))
      .bind(change.now().since_epoch)
      .bind(change.now().since_epoch)
      .bind(org.value());
  GANTRY_CHECK(update.run());
  change.record(org, "org.deleted", target_of(organisation));
  return organisation;
}

}  // namespace gantry::access
