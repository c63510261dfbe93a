#include "pipeline/stack_rule_rows.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "access/ceiling.h"
#include "access/stacks.h"

namespace gantry::pipeline {
namespace {

using access::AuditChange;
using access::ControlChange;
using access::ControlResult;

std::string document_of(const StackRules& rules) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_object();
  write_stack_rules(json, rules);
  json.end_object();
  return text;
}

/// Columns: stack_id, rules, version, updated_at_ms.
Result<StoredRules> read_row(const state::Statement& row) {
  StoredRules stored{.stack = StackId(static_cast<std::uint32_t>(row.integer(0))),
                     .rules = {},
                     .version = row.integer(2),
                     .updated_at = TimestampMs{row.integer(3)}};
  const auto damaged = [&](const access::ControlError& error) {
    return fail(Code::DataLoss, fmt::format("the pipeline rules of stack {} cannot be read: {}",
                                            stored.stack.value(), error.message));
  };
  const auto body = StackRulesBody::parse(row.text(1));
  if (!body) return damaged(body.error());
  auto rules = body->apply({});
  if (!rules) return damaged(rules.error());
  stored.rules = *std::move(rules);
  return stored;
}

Result<void> write_row(OrgId org, state::Transaction& tx, const StoredRules& stored) {
  GANTRY_TRY(state::Statement upsert,
             tx.prepare("INSERT INTO stack_rules (stack_id, org_id, rules, version, updated_at_ms) "
                        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (stack_id) DO UPDATE SET rules = "
                        "excluded.rules, version = excluded.version, updated_at_ms = "
                        "excluded.updated_at_ms WHERE stack_rules.org_id = excluded.org_id"));
  upsert.bind(stored.stack.value())
      .bind(org.value())
      .bind(document_of(stored.rules))
      .bind(stored.version)
      .bind(stored.updated_at.since_epoch);
  return upsert.run();
}

/// Rules may quote what they look for: the audit log says which have changed, and to what only
/// where that is a number or a switch.
class Differences {
 public:
  void compare(std::string_view field, const std::string& before, const std::string& after) {
    if (before != after) changes_.push_back({std::string(field), before, after});
  }

  void compare_rules(std::string_view field, const std::string& before, const std::string& after) {
    if (before == after) return;
    changes_.push_back({std::string(field), before.empty() ? "unset" : "set",
                        after.empty()    ? "unset"
                        : before.empty() ? "set"
                                         : "changed"});
  }

  [[nodiscard]] std::vector<AuditChange> take() { return std::exchange(changes_, {}); }

 private:
  std::vector<AuditChange> changes_;
};

void record_changes(OrgId org, ControlChange& change, const access::Stack& stack,
                    const StackRules& before, const StackRules& after) {
  const auto record = [&](std::string_view event, std::vector<AuditChange> changes) {
    if (changes.empty()) return;
    change.record(org, std::string(event),
                  {.type = "pipeline", .id = std::to_string(stack.id.value()), .name = stack.slug},
                  std::move(changes), stack.id);
  };
  Differences differences;
  differences.compare_rules("filter_rules", before.filter_rules_json, after.filter_rules_json);
  differences.compare_rules("attribute_rules", before.attribute_rules_json,
                            after.attribute_rules_json);
  differences.compare_rules("metric_relabel_configs", before.metric_relabel_json,
                            after.metric_relabel_json);
  differences.compare_rules("stream_aggregation", before.stream_aggregation_json,
                            after.stream_aggregation_json);
  record("pipeline.updated", differences.take());
  differences.compare("privacy_mode", before.is_private ? "true" : "false",
                      after.is_private ? "true" : "false");
  record("privacy_mode.changed", differences.take());
  differences.compare("sampling_rate", fmt::format("{}", before.sampling_rate),
                      fmt::format("{}", after.sampling_rate));
  record("sampling.changed", differences.take());
}

}  // namespace

ControlResult<StoredRules> read_stack_rules(OrgId org, state::Transaction& tx, StackId stack) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT stack_id, rules, version, updated_at_ms FROM stack_rules WHERE "
                        "org_id = ? AND stack_id = ?"));
  select.bind(org.value()).bind(stack.value());
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return StoredRules{.stack = stack, .rules = {}, .version = 0, .updated_at = {}};
  GANTRY_TRY(StoredRules stored, read_row(select));
  return stored;
}

ControlResult<StoredRules> save_stack_rules(OrgId org, ControlChange& change,
                                            const RulesUpdate& update) {
  GANTRY_TRY(const access::Stack stack,
             access::read_stack(org, change.tx(), std::to_string(update.stack.value())));
  GANTRY_CHECK(access::require_whole_stack(change.who(), org, update.stack));
  GANTRY_TRY(StoredRules before, read_stack_rules(org, change.tx(), update.stack));
  if (update.version && *update.version != before.version)
    return access::refuse(Code::AlreadyExists,
                          "somebody else has just changed the rules of the stack");
  if (document_of(before.rules) == document_of(update.rules)) return before;
  const StoredRules after{.stack = update.stack,
                          .rules = update.rules,
                          .version = before.version + 1,
                          .updated_at = change.now()};
  GANTRY_CHECK(write_row(org, change.tx(), after));
  record_changes(org, change, stack, before.rules, after.rules);
  return after;
}

Result<std::vector<StoredRules>> list_all_stack_rules(state::Transaction& tx) {
  // Of every organisation: the server applies them, nobody is shown them.
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT r.stack_id, r.rules, r.version, r.updated_at_ms FROM stack_rules r "
                        "JOIN stacks s ON s.id = r.stack_id AND s.org_id = r.org_id WHERE s.status "
                        "<> 'deleted' ORDER BY r.stack_id"));
  std::vector<StoredRules> all;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return all;
    GANTRY_TRY(StoredRules stored, read_row(select));
    all.push_back(std::move(stored));
  }
}

}  // namespace gantry::pipeline
