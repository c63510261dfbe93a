#pragma once

// Opens, reconfigures and closes the stores of stacks, at start and while requests are served.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>

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
#include "server/derived_metrics.h"
#include "storage/disk_guard.h"
#include "storage/file.h"
#include "traces/store.h"

namespace gantry::server {

/// The server's options with what a stack has for itself.
[[nodiscard]] metrics::StoreOptions stack_options(metrics::StoreOptions options,
                                                  const access::StackSettings& settings);
[[nodiscard]] traces::StoreOptions stack_trace_options(traces::StoreOptions options,
                                                       const access::StackSettings& settings);

/// Thread-safe. Blocks on disk. One stack at a time is opened or retired.
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
    std::function<traces::StoreOptions()> trace_options;
    DerivedMetrics& derived;
    std::function<bool()> span_metrics;  ///< Whether stacks have them that do not say.
    std::uint64_t delta_streams_max = 0;
    /// Put something around the stores of a stack; empty: nothing.
    std::function<std::shared_ptr<metrics::Store>(StackId, std::shared_ptr<metrics::Store>)>
        attach_metrics = {};
    std::function<std::shared_ptr<traces::Store>(StackId, std::shared_ptr<traces::Store>)>
        attach_traces = {};
    /// Puts something around both stores for those that write into the stack from outside; empty:
    /// nothing.
    std::function<access::OpenStores(StackId, access::OpenStores)> attach_rules = {};
  };

  explicit OpenStacks(Environment environment) : environment_(std::move(environment)) {}

  Result<void> open(const access::Stack& stack) override;
  void reconfigure(const access::Stack& stack) override;

  /// The data directory goes to DIR/deleted-stacks/<instance id>, where the operator removes it.
  void retire(StackId stack) override;

  /// Applies the server's options again to every open stack.
  void reconfigure_all();

  /// Counts what was opened, reconfigured and retired here.
  [[nodiscard]] std::uint64_t change_count() const;

  /// What other processes did to stacks: opens, reconfigures and retires until what is open is what
  /// the state database says. A stack that is in neither list is left alone: it is being made here.
  /// `as_of`: change_count() from before the lists were read. False, and nothing is done, when it
  /// has moved since: the lists may be older than what was done here. Errors: the first of opening,
  /// after all were tried.
  Result<bool> follow(std::span<const access::Stack> living, std::span<const StackId> deleted,
                      std::uint64_t as_of);

  /// How long a stack keeps samples, by its own or the server's settings; 0: for ever.
  [[nodiscard]] DurationMs retention(StackId stack) const;

  /// Of a stack that is or was open; else null. Valid until this object ends.
  [[nodiscard]] codec::DeltaToCumulative* delta_state(StackId stack) const;

 private:
  struct Entry {
    access::StackSettings settings;
    std::unique_ptr<codec::DeltaToCumulative> delta_state;
    bool is_open = true;
  };

  Result<void> open_stores(const access::Stack& stack) GANTRY_REQUIRES(lifecycle_mutex_);
  void apply_settings(const access::Stack& stack) GANTRY_REQUIRES(lifecycle_mutex_);
  void close_stores(StackId stack) GANTRY_REQUIRES(lifecycle_mutex_);
  Result<void> follow_one(const access::Stack& stack) GANTRY_REQUIRES(lifecycle_mutex_);
  [[nodiscard]] Result<access::OpenStores> open_both(const access::Stack& stack) const;
  [[nodiscard]] bool has_span_metrics(const access::StackSettings& settings) const;
  [[nodiscard]] bool is_open(StackId stack) const;
  void move_aside(StackId stack) const;

  Environment environment_;
  mutable core::Mutex lifecycle_mutex_;  // held while disks are waited for; taken before mutex_
  std::uint64_t change_count_ GANTRY_GUARDED_BY(lifecycle_mutex_) = 0;
  mutable core::SharedMutex mutex_;
  /// Entries stay: requests in flight may hold the delta state of a stack that is gone.
  std::map<StackId, Entry> stacks_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::server
