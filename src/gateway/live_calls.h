#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "core/mutex.h"

namespace gantry::gateway {

class Call;

/// The calls that are not over. Thread-safe.
class LiveCalls {
 public:
  /// False: no call may begin any more.
  [[nodiscard]] bool add(const std::shared_ptr<Call>& call);

  /// The call is over and uses no part of the gateway from now on.
  void remove(const Call& call);

  /// Lets no call begin, cancels those that live, and returns when none does.
  void stop();

  [[nodiscard]] std::size_t count() const;

 private:
  mutable core::Mutex mutex_;
  core::ConditionVariable changed_;
  bool is_stopping_ GANTRY_GUARDED_BY(mutex_) = false;
  std::unordered_map<const Call*, std::weak_ptr<Call>> calls_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
