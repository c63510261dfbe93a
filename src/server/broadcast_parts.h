#pragma once

// Broadcasting wired together: what sends, what it may reach, and who tells it of changes.

#include <filesystem>
#include <memory>
#include <string>

#include "access/secrets/stored_secrets.h"
#include "api/cloud.h"
#include "api/destinations.h"
#include "broadcast/broadcaster.h"
#include "broadcast/replayer.h"
#include "core/cancel.h"
#include "core/metrics.h"
#include "core/time.h"
#include "metrics/store.h"
#include "server/access_parts.h"
#include "server/config.h"
#include "server/open_histories.h"
#include "storage/file.h"
#include "traces/store.h"

namespace gantry::server {

/// Thread-safe, but for start and stop.
class BroadcastParts {
 public:
  /// Opens the queue in DIR/broadcast. What is referred to must outlive it.
  static Result<std::unique_ptr<BroadcastParts>> open(
      const std::filesystem::path& data, const Config& config, const AccessParts& access,
      storage::FileSystem& files, const Clock& clock, core::MetricRegistry& registry);

  /// Ends at once: what is not sent stays in the queue.
  ~BroadcastParts();
  BroadcastParts(const BroadcastParts&) = delete;
  BroadcastParts& operator=(const BroadcastParts&) = delete;

  /// Begins to send, and goes on with replays. Errors: the state database's.
  Result<void> start();

  /// Destinations or replays may have changed. Returns at once.
  void notify();

  /// Pauses replays until the next start, and sends what is queued for at most
  /// broadcast.drain_timeout. What comes later is queued only.
  void stop();

  [[nodiscard]] broadcast::Broadcaster& broadcaster() { return *broadcaster_; }

  /// For the routes of destinations. `rate`: that of the control API.
  [[nodiscard]] api::DestinationServices services(api::RequestRate& rate);

  /// Appends to the store of a stack and offers nothing of it: destinations get the same in another
  /// form. Errors: the store's; Unavailable: the stack is not open.
  Result<telemetry::SpanAppendResult> append_unoffered(StackId stack,
                                                       const telemetry::SpanBatch& batch);

  /// The store of a stack whose new spans are offered from now on, once they are durable, and whose
  /// old ones can be replayed as long as it is open. An append returns when the copy is on disk
  /// too, if there are destinations; a queue that cannot be written fails no append, and is
  /// counted.
  [[nodiscard]] std::shared_ptr<traces::Store> attach(StackId stack,
                                                      std::shared_ptr<traces::Store> traces);

  /// The same for metrics; imports are not offered, since receivers refuse what is old, but a
  /// replay finds them.
  [[nodiscard]] std::shared_ptr<metrics::Store> attach(StackId stack,
                                                       std::shared_ptr<metrics::Store> metrics);

 private:
  BroadcastParts(const Config& config, const AccessParts& access, const Clock& clock);

  [[nodiscard]] api::ConnectionVerdict test(const broadcast::Destination& destination);

  const AccessParts& access_;
  const Clock& clock_;
  const std::string service_name_;
  const DurationMs drain_timeout_;
  access::StoredSecrets secrets_;
  std::unique_ptr<broadcast::DestinationSource> destinations_;
  std::unique_ptr<broadcast::Transport> transport_;
  std::unique_ptr<broadcast::Pace> pace_;
  api::RequestRate test_rate_;
  CancelToken stopping_;  ///< Ends tests of connections.
  std::unique_ptr<broadcast::Broadcaster> broadcaster_;
  OpenHistories histories_;
  std::string replica_;  ///< "" when the state database is nobody else's.
  std::unique_ptr<broadcast::Replayer> replayer_;
};

}  // namespace gantry::server
