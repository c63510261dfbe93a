#pragma once

// The configuration as it is now: replaced whole by a reload, read by any thread.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "core/time.h"
#include "server/config.h"

namespace gantry::server {

/// Thread-safe.
class LiveConfig {
 public:
  LiveConfig(Config config, TimestampMs now)
      : current_(std::make_shared<const Config>(std::move(config))), reloaded_at_(now) {}

  [[nodiscard]] std::shared_ptr<const Config> current() const {
    const core::Lock lock(mutex_);
    return current_;
  }

  struct Change {
    std::vector<std::string> applied;  ///< Keys that have a new value now.
    std::vector<std::string> ignored;  ///< Keys that would need a restart.
  };

  /// Takes over the reloadable settings of `next`.
  Change update(const Config& next, TimestampMs now);

  void note_failure();

  struct LastReload {
    bool is_successful = true;
    TimestampMs at;  ///< Of the last success.
  };

  [[nodiscard]] LastReload last_reload() const;

 private:
  mutable core::Mutex mutex_;
  std::shared_ptr<const Config> current_ GANTRY_GUARDED_BY(mutex_);
  TimestampMs reloaded_at_ GANTRY_GUARDED_BY(mutex_);
  bool is_last_reload_successful_ GANTRY_GUARDED_BY(mutex_) = true;
};

}  // namespace gantry::server
