#include "access/stacks.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "access/control_rows_internal.h"
#include "access/rows_internal.h"
#include "core/json_writer.h"

namespace gantry::access {
namespace {

constexpr std::size_t kSlugCharactersMax = 63;
constexpr std::size_t kZoneCharactersMax = 40;
constexpr std::size_t kLabelsMax = 10;

#define GANTRY_STACK_COLUMNS                                                                      \
  "SELECT s.id, s.org_id, s.slug, s.name, s.zone, s.description, s.labels, s.delete_protection, " \
  "s.settings, s.created_at_ms, s.updated_at_ms, "                                                \
  "(SELECT a.id FROM stack_aliases a WHERE a.stack_id = s.id AND a.signal = 'metrics'), "         \
  "(SELECT a.id FROM stack_aliases a WHERE a.stack_id = s.id AND a.signal = 'logs'), "            \
  "(SELECT a.id FROM stack_aliases a WHERE a.stack_id = s.id AND a.signal = 'traces') "           \
  "FROM stacks s "

/// Labels that cannot be read are shown as none: nothing depends on them.
std::map<std::string, std::string> parse_labels(std::string_view text) {
  std::map<std::string, std::string> labels;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return labels;
  for (const auto& [name, value] : json.items())
    if (value.is_string()) labels.emplace(name, value.get<std::string>());
  return labels;
}

std::string format_labels(const std::map<std::string, std::string>& labels) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_object();
  for (const auto& [name, value] : labels) json.key(name).string(value);
  json.end_object();
  return text;
}

std::optional<std::uint32_t> alias(const state::Statement& row, int column) {
  const auto id = row.optional_integer(column);
  if (!id) return std::nullopt;
  return static_cast<std::uint32_t>(*id);
}

Result<Stack> read_row(const state::Statement& row) {
  auto settings = parse_stack_settings(row.text(8), "settings");
  if (!settings)
    return fail(Code::DataLoss, fmt::format("settings of stack {} in the state database: {}",
                                            row.integer(0), settings.error().message));
  return Stack{
      .id = StackId(static_cast<std::uint32_t>(row.integer(0))),
      .org = OrgId(row.integer(1)),
      .slug = std::string(row.text(2)),
      .name = std::string(row.text(3)),
      .zone = std::string(row.text(4)),
      .description = std::string(row.text(5)),
      .labels = parse_labels(row.text(6)),
      .has_delete_protection = row.integer(7) != 0,
      .settings = *std::move(settings),
      .aliases = {.metrics = alias(row, 11), .logs = alias(row, 12), .traces = alias(row, 13)},
      .created_at = {row.integer(9)},
      .updated_at = {row.integer(10)}};
}

Result<std::vector<Stack>> read_rows(state::Statement& select) {
  std::vector<Stack> stacks;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return stacks;
    GANTRY_TRY(Stack stack, read_row(select));
    stacks.push_back(std::move(stack));
  }
}

void check_texts(std::vector<FieldProblem>& problems, std::string_view name,
                 std::string_view description, const std::map<std::string, std::string>& labels) {
  check_display_text(problems, "name", name);
  check_display_text(problems, "description", description);
  if (labels.size() > kLabelsMax)
    problems.push_back(
        {.path = "labels", .reason = fmt::format("must be at most {} labels", kLabelsMax)});
  for (const auto& [key, value] : labels) {
    check_display_text(problems, "labels", key);
    check_display_text(problems, fmt::format("labels.{}", key), value);
  }
}

AuditTarget target_of(const Stack& stack) {
  return {.type = "stack", .id = std::to_string(stack.id.value()), .name = stack.slug};
}

std::vector<AuditChange> differences(const Stack& before, const Stack& after) {
  std::vector<AuditChange> changes;
  const auto compare = [&](std::string_view field, std::string old_value, std::string new_value) {
    if (old_value != new_value)
      changes.push_back({.field = std::string(field),
                         .before = std::move(old_value),
                         .after = std::move(new_value)});
  };
  const auto yes_or_no = [](bool value) { return std::string(value ? "true" : "false"); };
  compare("name", before.name, after.name);
  compare("description", before.description, after.description);
  compare("labels", format_labels(before.labels), format_labels(after.labels));
  compare("deleteProtection", yes_or_no(before.has_delete_protection),
          yes_or_no(after.has_delete_protection));
  const auto number = [](const std::optional<std::uint32_t>& id) {
    return id ? std::to_string(*id) : std::string();
  };
  compare("metricsId", number(before.aliases.metrics), number(after.aliases.metrics));
  compare("logsId", number(before.aliases.logs), number(after.aliases.logs));
  compare("tracesId", number(before.aliases.traces), number(after.aliases.traces));
  compare("settings", format_stack_settings(before.settings),
          format_stack_settings(after.settings));
  return changes;
}

/// Above all that were ever given, and no alias of any stack.
Result<std::int64_t> next_instance_id(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select, tx.prepare("SELECT coalesce(max(id) + 1, ?) FROM stacks"));
  select.bind(kFirstStackId.value());
  GANTRY_TRY(const bool has_row, select.step());
  GANTRY_ASSERT(has_row, "an aggregate gives a row");
  for (std::int64_t id = select.integer(0);; ++id) {
    GANTRY_TRY(state::Statement find, tx.prepare("SELECT 1 FROM stack_aliases WHERE id = ?"));
    find.bind(id);
    GANTRY_TRY(const bool is_taken, find.step());
    if (!is_taken) return id;
  }
}

}  // namespace

Result<void> insert_stack(state::Transaction& tx, Stack& stack) {
  // Also above the ids of deleted stacks, whose rows stay.
  GANTRY_TRY(const std::int64_t id, next_instance_id(tx));
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO stacks (id, org_id, slug, name, zone, description, labels, "
                        "delete_protection, settings, created_at_ms, updated_at_ms) VALUES "
                        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.bind(id)
      .bind(stack.org.value())
      .bind(stack.slug)
      .bind(stack.name)
      .bind(stack.zone)
      .bind(stack.description)
      .bind(format_labels(stack.labels))
      .bind(stack.has_delete_protection ? 1 : 0)
      .bind(format_stack_settings(stack.settings))
      .bind(stack.created_at.since_epoch)
      .bind(stack.updated_at.since_epoch);
  GANTRY_CHECK(insert.run());
  stack.id = StackId(static_cast<std::uint32_t>(id));
  return {};
}

ControlResult<Stack> create_stack(OrgId org, ControlChange& change, const StackDraft& draft) {
  Stack stack{.id = {},
              .org = org,
              .slug = draft.slug,
              .name = draft.name.empty() ? draft.slug : draft.name,
              .zone = draft.zone.empty() ? change.plane().rules.zone : draft.zone,
              .description = draft.description,
              .labels = draft.labels,
              .has_delete_protection = draft.has_delete_protection,
              .settings = draft.settings,
              .created_at = change.now(),
              .updated_at = change.now()};
  std::vector<FieldProblem> problems;
  check_name(problems, "slug", stack.slug, kSlugCharactersMax);
  if (parse_identifier(stack.slug))
    problems.push_back({.path = "slug", .reason = "must not be a number"});
  check_name(problems, "region", stack.zone, kZoneCharactersMax);
  check_texts(problems, stack.name, stack.description, stack.labels);
  if (!problems.empty()) return refuse_fields(std::move(problems));
  const auto inserted = insert_stack(change.tx(), stack);
  if (!inserted && inserted.error().code == Code::AlreadyExists)
    return refuse(Code::AlreadyExists,
                  fmt::format("a stack with the slug \"{}\" exists", stack.slug));
  GANTRY_CHECK(inserted);
  GANTRY_TRY(stack.aliases, change_stack_aliases(org, change, stack.id, {}, draft.aliases));
  change.record(org, "stack.created", target_of(stack), {}, stack.id);
  return stack;
}

ControlResult<Stack> read_stack(OrgId org, state::Transaction& tx, std::string_view slug_or_id) {
  const auto id = parse_identifier(slug_or_id);
  GANTRY_TRY(state::Statement select,
             tx.prepare(id ? GANTRY_STACK_COLUMNS
                            "WHERE s.org_id = ? AND s.id = ? AND s.status <> 'deleted'"
                           : GANTRY_STACK_COLUMNS
                            "WHERE s.org_id = ? AND s.slug = ? AND s.status <> 'deleted'"));
  select.bind(org.value());
  if (id)
    select.bind(*id);
  else
    select.bind(slug_or_id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return refuse(Code::NotFound, "no such stack");
  GANTRY_TRY(Stack stack, read_row(select));
  return stack;
}

ControlResult<std::vector<Stack>> list_stacks(OrgId org, state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_STACK_COLUMNS
                        "WHERE s.org_id = ? AND s.status <> 'deleted' ORDER BY s.id"));
  select.bind(org.value());
  GANTRY_TRY(std::vector<Stack> stacks, read_rows(select));
  return stacks;
}

Result<std::vector<Stack>> list_all_stacks(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_STACK_COLUMNS "WHERE s.status <> 'deleted' ORDER BY s.id"));
  return read_rows(select);
}

#undef GANTRY_STACK_COLUMNS

Result<std::vector<StackId>> list_deleted_stacks(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT id FROM stacks WHERE status = 'deleted' ORDER BY id"));
  std::vector<StackId> ids;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return ids;
    ids.emplace_back(static_cast<std::uint32_t>(select.integer(0)));
  }
}

ControlResult<Stack> update_stack(OrgId org, ControlChange& change, std::string_view slug_or_id,
                                  const StackChanges& changes) {
  GANTRY_TRY(const Stack before, read_stack(org, change.tx(), slug_or_id));
  Stack after = before;
  if (changes.name) after.name = changes.name->empty() ? after.slug : *changes.name;
  if (changes.description) after.description = *changes.description;
  if (changes.labels) after.labels = *changes.labels;
  if (changes.has_delete_protection) after.has_delete_protection = *changes.has_delete_protection;
  if (changes.settings) after.settings = *changes.settings;
  after.updated_at = change.now();
  std::vector<FieldProblem> problems;
  check_texts(problems, after.name, after.description, after.labels);
  if (!problems.empty()) return refuse_fields(std::move(problems));
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE stacks SET name = ?, description = ?, labels = ?, "
                                 "delete_protection = ?, settings = ?, updated_at_ms = ? "
                                 "WHERE org_id = ? AND id = ?"));
  update.bind(after.name)
      .bind(after.description)
      .bind(format_labels(after.labels))
      .bind(after.has_delete_protection ? 1 : 0)
      .bind(format_stack_settings(after.settings))
      .bind(after.updated_at.since_epoch)
      .bind(org.value())
      .bind(after.id.value());
  GANTRY_CHECK(update.run());
  GANTRY_TRY(after.aliases,
             change_stack_aliases(org, change, after.id, before.aliases, changes.aliases));
  change.record(org, "stack.updated", target_of(after), differences(before, after), after.id);
  return after;
}

ControlResult<Stack> delete_stack(OrgId org, ControlChange& change, std::string_view slug_or_id) {
  GANTRY_TRY(Stack stack, read_stack(org, change.tx(), slug_or_id));
  if (stack.has_delete_protection)
    return refuse(Code::FailedPrecondition,
                  fmt::format("stack \"{}\" has delete protection: switch deleteProtection off "
                              "first",
                              stack.slug));
  // '!' is in no slug, so the name is free again and the row can be told from living ones.
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE stacks SET status = 'deleted', slug = ?, updated_at_ms = "
                                 "? WHERE org_id = ? AND id = ?"));
  update.bind(fmt::format("{}!{}", stack.slug, stack.id.value()))
      .bind(change.now().since_epoch)
      .bind(org.value())
      .bind(stack.id.value());
  GANTRY_CHECK(update.run());
  GANTRY_CHECK(remove_stack_aliases(org, change.tx(), stack.id));
  change.record(org, "stack.deleted", target_of(stack), {}, stack.id);
  return stack;
}

}  // namespace gantry::access
