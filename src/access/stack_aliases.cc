#include "access/stack_aliases.h"

#include <array>
#include <string_view>

#include <fmt/core.h>

namespace gantry::access {
namespace {

struct Signal {
  std::string_view name;
  std::string_view field;  ///< Of the request.
  std::optional<std::uint32_t> StackAliases::* alias;
  std::optional<std::optional<std::uint32_t>> StackAliasChanges::* change;
};

constexpr std::array kSignals = {
    Signal{"metrics", "metricsId", &StackAliases::metrics, &StackAliasChanges::metrics},
    Signal{"logs", "logsId", &StackAliases::logs, &StackAliasChanges::logs},
    Signal{"traces", "tracesId", &StackAliases::traces, &StackAliasChanges::traces},
};

/// Deleted stacks too: their ids are never given again, not even in this way.
Result<bool> is_instance_id(state::Transaction& tx, std::uint32_t id) {
  GANTRY_TRY(state::Statement select, tx.prepare("SELECT 1 FROM stacks WHERE id = ?"));
  select.bind(id);
  return select.step();
}

Result<void> remove_alias(OrgId org, state::Transaction& tx, StackId stack,
                          std::string_view signal) {
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM stack_aliases WHERE stack_id = (SELECT id FROM stacks WHERE "
                        "org_id = ? AND id = ?) AND signal = ?"));
  remove.bind(org.value()).bind(stack.value()).bind(signal);
  return remove.run();
}

ControlResult<void> insert_alias(state::Transaction& tx, StackId stack, const Signal& signal,
                                 std::uint32_t id) {
  const auto taken = [&] {
    return refuse(Code::AlreadyExists,
                  fmt::format("{}: {} is the id of another stack or signal", signal.field, id));
  };
  GANTRY_TRY(const bool is_stack, is_instance_id(tx, id));
  if (is_stack) return taken();
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO stack_aliases (id, stack_id, signal) VALUES (?, ?, ?)"));
  insert.bind(id).bind(stack.value()).bind(signal.name);
  const auto inserted = insert.run();
  if (!inserted && inserted.error().code == Code::AlreadyExists) return taken();
  GANTRY_CHECK(inserted);
  return {};
}

}  // namespace

ControlResult<StackAliases> change_stack_aliases(OrgId org, ControlChange& change, StackId stack,
                                                 const StackAliases& before,
                                                 const StackAliasChanges& changes) {
  StackAliases after = before;
  for (const Signal& signal : kSignals) {
    const auto& wanted = changes.*signal.change;
    if (!wanted) continue;
    if (*wanted == 0)
      return refuse_field(std::string(signal.field), "must be from 1 to 4294967295");
    after.*signal.alias = *wanted == stack.value() ? std::nullopt : *wanted;
  }
  // All that go before any that come: two may change places.
  for (const Signal& signal : kSignals)
    if (after.*signal.alias != before.*signal.alias)
      GANTRY_CHECK(remove_alias(org, change.tx(), stack, signal.name));
  for (const Signal& signal : kSignals)
    if (after.*signal.alias && after.*signal.alias != before.*signal.alias)
      GANTRY_CHECK(insert_alias(change.tx(), stack, signal, *(after.*signal.alias)));
  return after;
}

Result<void> remove_stack_aliases(OrgId org, state::Transaction& tx, StackId stack) {
  for (const Signal& signal : kSignals) GANTRY_CHECK(remove_alias(org, tx, stack, signal.name));
  return {};
}

}  // namespace gantry::access
