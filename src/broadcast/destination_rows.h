#pragma once

// Destinations as rows of the state database: of one stack, in one organisation.
//
//   GANTRY_TRY(ControlChange change, ControlChange::begin(plane, who));
//   GANTRY_TRY(const StoredDestination made, create_destination(org, change, secrets, draft, {}));
//   GANTRY_CHECK(change.commit());
//
// Rows hold no secrets, only their masks; the secrets are StoredSecrets of the table
// "destinations". What is read shows masks; `open_destination` is for who sends or tests.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "access/control_error.h"
#include "access/control_plane.h"
#include "access/secrets/stored_secrets.h"
#include "broadcast/destination.h"
#include "broadcast/destination_config.h"
#include "core/ids.h"
#include "state/db.h"

namespace gantry::broadcast {

using access::OrgId;

inline constexpr std::size_t kDestinationsPerTypeMax = 5;  ///< Of one stack.

struct StoredDestination {
  Destination destination;  ///< Without config.secret and config.headers.
  SecretMasks masks;
  std::int64_t version = 0;  ///< Grows with every change.
};

/// Whether the connection of what is saved was tested; that it was not goes to the audit log.
enum class Verified : bool { No, Yes };

/// `draft` without id and times, its secrets in clear. Errors: NotFound (the stack),
/// PermissionDenied, FailedPrecondition (kDestinationsPerTypeMax), those of StoredSecrets.
[[nodiscard]] access::ControlResult<StoredDestination> create_destination(
    OrgId org, access::ControlChange& change, const access::StoredSecrets& secrets,
    const Destination& draft, Verified verified);

/// Errors: NotFound, also for another organisation's, a deleted one and one of a deleted stack.
[[nodiscard]] access::ControlResult<StoredDestination> read_destination(OrgId org,
                                                                        state::Transaction& tx,
                                                                        std::string_view id);

/// By (created, id). Errors: the database's.
[[nodiscard]] access::ControlResult<std::vector<StoredDestination>> list_destinations(
    OrgId org, state::Transaction& tx, StackId stack, std::size_t offset, std::size_t limit);

[[nodiscard]] access::ControlResult<std::size_t> count_destinations(OrgId org,
                                                                    state::Transaction& tx,
                                                                    StackId stack);

/// With its secrets in clear. Errors: as StoredSecrets::open; DataLoss.
[[nodiscard]] access::ControlResult<Destination> open_destination(
    OrgId org, state::Transaction& tx, const access::StoredSecrets& secrets,
    const StoredDestination& stored);

enum class ConfigChange : std::uint8_t {
  Kept,      ///< `after.config` is not looked at.
  Replaced,  ///< `after.config` has its secrets in clear.
};

struct DestinationUpdate {
  const Destination& after;
  ConfigChange config = ConfigChange::Kept;
  std::int64_t version = 0;  ///< What `after` was made from.
  Verified verified = Verified::Yes;
};

/// A change that changes nothing writes nothing. Errors: NotFound, PermissionDenied, AlreadyExists
/// (somebody else has changed it since `version`), FailedPrecondition (kDestinationsPerTypeMax of a
/// new type), those of StoredSecrets.
[[nodiscard]] access::ControlResult<StoredDestination> update_destination(
    OrgId org, access::ControlChange& change, const access::StoredSecrets& secrets,
    const DestinationUpdate& update);

/// The row stays, its secrets go. Errors: NotFound, PermissionDenied.
[[nodiscard]] access::ControlResult<void> delete_destination(OrgId org,
                                                             access::ControlChange& change,
                                                             std::string_view id);

/// All of a stack that is being deleted, with an audit event for each.
[[nodiscard]] access::ControlResult<void> delete_destinations(OrgId org,
                                                              access::ControlChange& change,
                                                              StackId stack);

}  // namespace gantry::broadcast
