#pragma once

// The rules of stacks as rows of the state database: at most one of each stack.
//
//   GANTRY_TRY(ControlChange change, ControlChange::begin(plane, who));
//   GANTRY_TRY(const StoredRules stored, save_stack_rules(org, change, {stack, rules, version}));
//   GANTRY_CHECK(change.commit());

#include <cstdint>
#include <optional>
#include <vector>

#include "access/control_error.h"
#include "access/control_plane.h"
#include "core/ids.h"
#include "core/time.h"
#include "pipeline/stack_rules.h"
#include "state/db.h"

namespace gantry::pipeline {

using access::OrgId;

struct StoredRules {
  StackId stack;
  StackRules rules;
  std::int64_t version = 0;  ///< Grows with every change; 0: there never were any.
  TimestampMs updated_at;
};

/// Of a stack without a row: the default. Errors: the database's; DataLoss.
[[nodiscard]] access::ControlResult<StoredRules> read_stack_rules(OrgId org, state::Transaction& tx,
                                                                  StackId stack);

struct RulesUpdate {
  StackId stack;
  const StackRules& rules;
  /// What the rules were made from; absent: whatever is there is replaced.
  std::optional<std::int64_t> version;
};

/// A change that changes nothing writes nothing. Errors: NotFound (the stack), PermissionDenied,
/// AlreadyExists (somebody else has changed them since `version`).
[[nodiscard]] access::ControlResult<StoredRules> save_stack_rules(OrgId org,
                                                                  access::ControlChange& change,
                                                                  const RulesUpdate& update);

/// Of all stacks that live, those that have rows: for who applies them. Errors: the database's;
/// DataLoss.
[[nodiscard]] Result<std::vector<StoredRules>> list_all_stack_rules(state::Transaction& tx);

}  // namespace gantry::pipeline
