#pragma once

// Opens, reconfigures and closes the stores of stacks, at start and while requests are served.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include "access/gate.h"
#include "access/stacks.h"
#include "api/cloud.h"
#include "codec/delta_to_cumulative.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"
#include "core/worker_pool.h"
#include "metrics/store.h"
#include "storage/disk_guard.h"
#include "storage/file.h"

namespace gantry::server {

/// The server's options with what a stack has for itself.
[[nodiscard]] metrics::StoreOptions stack_options(metrics::StoreOptions options,
                                                  const access::StackSettings& settings);

/// Thread-safe. Blocks on disk.
class OpenStacks final : public api::StackHost {
 public:
  /// All must outlive it.
  struct Environment {
    std::filesystem::path data;
    storage::FileSystem& files;
    const Clock& clock;
    core::MetricRegistry& registry;
    core::WorkerPool& workers;
    storage::DiskGuard& disk_guard;
    access::StackStores& stores;
    std::function<metrics::StoreOptions()> options;  ///< The server's, as of now.
    std::uint64_t delta_streams_max = 0;
  };

  explicit OpenStacks(Environment environment) : environment_(std::move(environment)) {}

  Result<void> open(const access::Stack& stack) override;
  void reconfigure(const access::Stack& stack) override;

  /// The data directory goes to DIR/deleted-stacks/<instance id>, where the operator removes it.
  void retire(StackId stack) override;

  /// Applies the server's options again to every open stack.
  void reconfigure_all();

  /// Of a stack that is or was open; else null. Valid until this object ends.
  [[nodiscard]] codec::DeltaToCumulative* delta_state(StackId stack) const;

 private:
  struct Entry {
    access::StackSettings settings;
    std::unique_ptr<codec::DeltaToCumulative> delta_state;
    bool is_open = true;
  };

  void move_aside(StackId stack) const;

  Environment environment_;
  mutable core::SharedMutex mutex_;
  /// Entries stay: requests in flight may hold the delta state of a stack that is gone.
  std::map<StackId, Entry> stacks_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::server
