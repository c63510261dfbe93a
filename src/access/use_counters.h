#pragma once

// gantry_token_requests_total, found without putting labels together for every request.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/metrics.h"
#include "core/mutex.h"

namespace gantry::access {

/// Thread-safe. Holds an entry for each counter that it has made, as the registry does.
class UseCounters {
 public:
  /// `registry` outlives it.
  explicit UseCounters(core::MetricRegistry& registry) : registry_(registry) {}

  /// Counts a request of the token that was answered with `code`. Hot: per request.
  void add(std::string_view token_id, std::string_view code);

 private:
  struct Hash {
    using is_transparent = void;

    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  template <class Value>
  using ByText = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  core::MetricRegistry& registry_;
  core::SharedMutex mutex_;
  ByText<ByText<core::Counter*>> counters_ GANTRY_GUARDED_BY(mutex_);  // by token, then by code
};

}  // namespace gantry::access
