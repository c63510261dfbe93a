#include "access/read_summary.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace gantry::access {
namespace {

constexpr std::size_t kTopQueries = 5;

}  // namespace

void ReadSummaries::add(const Principal& principal, const Read& read) {
  const std::int64_t now_ms = clock_.now().since_epoch;
  const core::Lock lock(mutex_);
  auto found = summaries_.find(principal.token_id);
  if (found == summaries_.end())
    found = summaries_
                .emplace(principal.token_id, Summary{.principal = principal,
                                                     .ip = {},
                                                     .since_ms = now_ms,
                                                     .requests = {},
                                                     .queries = {}})
                .first;
  Summary& summary = found->second;
  if (summary.ip != read.ip) summary.ip = read.ip;
  if (const auto count = summary.requests.find(read.endpoint); count != summary.requests.end())
    ++count->second;
  else
    summary.requests.emplace(read.endpoint, 1);
  if (read.status >= 400) ++summary.errors;
  summary.bytes += read.bytes;
  if (read.query_hash == 0) return;
  if (summary.queries.size() < options_.queries_max || summary.queries.contains(read.query_hash))
    ++summary.queries[read.query_hash];
}

AuditEvent ReadSummaries::event_of(const Summary& summary) {
  AuditEvent event{.event = "data.read",
                   .actor = {.type = Actor::Type::Token,
                             .id = summary.principal.token_id,
                             .name = summary.principal.policy_name},
                   .org = summary.principal.org,
                   .stack = summary.principal.stack,
                   .target = {.type = "stack",
                              .id = std::to_string(summary.principal.stack.value()),
                              .name = {}},
                   .client = {.ip = summary.ip}};
  const auto put = [&](std::string field, std::uint64_t value) {
    event.changes.push_back({.field = std::move(field), .after = std::to_string(value)});
  };
  for (const auto& [endpoint, count] : summary.requests) put("requests " + endpoint, count);
  put("errors", summary.errors);
  put("bytes", summary.bytes);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> queries(summary.queries.begin(),
                                                               summary.queries.end());
  std::ranges::sort(queries, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  queries.resize(std::min(queries.size(), kTopQueries));
  for (const auto& [hash, count] : queries) put(fmt::format("query {:016x}", hash), count);
  return event;
}

void ReadSummaries::flush(bool all) {
  const std::int64_t now_ms = clock_.now().since_epoch;
  std::vector<AuditEvent> events;
  {
    const core::Lock lock(mutex_);
    for (auto it = summaries_.begin(); it != summaries_.end();) {
      if (!all && now_ms - it->second.since_ms < options_.interval_ms) {
        ++it;
        continue;
      }
      events.push_back(event_of(it->second));
      it = summaries_.erase(it);
    }
  }
  for (AuditEvent& event : events) audit_.note(std::move(event));
}

}  // namespace gantry::access
