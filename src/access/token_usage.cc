#include "access/token_usage.h"

#include <algorithm>
#include <utility>

namespace gantry::access {
namespace {

constexpr std::size_t kSeenIpsMax = 32;
constexpr std::size_t kRouteBytesMax = 200;

}  // namespace

TokenUsage::TokenUsage(bool was_used, std::string last_used_from) : was_used_(was_used) {
  if (!last_used_from.empty()) seen_ips_.push_back(std::move(last_used_from));
}

TokenUsage::News TokenUsage::raise(TimestampMs now, const ClientContext& client,
                                   std::string_view route) {
  const core::Lock lock(mutex_);
  News news{.is_first_use = !std::exchange(was_used_, true)};
  if (!use_.first) use_.first = now;
  use_.last = now;
  // The strings are the same most of the time: assigning them then copies into place.
  if (use_.from != client.ip) use_.from = client.ip;
  if (use_.user_agent != client.user_agent) use_.user_agent = client.user_agent;
  if (use_.route != route) use_.route = route.substr(0, kRouteBytesMax);
  if (!seen_ips_.empty() && seen_ips_.back() == client.ip) return news;
  const auto found = std::ranges::find(seen_ips_, client.ip);
  if (found != seen_ips_.end()) {
    std::rotate(found, found + 1, seen_ips_.end());
    return news;
  }
  news.is_new_ip = !news.is_first_use;
  if (seen_ips_.size() == kSeenIpsMax) seen_ips_.erase(seen_ips_.begin());
  seen_ips_.push_back(client.ip);
  return news;
}

void TokenUsage::reject(TimestampMs now, const ClientContext& client, std::string_view reason) {
  const core::Lock lock(mutex_);
  use_.rejected = now;
  use_.rejected_from = client.ip;
  use_.reject_reason = reason;
}

std::optional<TokenUse> TokenUsage::pending(const std::string& token_id) const {
  const core::Lock lock(mutex_);
  if (!use_.last && !use_.rejected) return std::nullopt;
  TokenUse use = use_;
  use.token_id = token_id;
  return use;
}

std::int64_t TokenUsage::written_at_ms() const {
  const core::Lock lock(mutex_);
  return written_at_ms_;
}

void TokenUsage::mark_written(const TokenUse& use, TimestampMs now) {
  const core::Lock lock(mutex_);
  written_at_ms_ = now.since_epoch;
  // What came since `pending` stays.
  if (use_.last == use.last) {
    use_.first.reset();
    use_.last.reset();
  }
  if (use_.rejected == use.rejected) use_.rejected.reset();
}

std::shared_ptr<TokenUsage> TokenUsages::of(const TokenGrant& grant) {
  const core::Lock lock(mutex_);
  auto& usage = usages_[grant.token_id];
  if (!usage) usage = std::make_shared<TokenUsage>(grant.was_used, grant.last_used_from);
  return usage;
}

Result<void> TokenUsages::flush(Directory& directory, TimestampMs now, DurationMs interval) {
  std::vector<TokenUse> uses;
  std::vector<std::shared_ptr<TokenUsage>> written;
  {
    const core::Lock lock(mutex_);
    for (auto it = usages_.begin(); it != usages_.end();) {
      const std::shared_ptr<TokenUsage>& usage = it->second;
      auto pending = usage->pending(it->first);
      if (!pending && usage.use_count() == 1) {
        it = usages_.erase(it);
        continue;
      }
      if (pending && now.since_epoch - usage->written_at_ms() >= interval.count) {
        uses.push_back(*std::move(pending));
        written.push_back(usage);
      }
      ++it;
    }
  }
  if (uses.empty()) return {};
  GANTRY_CHECK(directory.record_uses(uses));
  for (std::size_t i = 0; i < uses.size(); ++i) written[i]->mark_written(uses[i], now);
  return {};
}

}  // namespace gantry::access
