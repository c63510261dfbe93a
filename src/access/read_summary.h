#pragma once

// What each token read, summed up for the audit log: a line per token every few minutes instead of
// one per query.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "access/audit.h"
#include "access/principal.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::access {

/// Thread-safe.
class ReadSummaries {
 public:
  struct Options {
    std::int64_t interval_ms = 300'000;
    std::size_t queries_max = 1000;  ///< Different queries counted for one token in an interval.
  };

  struct Read {
    std::string_view endpoint;  ///< "/api/v1/query"
    int status = 200;
    std::uint64_t bytes = 0;       ///< Of the answer.
    std::uint64_t query_hash = 0;  ///< 0: it has no query.
    std::string_view ip;
  };

  /// Both must outlive it.
  ReadSummaries(AuditLog& audit, const Clock& clock, Options options)
      : audit_(audit), clock_(clock), options_(options) {}

  void add(const Principal& principal, const Read& read);

  /// Notes a `data.read` event for every token whose interval is over; `all` at shutdown. Called
  /// by a timer.
  void flush(bool all);

 private:
  struct Summary {
    Principal principal;
    std::string ip;  ///< The last one.
    std::int64_t since_ms = 0;
    std::map<std::string, std::uint64_t, std::less<>> requests;  ///< By endpoint.
    std::uint64_t errors = 0;
    std::uint64_t bytes = 0;
    std::map<std::uint64_t, std::uint64_t> queries;  ///< By hash.
  };

  static AuditEvent event_of(const Summary& summary);

  AuditLog& audit_;
  const Clock& clock_;
  const Options options_;
  core::Mutex mutex_;
  std::map<std::string, Summary> summaries_ GANTRY_GUARDED_BY(mutex_);  // by token id
};

}  // namespace gantry::access
