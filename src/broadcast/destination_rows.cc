#include "broadcast/destination_rows.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "access/ceiling.h"
#include "access/stacks.h"
#include "access/token.h"
#include "broadcast/destination_audit_internal.h"
#include "broadcast/replay_rows.h"
#include "core/json_writer.h"
#include "pipeline/relabel_json.h"
#include "pipeline/stream_aggregation.h"

namespace gantry::broadcast {
namespace {

using access::ControlChange;
using access::ControlResult;
using access::SealPlace;
using access::Secret;
using access::StoredSecrets;

constexpr std::string_view kTable = "destinations";
constexpr std::string_view kHeaders = "headers";
constexpr double kRateBillionths = 1e9;

#define GANTRY_DESTINATION_COLUMNS                                                                \
  "SELECT d.id, d.stack_id, d.type, d.name, d.is_enabled, d.is_private, "                         \
  "d.sampling_rate_billionths, d.api_key_hashes, d.excluded_api_key_hashes, d.filter_rules, "     \
  "d.has_generation_cost, d.has_generation_identity, d.has_generation_request, d.config, "        \
  "d.version, d.created_at_ms, d.updated_at_ms, d.attribute_rules, "                              \
  "d.metric_relabel_configs, d.stream_aggregation FROM destinations d JOIN stacks s ON "          \
  "s.id = d.stack_id AND s.org_id = d.org_id WHERE d.org_id = ? AND d.deleted_at_ms IS NULL AND " \
  "s.status <> 'deleted' "

std::string format_texts(const std::vector<std::string>& texts) {
  std::string json;
  core::JsonWriter writer(json);
  writer.begin_array();
  for (const std::string& text : texts) writer.string(text);
  writer.end_array();
  return json;
}

std::unexpected<Error> damaged(std::string_view id, std::string_view what) {
  return fail(Code::DataLoss, fmt::format("destination {}: its {} cannot be read", id, what));
}

Result<std::vector<std::string>> parse_texts(std::string_view id, std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::array array;
  const simdjson::padded_string padded(json);
  if (parser.parse(padded).get(array) != simdjson::SUCCESS) return damaged(id, "keys");
  std::vector<std::string> texts;
  for (const simdjson::dom::element item : array) {
    std::string_view text;
    if (item.get(text) != simdjson::SUCCESS) return damaged(id, "keys");
    texts.emplace_back(text);
  }
  return texts;
}

/// Null stays "none".
template <class Rules>
Result<void> read_rules(const state::Statement& row, int column, std::string_view what,
                        const Destination& of, std::string& json_out, Rules& rules_out,
                        Result<Rules> (*parse)(std::string_view)) {
  if (row.is_null(column)) return {};
  json_out = row.text(column);
  auto rules = parse(json_out);
  if (!rules) return damaged(of.id, what);
  rules_out = *std::move(rules);
  return {};
}

void bind_rules(state::Statement& statement, const std::string& json) {
  if (json.empty())
    statement.bind_null();
  else
    statement.bind(json);
}

Result<StoredDestination> read_row(const state::Statement& row) {
  StoredDestination stored;
  Destination& out = stored.destination;
  out.id = row.text(0);
  out.stack = static_cast<std::uint32_t>(row.integer(1));
  const auto type = parse_destination_type(row.text(2));
  if (!type) return damaged(out.id, "type");
  out.type = *type;
  out.name = row.text(3);
  out.is_enabled = row.integer(4) != 0;
  out.is_private = row.integer(5) != 0;
  out.sampling_rate = static_cast<double>(row.integer(6)) / kRateBillionths;
  if (!row.is_null(7)) {
    GANTRY_TRY(out.api_key_hashes, parse_texts(out.id, row.text(7)));
  }
  GANTRY_TRY(out.excluded_api_key_hashes, parse_texts(out.id, row.text(8)));
  GANTRY_CHECK(read_rules(row, 9, "filter rules", out, out.filter_rules_json, out.filter_rules,
                          FilterRules::parse));
  out.extras = {.cost = row.integer(10) != 0,
                .identity = row.integer(11) != 0,
                .request_context = row.integer(12) != 0};
  GANTRY_TRY(MaskedConfig masked, parse_masked_config(out.type, row.text(13)));
  out.config = std::move(masked.config);
  stored.masks = std::move(masked.masks);
  stored.version = row.integer(14);
  out.created_at = TimestampMs{row.integer(15)};
  out.updated_at = TimestampMs{row.integer(16)};
  GANTRY_CHECK(read_rules(row, 17, "attribute rules", out, out.attribute_rules_json,
                          out.attribute_rules, AttributeRules::parse));
  GANTRY_CHECK(read_rules(row, 18, "relabelling", out, out.metric_relabel_json, out.metric_relabel,
                          pipeline::parse_relabel_rules));
  if (!row.is_null(19)) {
    out.stream_aggregation_json = row.text(19);
    if (!pipeline::check_stream_aggregation(out.stream_aggregation_json))
      return damaged(out.id, "stream aggregation");
  }
  return stored;
}

std::string format_config(const Destination& destination, const SecretMasks& masks) {
  std::string text;
  core::JsonWriter json(text);
  write_config(json, destination.type, destination.config, masks);
  return text;
}

void bind_settings(state::Statement& statement, const StoredDestination& stored) {
  const Destination& destination = stored.destination;
  statement.bind(destination_type_name(destination.type))
      .bind(destination.name)
      .bind(destination.is_enabled ? 1 : 0)
      .bind(destination.is_private ? 1 : 0)
      .bind(std::llround(destination.sampling_rate * kRateBillionths));
  if (destination.api_key_hashes)
    statement.bind(format_texts(*destination.api_key_hashes));
  else
    statement.bind_null();
  statement.bind(format_texts(destination.excluded_api_key_hashes));
  bind_rules(statement, destination.filter_rules_json);
  bind_rules(statement, destination.attribute_rules_json);
  bind_rules(statement, destination.metric_relabel_json);
  bind_rules(statement, destination.stream_aggregation_json);
  statement.bind(destination.extras.cost ? 1 : 0)
      .bind(destination.extras.identity ? 1 : 0)
      .bind(destination.extras.request_context ? 1 : 0)
      .bind(format_config(destination, stored.masks))
      .bind(stored.version)
      .bind(destination.updated_at.since_epoch);
}

SealPlace place_of(OrgId org, const Destination& destination, std::string_view column) {
  return {.org = org, .table = kTable, .column = column, .row = destination.id};
}

/// Sets, replaces or erases one secret; null: it is as before.
ControlResult<std::optional<access::AuditChange>> save_secret(ControlChange& change,
                                                              const StoredSecrets& secrets,
                                                              const SealPlace& place,
                                                              const std::string& clear) {
  if (clear.empty()) {
    GANTRY_TRY(auto erased, access::erase_secret(change.tx(), place));
    return erased;
  }
  GANTRY_TRY(const std::optional<Secret> before, secrets.open(change.tx(), place));
  if (before && before->view() == clear) return std::nullopt;
  GANTRY_TRY(auto changed, secrets.set(change.tx(), place, Secret::copy_of(clear), change.now()));
  return std::optional(std::move(changed));
}

/// The audit's changes. `is_new_type`: what is stored belongs to fields that are no more.
ControlResult<std::vector<access::AuditChange>> save_secrets(OrgId org, ControlChange& change,
                                                             const StoredSecrets& secrets,
                                                             const Destination& destination,
                                                             bool is_new_type) {
  std::vector<access::AuditChange> changes;
  if (is_new_type) GANTRY_CHECK(access::erase_secrets(org, change.tx(), kTable, destination.id));
  const auto save = [&](std::string_view column, const std::string& clear) -> ControlResult<void> {
    GANTRY_TRY(auto changed,
               save_secret(change, secrets, place_of(org, destination, column), clear));
    if (changed) {
      changed->field = fmt::format("config.{}", changed->field);
      changes.push_back(*std::move(changed));
    }
    return {};
  };
  const DestinationConfig& config = destination.config;
  if (const std::string_view field = config_field_names(destination.type).secret; !field.empty())
    GANTRY_CHECK(save(field, config.secret));
  GANTRY_CHECK(save(kHeaders, config.headers.empty() ? "" : format_headers(config.headers)));
  return changes;
}

void drop_secrets(DestinationConfig& config) {
  config.secret.clear();
  config.headers.clear();
}

ControlResult<void> check_limit(OrgId org, ControlChange& change, const Destination& destination) {
  GANTRY_TRY(state::Statement select,
             change.tx().prepare("SELECT count(*) FROM destinations WHERE org_id = ? AND stack_id "
                                 "= ? AND type = ? AND deleted_at_ms IS NULL"));
  select.bind(org.value()).bind(destination.stack).bind(destination_type_name(destination.type));
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row || select.integer(0) < static_cast<std::int64_t>(kDestinationsPerTypeMax)) return {};
  return access::refuse(Code::FailedPrecondition,
                        fmt::format("the stack has {} destinations of the type {}, which is the "
                                    "limit",
                                    select.integer(0), destination_type_name(destination.type)));
}

ControlResult<void> insert_row(OrgId org, ControlChange& change, const StoredDestination& stored) {
  GANTRY_TRY(
      state::Statement insert,
      change.tx().prepare(
          "INSERT INTO destinations (type, name, is_enabled, is_private, "
          "sampling_rate_billionths, api_key_hashes, excluded_api_key_hashes, filter_rules, "
          "attribute_rules, metric_relabel_configs, stream_aggregation, has_generation_cost, "
          "has_generation_identity, has_generation_request, config, version, updated_at_ms, id, "
          "org_id, stack_id, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
          "?, ?, ?, ?, ?, ?)"));
  bind_settings(insert, stored);
  insert.bind(stored.destination.id)
      .bind(org.value())
      .bind(stored.destination.stack)
      .bind(stored.destination.created_at.since_epoch);
  GANTRY_CHECK(insert.run());
  return {};
}

ControlResult<void> update_row(OrgId org, ControlChange& change, const StoredDestination& stored) {
  GANTRY_TRY(state::Statement update,
             change.tx().prepare(
                 "UPDATE destinations SET type = ?, name = ?, is_enabled = ?, is_private = ?, "
                 "sampling_rate_billionths = ?, api_key_hashes = ?, excluded_api_key_hashes = ?, "
                 "filter_rules = ?, attribute_rules = ?, metric_relabel_configs = ?, "
                 "stream_aggregation = ?, has_generation_cost = ?, has_generation_identity = ?, "
                 "has_generation_request = ?, config = ?, version = ?, updated_at_ms = ? WHERE "
                 "org_id = ? AND id = ?"));
  bind_settings(update, stored);
  update.bind(org.value()).bind(stored.destination.id);
  GANTRY_CHECK(update.run());
  return {};
}

/// `why`: of the end of its replays.
ControlResult<void> remove_row(OrgId org, ControlChange& change, const Destination& destination,
                               std::string_view why) {
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE destinations SET deleted_at_ms = ?, updated_at_ms = ?, "
                                 "version = version + 1 WHERE org_id = ? AND id = ?"));
  update.bind(change.now().since_epoch)
      .bind(change.now().since_epoch)
      .bind(org.value())
      .bind(destination.id);
  GANTRY_CHECK(update.run());
  GANTRY_CHECK(access::erase_secrets(org, change.tx(), kTable, destination.id));
  GANTRY_CHECK(cancel_replays(org, change, destination.id, why));
  record_deleted(org, change, destination);
  return {};
}

}  // namespace

ControlResult<StoredDestination> create_destination(OrgId org, ControlChange& change,
                                                    const StoredSecrets& secrets,
                                                    const Destination& draft, Verified verified) {
  const StackId stack(draft.stack);
  GANTRY_CHECK(access::read_stack(org, change.tx(), std::to_string(stack.value())));
  GANTRY_CHECK(access::require_whole_stack(change.who(), org, stack));
  GANTRY_CHECK(check_limit(org, change, draft));
  StoredDestination stored{.destination = draft, .masks = masks_of(draft.config), .version = 1};
  Destination& made = stored.destination;
  made.id = access::make_uuid();
  made.created_at = change.now();
  made.updated_at = change.now();
  GANTRY_TRY(std::vector<access::AuditChange> secret_changes,
             save_secrets(org, change, secrets, made, false));
  drop_secrets(made.config);
  GANTRY_CHECK(insert_row(org, change, stored));
  record_created(org, change, made, std::move(secret_changes), verified == Verified::Yes);
  return stored;
}

ControlResult<StoredDestination> read_destination(OrgId org, state::Transaction& tx,
                                                  std::string_view id) {
  GANTRY_TRY(state::Statement select, tx.prepare(GANTRY_DESTINATION_COLUMNS "AND d.id = ?"));
  select.bind(org.value()).bind(id);
  // An id that cannot be bound (NUL, not UTF-8) is no destination's.
  const Result<bool> has_row = select.step();
  if (!has_row && has_row.error().code != Code::InvalidArgument)
    return std::unexpected(access::ControlError(has_row.error()));
  if (!has_row || !*has_row) return access::refuse(Code::NotFound, "no such destination");
  GANTRY_TRY(StoredDestination stored, read_row(select));
  return stored;
}

ControlResult<std::vector<StoredDestination>> list_destinations(OrgId org, state::Transaction& tx,
                                                                StackId stack, std::size_t offset,
                                                                std::size_t limit) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_DESTINATION_COLUMNS
                        "AND d.stack_id = ? ORDER BY d.created_at_ms, d.id LIMIT ? OFFSET ?"));
  select.bind(org.value()).bind(stack.value()).bind(limit).bind(offset);
  std::vector<StoredDestination> destinations;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return destinations;
    GANTRY_TRY(StoredDestination stored, read_row(select));
    destinations.push_back(std::move(stored));
  }
}

#undef GANTRY_DESTINATION_COLUMNS

ControlResult<std::size_t> count_destinations(OrgId org, state::Transaction& tx, StackId stack) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT count(*) FROM destinations WHERE org_id = ? AND stack_id = ? AND "
                        "deleted_at_ms IS NULL"));
  select.bind(org.value()).bind(stack.value());
  GANTRY_TRY(const bool has_row, select.step());
  return has_row ? static_cast<std::size_t>(select.integer(0)) : 0;
}

ControlResult<Destination> open_destination(OrgId org, state::Transaction& tx,
                                            const StoredSecrets& secrets,
                                            const StoredDestination& stored) {
  Destination opened = stored.destination;
  const auto open = [&](std::string_view column) -> Result<std::string> {
    GANTRY_TRY(const std::optional<Secret> secret,
               secrets.open(tx, place_of(org, stored.destination, column)));
    if (!secret) return damaged(opened.id, column);
    return std::string(secret->view());
  };
  if (!stored.masks.secret.empty()) {
    GANTRY_TRY(opened.config.secret, open(config_field_names(opened.type).secret));
  }
  if (!stored.masks.headers.empty()) {
    GANTRY_TRY(const std::string headers, open(kHeaders));
    GANTRY_TRY(opened.config.headers, parse_headers(headers));
  }
  return opened;
}

ControlResult<StoredDestination> update_destination(OrgId org, ControlChange& change,
                                                    const StoredSecrets& secrets,
                                                    const DestinationUpdate& update) {
  GANTRY_TRY(const StoredDestination before, read_destination(org, change.tx(), update.after.id));
  const Destination& old = before.destination;
  GANTRY_CHECK(access::require_whole_stack(change.who(), org, StackId(old.stack)));
  if (before.version != update.version)
    return access::refuse(Code::AlreadyExists, "somebody else has just changed the destination");
  StoredDestination after{
      .destination = update.after, .masks = before.masks, .version = before.version + 1};
  after.destination.stack = old.stack;
  after.destination.created_at = old.created_at;
  after.destination.updated_at = change.now();
  std::vector<access::AuditChange> secret_changes;
  if (update.config == ConfigChange::Replaced) {
    after.masks = masks_of(update.after.config);
    const bool is_new_type = update.after.type != old.type;
    if (is_new_type) GANTRY_CHECK(check_limit(org, change, update.after));
    GANTRY_TRY(secret_changes, save_secrets(org, change, secrets, after.destination, is_new_type));
    drop_secrets(after.destination.config);
  } else {
    after.destination.type = old.type;
    after.destination.config = old.config;
  }
  if (!record_updated(org, change, old, after.destination, std::move(secret_changes),
                      update.verified == Verified::Yes))
    return before;
  GANTRY_CHECK(update_row(org, change, after));
  GANTRY_CHECK(cancel_untaken_replays(org, change, after.destination));
  return after;
}

ControlResult<void> delete_destination(OrgId org, ControlChange& change, std::string_view id) {
  GANTRY_TRY(const StoredDestination stored, read_destination(org, change.tx(), id));
  GANTRY_CHECK(access::require_whole_stack(change.who(), org, StackId(stored.destination.stack)));
  return remove_row(org, change, stored.destination, "the destination was deleted");
}

ControlResult<void> delete_destinations(OrgId org, ControlChange& change, StackId stack) {
  GANTRY_CHECK(access::require_whole_stack(change.who(), org, stack));
  GANTRY_TRY(const std::size_t count, count_destinations(org, change.tx(), stack));
  GANTRY_TRY(const std::vector<StoredDestination> all,
             list_destinations(org, change.tx(), stack, 0, count));
  for (const StoredDestination& stored : all)
    GANTRY_CHECK(remove_row(org, change, stored.destination, "the stack was deleted"));
  return {};
}

}  // namespace gantry::broadcast
