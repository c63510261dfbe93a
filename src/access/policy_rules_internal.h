#pragma once

// What a policy may say: a draft to content that can be stored.

#include <span>
#include <string>
#include <vector>

#include "access/policies.h"

namespace gantry::access {

/// Errors: InvalidArgument (shape, unless `rules` lets it pass).
void check_scopes(std::vector<FieldProblem>& problems, std::span<const std::string> scopes,
                  const ControlRules& rules);

/// Ids for slugs, canonical selectors. Errors: InvalidArgument (all wrong fields), AlreadyExists
/// (one realm twice), those of the database.
[[nodiscard]] ControlResult<std::vector<Realm>> resolve_realms(OrgId org, state::Transaction& tx,
                                                               std::span<const RealmDraft> drafts);

/// Canonical texts, without repetitions.
[[nodiscard]] std::vector<std::string> canonical_subnets(std::vector<FieldProblem>& problems,
                                                         std::span<const std::string> subnets);

/// A JSON object of bounded size.
void check_attributes(std::vector<FieldProblem>& problems, std::string_view attributes);

/// Label policies only restrict reads. Errors: InvalidArgument.
[[nodiscard]] ControlResult<void> check_combination(std::span<const std::string> scopes,
                                                    std::span<const Realm> realms);

}  // namespace gantry::access
