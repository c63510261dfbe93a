#include "broadcast/destination_source.h"

#include <utility>

#include "access/stacks.h"

namespace gantry::broadcast {
namespace {

/// Errors of the control plane without the fields that are wrong: there are none here.
template <class Value>
Result<Value> plain(access::ControlResult<Value> result) {
  if (!result) return fail(result.error().code, std::move(result.error().message));
  return *std::move(result);
}

class StoredDestinations final : public DestinationSource {
 public:
  StoredDestinations(state::Db& db, const access::StoredSecrets& secrets)
      : db_(db), secrets_(secrets) {}

  Result<std::vector<KnownDestination>> list() override {
    GANTRY_TRY(state::Transaction tx, db_.begin_read());
    GANTRY_TRY(const std::vector<access::Stack> stacks, access::list_all_stacks(tx));
    std::vector<KnownDestination> all;
    for (const access::Stack& stack : stacks) {
      GANTRY_TRY(const std::size_t count, plain(count_destinations(stack.org, tx, stack.id)));
      if (count == 0) continue;
      GANTRY_TRY(std::vector<StoredDestination> own,
                 plain(list_destinations(stack.org, tx, stack.id, 0, count)));
      for (StoredDestination& stored : own)
        all.push_back({.org = stack.org, .stored = std::move(stored)});
    }
    return all;
  }

  Result<Destination> open(const KnownDestination& known) override {
    GANTRY_TRY(state::Transaction tx, db_.begin_read());
    GANTRY_TRY(const StoredDestination now,
               plain(read_destination(known.org, tx, known.stored.destination.id)));
    // Secrets of a later version may belong to another server than this one's URL names.
    if (now.version != known.stored.version)
      return fail(Code::NotFound, "the destination was changed meanwhile");
    return plain(open_destination(known.org, tx, secrets_, now));
  }

 private:
  state::Db& db_;
  const access::StoredSecrets& secrets_;
};

}  // namespace

std::unique_ptr<DestinationSource> make_stored_destinations(state::Db& db,
                                                            const access::StoredSecrets& secrets) {
  return std::make_unique<StoredDestinations>(db, secrets);
}

}  // namespace gantry::broadcast
