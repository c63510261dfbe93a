#pragma once

// Access policies: scopes and realms under a name, which tokens inherit.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/control_plane.h"
#include "access/page.h"

namespace gantry::access {

struct Policy {
  std::string id;
  OrgId org;
  std::string name;
  std::string display_name;
  std::vector<std::string> scopes;  ///< As they were given; see parse_scope.
  std::vector<Realm> realms;
  std::vector<std::string> allowed_subnets;  ///< Canonical CIDR; empty: any.
  std::string attributes;                    ///< A JSON object.
  bool is_active = true;
  bool is_system = false;  ///< Made by Gantry, and not to be changed.
  std::string owner = {};  ///< Whose personal tokens it is for: a user's id; "": nobody's.
  TimestampMs created_at;
  TimestampMs updated_at;
};

/// A realm as a request names it.
struct RealmDraft {
  std::string type;                         ///< "org" or "stack"
  std::string identifier;                   ///< Id or slug.
  std::vector<std::string> label_policies;  ///< Selectors; empty: no restriction.
};

struct PolicyDraft {
  std::string name;          ///< is_token_name
  std::string display_name;  ///< "": the name.
  std::vector<std::string> scopes;
  std::vector<RealmDraft> realms;
  std::vector<std::string> allowed_subnets;
  std::string attributes = "{}";  ///< A JSON object.
};

/// Absent: unchanged. The name never changes.
struct PolicyChanges {
  std::optional<std::string> display_name;
  std::optional<std::vector<std::string>> scopes;
  std::optional<std::vector<RealmDraft>> realms;
  std::optional<std::vector<std::string>> allowed_subnets;
  std::optional<std::string> attributes;
  std::optional<bool> is_active;
};

/// Empty members hold always.
struct PolicyFilter {
  std::string name;
  std::string realm_type;        ///< "org" or "stack"
  std::string realm_identifier;  ///< Id, or slug of a stack.
  std::string status;            ///< "active" or "inactive"
  std::string owner = {};        ///< A user's id.
};

enum class PolicySource : std::uint8_t { User, System };

/// Errors: InvalidArgument, AlreadyExists (name, or one realm twice), FailedPrecondition (limit),
/// PermissionDenied (the ceiling: nobody grants more than they have).
[[nodiscard]] ControlResult<Policy> create_policy(OrgId org, ControlChange& change,
                                                  const PolicyDraft& draft,
                                                  PolicySource source = PolicySource::User);

/// Errors: NotFound, also for another organisation's.
[[nodiscard]] ControlResult<Policy> read_policy(OrgId org, state::Transaction& tx,
                                                std::string_view id);

/// Null when there is none of that name.
[[nodiscard]] ControlResult<std::optional<Policy>> find_policy_by_name(OrgId org,
                                                                       state::Transaction& tx,
                                                                       std::string_view name);

/// By (created, id), beginning after `page.after`; at most `page.limit`.
[[nodiscard]] ControlResult<std::vector<Policy>> list_policies(OrgId org, state::Transaction& tx,
                                                               const PolicyFilter& filter,
                                                               const PageStart& page);

/// Errors: as create_policy, NotFound, FailedPrecondition (a system policy).
[[nodiscard]] ControlResult<Policy> update_policy(OrgId org, ControlChange& change,
                                                  std::string_view id,
                                                  const PolicyChanges& changes);

/// With all its tokens. Errors: NotFound, FailedPrecondition (a system policy).
[[nodiscard]] ControlResult<void> delete_policy(OrgId org, ControlChange& change,
                                                std::string_view id);

/// Sentences about label policies that probably show more than was meant.
[[nodiscard]] std::vector<std::string> policy_warnings(const Policy& policy);

[[nodiscard]] std::string_view realm_type_name(Realm::Type type);

}  // namespace gantry::access
