#pragma once

// How often and how many at once each token may ask the read-only endpoint.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "access/access_error.h"
#include "access/query_policy.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::access {

/// A place for one more query of a token; gives it back when the last copy is destroyed. Null:
/// nothing was counted.
using QueryPermit = std::shared_ptr<void>;

/// A token bucket and a count of queries in flight for each token. Nobody waits here: a thread
/// that waited for one token's turn would be missing for the others.
///
/// Thread-safe. Must outlive its permits.
class QueryLimiter {
 public:
  struct Options {
    std::uint32_t requests_per_second = 50;
    std::uint32_t burst = 100;
    std::uint32_t concurrent_queries = 20;
  };

  QueryLimiter(const Clock& clock, core::MetricRegistry& registry, Options options);
  ~QueryLimiter();
  QueryLimiter(const QueryLimiter&) = delete;
  QueryLimiter& operator=(const QueryLimiter&) = delete;

  /// `policy` overrides the options where it says so; may be null. Errors: 429.
  AccessResult<QueryPermit> enter(std::string_view token_id, const QueryPolicy* policy);

 private:
  struct Bucket;

  void leave(const std::string& token_id);
  void forget_full_buckets(std::int64_t now_ms) GANTRY_REQUIRES(mutex_);

  const Clock& clock_;
  const Options options_;
  core::Counter& rate_refusals_;
  core::Counter& concurrency_refusals_;
  core::Mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::access
