#pragma once

// When and from where each token was used, gathered by every request and written now and then.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "access/control.h"
#include "access/directory.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::access {

/// One token's. Thread-safe.
class TokenUsage {
 public:
  /// What the database knows of it.
  TokenUsage(bool was_used, std::string last_used_from);

  struct News {
    bool is_first_use = false;  ///< Ever.
    bool is_new_ip = false;     ///< Not among those that were seen lately.
  };

  News raise(TimestampMs now, const ClientContext& client, std::string_view route);
  void reject(TimestampMs now, const ClientContext& client, std::string_view reason);

  /// What is not written yet; null when there is nothing.
  [[nodiscard]] std::optional<TokenUse> pending(const std::string& token_id) const;
  /// When `pending` was last written; 0: never.
  [[nodiscard]] std::int64_t written_at_ms() const;
  void mark_written(const TokenUse& use, TimestampMs now);

 private:
  mutable core::Mutex mutex_;
  TokenUse use_ GANTRY_GUARDED_BY(mutex_);
  std::vector<std::string> seen_ips_ GANTRY_GUARDED_BY(mutex_);  // the newest last
  bool was_used_ GANTRY_GUARDED_BY(mutex_);
  std::int64_t written_at_ms_ GANTRY_GUARDED_BY(mutex_) = 0;
};

/// All tokens' that were seen lately. Thread-safe.
class TokenUsages {
 public:
  /// The one of the token, made when there is none.
  std::shared_ptr<TokenUsage> of(const TokenGrant& grant);

  /// Writes what is pending: of every token, or of those not written in the last `interval`.
  /// Forgets tokens that nobody else holds and that have nothing pending.
  Result<void> flush(Directory& directory, TimestampMs now, DurationMs interval);

 private:
  core::Mutex mutex_;
  std::map<std::string, std::shared_ptr<TokenUsage>> usages_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::access
