#pragma once

// What destinations there are, for the broadcaster: those of all stacks.

#include <memory>
#include <vector>

#include "access/secrets/stored_secrets.h"
#include "broadcast/destination.h"
#include "broadcast/destination_rows.h"
#include "core/error.h"
#include "state/db.h"

namespace gantry::broadcast {

struct KnownDestination {
  OrgId org;
  StoredDestination stored;
};

/// One thread.
class DestinationSource {
 public:
  DestinationSource() = default;
  virtual ~DestinationSource() = default;
  DestinationSource(const DestinationSource&) = delete;
  DestinationSource& operator=(const DestinationSource&) = delete;

  /// All that there are now, disabled ones too, in no order. Errors: those of where they are kept.
  [[nodiscard]] virtual Result<std::vector<KnownDestination>> list() = 0;

  /// With its secrets in clear: for its sender, which is to forget them when it ends. Errors: those
  /// of StoredSecrets; NotFound: it was changed or deleted since.
  [[nodiscard]] virtual Result<Destination> open(const KnownDestination& known) = 0;
};

/// Those of the state database. Both must outlive it.
[[nodiscard]] std::unique_ptr<DestinationSource> make_stored_destinations(
    state::Db& db, const access::StoredSecrets& secrets);

}  // namespace gantry::broadcast
