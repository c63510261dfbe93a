#pragma once

// The records of finished calls, as GET /generation shows them: who called what through whom, how
// long it took and what it cost, and nothing of what was asked or answered.
//
//   records.add(key->org, key->stack, generation);        // when the answer has ended
//   GANTRY_TRY(const auto body, records.find(key->org, key->stack, id));

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/principal.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/time.h"
#include "gateway/generation.h"
#include "state/db.h"

namespace gantry::gateway {

/// {"id":…,"model":…,…}. What is not known is null. Texts that clients wrote are cut at 1 KiB.
[[nodiscard]] std::string generation_json(const Generation& generation);

/// Thread-safe.
class GenerationRecords {
 public:
  struct Options {
    std::size_t queue_max = 50'000;  ///< Added and not yet written.
    DurationMs retention{std::int64_t{30} * 24 * 3600 * 1000};
  };

  /// All must outlive it.
  GenerationRecords(state::Db& db, const Clock& clock, core::MetricRegistry& registry,
                    Options options);
  ~GenerationRecords();
  GenerationRecords(const GenerationRecords&) = delete;
  GenerationRecords& operator=(const GenerationRecords&) = delete;

  /// Found from now on; `flush` writes it. Never blocks on the database. When the queue is full the
  /// record is counted as lost (gantry_gateway_records_lost_total).
  void add(access::OrgId org, StackId stack, const Generation& generation);

  /// {"data":{…}}; absent: none of that stack, or older than the retention. May block on the
  /// database. Errors: the database's.
  [[nodiscard]] Result<std::optional<std::string>> find(access::OrgId org, StackId stack,
                                                        std::string_view id) const;

  /// Writes what was added, all or nothing; after an error the next one tries again. Called every
  /// second and at shutdown: a crash loses the records since.
  Result<void> flush();

  /// Removes what is older than the retention, in steps that let other writers in between. Called
  /// by a timer.
  Result<void> expire();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::gateway
