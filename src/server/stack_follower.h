#pragma once

// Replicas on one state database: what another process does to stacks is done here as well.

#include <memory>

#include "core/error.h"
#include "server/stack_host.h"
#include "state/db.h"

namespace gantry::server {

/// Reads which stacks there are on a thread of its own, whenever it is told that something changed,
/// and has OpenStacks follow. What did not succeed is tried again every few seconds. Thread-safe.
class StackFollower {
 public:
  /// Both must outlive it. Begins with a first reading: for what changed since the caller's own.
  StackFollower(state::Db& db, OpenStacks& stacks);

  /// stop()
  ~StackFollower();
  StackFollower(const StackFollower&) = delete;
  StackFollower& operator=(const StackFollower&) = delete;

  /// Something in the state database may have changed. Returns at once.
  void notify();

  /// Waits for a reading that has begun; none begins after it.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::server
