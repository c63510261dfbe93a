#include "server/stack_follower.h"

#include <chrono>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "access/stacks.h"
#include "core/mutex.h"
#include "server/failure_log.h"

namespace gantry::server {
namespace {

constexpr auto kRetryInterval = std::chrono::seconds(2);

}  // namespace

struct StackFollower::Impl {
  Impl(state::Db& the_db, OpenStacks& the_stacks) : db(the_db), stacks(the_stacks) {}

  state::Db& db;
  OpenStacks& stacks;
  FailureLog failures{"stacks of other replicas not followed",
                      "stacks of other replicas followed again"};

  core::Mutex mutex;
  core::ConditionVariable wake;
  bool is_due GANTRY_GUARDED_BY(mutex) = false;
  std::jthread thread;

  /// False: something was done here meanwhile, so that the reading may be out of date.
  Result<bool> follow() {
    const std::uint64_t as_of = stacks.change_count();
    std::vector<access::Stack> living;
    std::vector<StackId> deleted;
    {
      GANTRY_TRY(state::Transaction tx, db.begin_read());
      GANTRY_TRY(living, access::list_all_stacks(tx));
      GANTRY_TRY(deleted, access::list_deleted_stacks(tx));
    }
    return stacks.follow(living, deleted, as_of);
  }

  void run(const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
      const auto followed = follow();
      failures.note("stacks", followed ? Result<void>() : std::unexpected(followed.error()));
      if (followed && !*followed) continue;
      core::Lock lock(mutex);
      // After a failure a change is waited for only so long: the database may be back, or the disk.
      if (followed)
        wake.wait(lock, stopping, [this]() GANTRY_REQUIRES(mutex) { return is_due; });
      else
        wake.wait_for(lock, stopping, kRetryInterval, [] { return false; });
      is_due = false;
    }
  }
};

StackFollower::StackFollower(state::Db& db, OpenStacks& stacks)
    : impl_(std::make_unique<Impl>(db, stacks)) {
  impl_->thread =
      std::jthread([raw = impl_.get()](const std::stop_token& stopping) { raw->run(stopping); });
}

StackFollower::~StackFollower() {
  stop();
}

void StackFollower::notify() {
  {
    const core::Lock lock(impl_->mutex);
    impl_->is_due = true;
  }
  impl_->wake.notify_all();
}

void StackFollower::stop() {
  impl_->thread.request_stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace gantry::server
