#pragma once

// Destinations that a test sets, without a database.

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "broadcast/destination_source.h"
#include "core/mutex.h"

namespace gantry::broadcast::testing {

/// Thread-safe.
class FakeDestinations final : public DestinationSource {
 public:
  /// Of the stack 7; secrets and all. Replaces one of the same id, as its next version.
  void put(Destination destination) {
    const core::Lock lock(mutex_);
    destination.stack = 7;
    for (KnownDestination& known : all_) {
      if (known.stored.destination.id != destination.id) continue;
      known.stored.destination = std::move(destination);
      ++known.stored.version;
      return;
    }
    all_.push_back({.org = access::OrgId(1),
                    .stored = {.destination = std::move(destination), .masks = {}, .version = 1}});
  }

  void remove(const DestinationId& id) {
    const core::Lock lock(mutex_);
    std::erase_if(all_,
                  [&](const KnownDestination& known) { return known.stored.destination.id == id; });
  }

  /// Until told otherwise, nothing can be read, or no secrets opened.
  void fail_lists(bool fails) { lists_fail_ = fails; }

  void fail_opens(bool fails) { opens_fail_ = fails; }

  Result<std::vector<KnownDestination>> list() override {
    if (lists_fail_) return fail(Code::Unavailable, "the database is away");
    const core::Lock lock(mutex_);
    std::vector<KnownDestination> masked = all_;
    for (KnownDestination& known : masked) {
      known.stored.destination.config.secret.clear();
      known.stored.destination.config.headers.clear();
    }
    return masked;
  }

  Result<Destination> open(const KnownDestination& known) override {
    if (opens_fail_) return fail(Code::FailedPrecondition, "the keyring has no such key");
    const core::Lock lock(mutex_);
    for (const KnownDestination& mine : all_)
      if (mine.stored.destination.id == known.stored.destination.id) return mine.stored.destination;
    return fail(Code::NotFound, "no such destination");
  }

 private:
  core::Mutex mutex_;
  std::vector<KnownDestination> all_ GANTRY_GUARDED_BY(mutex_);
  std::atomic<bool> lists_fail_ = false;
  std::atomic<bool> opens_fail_ = false;
};

}  // namespace gantry::broadcast::testing
