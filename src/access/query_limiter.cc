#include "access/query_limiter.h"

#include <algorithm>

namespace gantry::access {
namespace {

/// Looked through for buckets that say nothing any more when it grows past this.
constexpr std::size_t kBucketsToTidy = 1000;

core::Counter& refusals(core::MetricRegistry& registry, std::string_view limit) {
  return registry.counter("gantry_read_only_limited_total",
                          "Requests to the read-only endpoint refused by a limit of their token.",
                          {{"limit", std::string(limit)}});
}

}  // namespace

struct QueryLimiter::Bucket {
  double tokens = 0;
  double rate = 0;  ///< Of the last request: a policy may change.
  double burst = 0;
  std::int64_t filled_at_ms = 0;
  std::uint32_t in_flight = 0;

  void fill(std::int64_t now_ms) {
    const double seconds =
        static_cast<double>(std::max<std::int64_t>(0, now_ms - filled_at_ms)) / 1e3;
    tokens = std::min(burst, tokens + seconds * rate);
    filled_at_ms = now_ms;
  }
};

QueryLimiter::QueryLimiter(const Clock& clock, core::MetricRegistry& registry, Options options)
    : clock_(clock),
      options_(options),
      rate_refusals_(refusals(registry, "rate")),
      concurrency_refusals_(refusals(registry, "concurrency")) {}

QueryLimiter::~QueryLimiter() = default;

AccessResult<QueryPermit> QueryLimiter::enter(std::string_view token_id,
                                              const QueryPolicy* policy) {
  static constexpr QueryPolicy kDefaults;
  const QueryPolicy& own = policy != nullptr ? *policy : kDefaults;
  const double burst = own.burst.value_or(options_.burst);
  std::string id(token_id);
  {
    const std::int64_t now_ms = clock_.now().since_epoch;
    const core::Lock lock(mutex_);
    if (buckets_.size() > kBucketsToTidy) forget_full_buckets(now_ms);
    const auto [found, is_new] = buckets_.try_emplace(id);
    Bucket& bucket = found->second;
    bucket.rate = own.requests_per_second.value_or(options_.requests_per_second);
    bucket.burst = burst;
    if (is_new) {
      bucket.tokens = burst;
      bucket.filled_at_ms = now_ms;
    }
    bucket.fill(now_ms);
    if (bucket.tokens < 1) {
      rate_refusals_.add();
      return std::unexpected(rate_limited("rate"));
    }
    bucket.tokens -= 1;
    if (bucket.in_flight >= own.concurrent_queries.value_or(options_.concurrent_queries)) {
      concurrency_refusals_.add();
      return std::unexpected(rate_limited("concurrency"));
    }
    ++bucket.in_flight;
  }
  return QueryPermit(this, [id = std::move(id)](void* limiter) {
    static_cast<QueryLimiter*>(limiter)->leave(id);
  });
}

void QueryLimiter::leave(const std::string& token_id) {
  const core::Lock lock(mutex_);
  const auto found = buckets_.find(token_id);
  GANTRY_ASSERT(found != buckets_.end() && found->second.in_flight > 0,
                "a bucket stays while a query of it is in flight");
  --found->second.in_flight;
}

void QueryLimiter::forget_full_buckets(std::int64_t now_ms) {
  for (auto it = buckets_.begin(); it != buckets_.end();) {
    Bucket& bucket = it->second;
    bucket.fill(now_ms);
    const bool says_nothing = bucket.in_flight == 0 && bucket.tokens >= bucket.burst;
    it = says_nothing ? buckets_.erase(it) : std::next(it);
  }
}

}  // namespace gantry::access
