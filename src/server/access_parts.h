#pragma once

// The parts of the server that decide who may do what, wired together.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "access/audit.h"
#include "access/authenticator.h"
#include "access/control_plane.h"
#include "access/directory.h"
#include "access/gate.h"
#include "access/query_limiter.h"
#include "access/read_summary.h"
#include "access/sealed_box.h"
#include "access/secrets/keyring_source.h"
#include "access/secrets/sealer.h"
#include "access/token.h"
#include "access/token_expiry.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"
#include "net/egress.h"
#include "server/config.h"
#include "server/failure_log.h"
#include "server/people.h"
#include "state/auth_epoch.h"
#include "state/db.h"

namespace gantry::server {

/// Everything over the state database. Each part uses only those above it. Thread-safe once open.
class AccessParts {
 public:
  /// Opens the state database and the secret key in `data`. What is referred to must outlive it.
  static Result<std::unique_ptr<AccessParts>> open(const std::filesystem::path& data,
                                                   const Config& config, const Clock& clock,
                                                   core::MetricRegistry& registry);

  /// close().
  ~AccessParts();
  AccessParts(const AccessParts&) = delete;
  AccessParts& operator=(const AccessParts&) = delete;

  /// Writes last-used times and noted audit events every now and then, until `close`.
  void start_housekeeping();

  /// `act` is called, on any thread, whenever some process has changed who may do what, or which
  /// stacks there are; it must be quick. Replaces the one before, which is not called any more.
  void on_change(std::function<void()> act);

  /// Counts a request to the read-only endpoint, also for the audit log's summaries.
  void count_read(const access::Principal& principal, const net::Request& request,
                  const net::Response& response);

  /// Notes an act of the server itself, or of who runs it, in the audit log.
  void note(std::string event, access::Outcome outcome = access::Outcome::Ok,
            std::vector<access::AuditChange> differences = {}, std::string reason = {});

  /// Ends the housekeeping after a last round. Once; later calls do nothing.
  Result<void> close();

  std::unique_ptr<state::Db> db;
  std::unique_ptr<access::Directory> directory;
  std::unique_ptr<access::TokenHasher> hasher;
  std::unique_ptr<access::AuditLog> audit;
  std::unique_ptr<access::Authenticator> authenticator;
  std::unique_ptr<net::Egress> egress;  ///< To every URL that people enter.
  std::unique_ptr<People> people;
  std::unique_ptr<access::ControlPlane> control;
  std::unique_ptr<access::LiveKeyring> keyring;
  std::unique_ptr<access::Sealer> sealer;          ///< Of secrets that are used in clear.
  std::unique_ptr<access::SealedBox> answer_box;   ///< Seals answers kept for repeated requests.
  std::unique_ptr<state::ChangeListener> changes;  ///< Of access, by any replica.
  access::StackStores stores;
  std::unique_ptr<access::Gate> gate;
  std::unique_ptr<access::QueryLimiter> limiter;
  std::unique_ptr<access::Gate> read_only_gate;  ///< Of the read-only bearer endpoint.
  std::unique_ptr<access::ReadSummaries> read_summaries;
  std::unique_ptr<access::TokenExpiry> expiry;

 private:
  AccessParts() = default;
  Result<access::SecretKey> open_key(const std::filesystem::path& data);
  Result<void> open_sealer(const std::filesystem::path& data, const Config& config,
                           const Clock& clock);
  void note_locked(const Error& error, std::string reason);
  void keep_house(int round);
  void hear_of_change();
  Result<void> check_audit();

  core::Mutex change_mutex_;
  std::function<void()> change_act_ GANTRY_GUARDED_BY(change_mutex_);
  FailureLog failures_{"state database not written", "state database written again"};
  std::optional<std::int64_t> broken_id_;  // where the audit log was last found broken
  std::jthread housekeeper_;
  bool is_closed_ = false;
};

}  // namespace gantry::server
