#pragma once

// Organisations: who owns stacks, policies and tokens.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control_plane.h"

namespace gantry::access {

struct Organisation {
  OrgId id;
  std::string slug;  ///< is_token_name, at most 63 characters, and no number: ids are numbers.
  std::string name;
  TimestampMs created_at;
  TimestampMs updated_at;
};

/// Errors: InvalidArgument, AlreadyExists (slug). Who may is the caller's to decide.
[[nodiscard]] ControlResult<Organisation> create_organisation(ControlChange& change,
                                                              std::string_view slug,
                                                              std::string_view name);

[[nodiscard]] ControlResult<Organisation> read_organisation(OrgId org, state::Transaction& tx);

/// By slug or decimal id. Null when there is none.
[[nodiscard]] ControlResult<std::optional<Organisation>> look_up_organisation(
    state::Transaction& tx, std::string_view slug_or_id);

/// Ascending by id.
[[nodiscard]] ControlResult<std::vector<Organisation>> list_organisations(state::Transaction& tx);

/// Errors: InvalidArgument, NotFound.
[[nodiscard]] ControlResult<Organisation> rename_organisation(OrgId org, ControlChange& change,
                                                              std::string_view name);

/// With its policies, tokens, API keys and memberships; people stay. The slug becomes free, the id
/// is never given again. Errors: NotFound, FailedPrecondition (it has stacks: the message names
/// them). Who may is the caller's to decide.
[[nodiscard]] ControlResult<Organisation> delete_organisation(OrgId org, ControlChange& change);

}  // namespace gantry::access
