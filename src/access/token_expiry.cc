#include "access/token_expiry.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/log.h"
#include "core/rfc3339.h"

namespace gantry::access {
namespace {

constexpr std::int64_t kDayMs = std::int64_t{24} * 3600 * 1000;
constexpr std::array<std::int64_t, 3> kWarningDays = {1, 7, 14};  // the most urgent first
constexpr DurationMs kShownAfterwards{7 * kDayMs};
constexpr std::int64_t kTokensMax = 2'000;
constexpr std::string_view kGaugeName = "gantry_token_expires_in_seconds";
constexpr std::string_view kGaugeHelp =
    "Until the token expires; negative when it has expired. By its id, never the token itself.";

}  // namespace

struct TokenExpiry::Candidate {
  std::string id;
  OrgId org;
  std::string name;
  std::string policy_name;
  TimestampMs created_at;
  TimestampMs expires_at;

  /// The days of the warning that is due; 0 when it has expired; absent when it is too early.
  [[nodiscard]] std::optional<std::int64_t> due(TimestampMs now) const {
    if (expires_at <= now) return 0;
    for (const std::int64_t days : kWarningDays) {
      const DurationMs ahead{days * kDayMs};
      if (expires_at - now <= ahead && expires_at - created_at > ahead) return days;
    }
    return std::nullopt;
  }

  [[nodiscard]] AuditEvent event(std::int64_t days) const {
    return {.event = days == 0 ? "token.expired" : "token.expiring",
            .actor = {.type = Actor::Type::System, .name = "gantry"},
            .org = org,
            .target = {.type = "token", .id = id, .name = name},
            .reason = days == 0   ? ""
                      : days == 1 ? "expires within a day"
                                  : fmt::format("expires within {} days", days)};
  }

  /// Of the whole installation: the server itself asks, for all organisations.
  static Result<std::vector<Candidate>> list(state::Transaction& tx, TimestampMs now) {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT t.id, t.org_id, t.name, p.name, t.created_at_ms, t.expires_at_ms "
                          "FROM tokens t JOIN access_policies p ON p.id = t.policy_id "
                          "WHERE t.revoked_at_ms IS NULL AND t.expires_at_ms > ? "
                          "ORDER BY t.expires_at_ms, t.id LIMIT CAST(? AS BIGINT)"));
    select.bind(now.since_epoch - kShownAfterwards.count).bind(kTokensMax);
    std::vector<Candidate> candidates;
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) return candidates;
      candidates.push_back({.id = std::string(select.text(0)),
                            .org = OrgId(select.integer(1)),
                            .name = std::string(select.text(2)),
                            .policy_name = std::string(select.text(3)),
                            .created_at = {select.integer(4)},
                            .expires_at = {select.integer(5)}});
    }
  }
};

Result<void> TokenExpiry::look() {
  const TimestampMs now = clock_.now();
  std::vector<Candidate> candidates;
  {
    GANTRY_TRY(state::Transaction tx, db_.begin_read());
    GANTRY_TRY(candidates, Candidate::list(tx, now));
  }
  std::map<std::string, double> seconds;
  bool has_news = false;
  for (const Candidate& token : candidates) {
    seconds[token.id] = static_cast<double>((token.expires_at - now).count) / 1000;
    const auto days = token.due(now);
    has_news |= days && !announced_.contains({token.id, token.expires_at.since_epoch, *days});
  }
  show(seconds);
  std::erase_if(announced_, [&](const Notice& notice) {
    return std::get<1>(notice) < now.since_epoch - kShownAfterwards.count;
  });
  return has_news ? announce(now) : Result<void>();
}

/// In one transaction that others wait for: which warnings nobody has given yet, and giving them.
Result<void> TokenExpiry::announce(TimestampMs now) {
  GANTRY_TRY(state::Transaction tx, db_.begin_write());
  GANTRY_TRY(const std::vector<Candidate> candidates, Candidate::list(tx, now));
  std::vector<std::pair<const Candidate*, std::int64_t>> given;
  std::set<Notice> known;
  for (const Candidate& token : candidates) {
    const auto days = token.due(now);
    if (!days) continue;
    known.emplace(token.id, token.expires_at.since_epoch, *days);
    GANTRY_TRY(state::Statement insert,
               tx.prepare("INSERT INTO token_expiry_notices (token_id, expires_at_ms, days) "
                          "VALUES (?, ?, ?) ON CONFLICT (token_id, expires_at_ms, days) DO "
                          "NOTHING"));
    insert.bind(token.id).bind(token.expires_at.since_epoch).bind(*days);
    GANTRY_CHECK(insert.run());
    if (tx.changed_rows() == 0) continue;
    GANTRY_CHECK(audit_.append(tx, token.event(*days)));
    given.emplace_back(&token, *days);
  }
  GANTRY_TRY(state::Statement forget,
             tx.prepare("DELETE FROM token_expiry_notices WHERE expires_at_ms < ?"));
  forget.bind(now.since_epoch - 2 * kShownAfterwards.count);
  GANTRY_CHECK(forget.run());
  GANTRY_CHECK(tx.commit());
  announced_.merge(known);
  for (const auto& [token, days] : given)
    log::warn(days == 0 ? "token expired" : "token expires soon",
              {{"token_id", token->id},
               {"policy", token->policy_name},
               {"token", token->name},
               {"expires_at", core::format_rfc3339(token->expires_at)}});
  return {};
}

void TokenExpiry::show(const std::map<std::string, double>& seconds_by_token) {
  const auto gauge = [&](const std::string& id) -> core::Gauge& {
    return registry_.gauge(kGaugeName, kGaugeHelp, {{"token_id", id}});
  };
  std::erase_if(shown_, [&](const std::string& id) {
    if (seconds_by_token.contains(id)) return false;
    gauge(id).set(
        std::numeric_limits<double>::quiet_NaN());  // a gauge that is NaN is not collected
    return true;
  });
  for (const auto& [id, seconds] : seconds_by_token) {
    gauge(id).set(seconds);
    shown_.insert(id);
  }
}

}  // namespace gantry::access
