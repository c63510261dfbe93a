#include "server/broadcast_parts.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "access/token.h"
#include "broadcast/net_transport.h"
#include "broadcast/test_connection.h"
#include "core/hash.h"
#include "server/forwarding_metrics_store.h"
#include "server/forwarding_trace_store.h"
#include "storage/directory.h"

namespace gantry::server {
namespace {

constexpr std::uint32_t kTestsPerMinute = 10;  ///< Of one asker.

broadcast::Broadcaster::Options broadcaster_options(const Config::Broadcast& config) {
  broadcast::Broadcaster::Options options;
  options.queue.bytes_max = config.queue_bytes_max;
  options.queue.log_bytes_max = config.log_bytes_max;
  // Deliveries make dead letters of what is too old. This is for those that are disabled.
  options.queue.age_max = {2 * config.max_age.count};
  options.delivery.age_max = config.max_age;
  options.dead_letters.letters_max = config.dead_letters_max;
  options.dead_letters.bytes_max = config.dead_letter_bytes_max;
  options.dead_letters.age_max = config.dead_letter_max_age;
  return options;
}

/// By what a process finds its own replays again: several may share the state database, and each
/// has stores of its own.
Result<std::string> read_replica_id(storage::FileSystem& files,
                                    const std::filesystem::path& directory) {
  constexpr std::uint64_t kBytesMax = 64;
  const std::filesystem::path path = directory / "replica-id";
  GANTRY_TRY(const bool is_there, files.exists(path));
  if (!is_there) {
    const std::string id = access::make_uuid();
    GANTRY_CHECK(storage::write_file_atomically(files, path, core::as_bytes(id)));
    return id;
  }
  GANTRY_TRY(const auto bytes, storage::read_file(files, path, kBytesMax));
  if (bytes.empty()) return fail(Code::DataLoss, fmt::format("{} is empty", path.string()));
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// Offers what the store behind it accepts.
class BroadcastStore final : public ForwardingTraceStore {
 public:
  BroadcastStore(StackId stack, std::shared_ptr<traces::Store> store,
                 broadcast::Broadcaster& broadcaster)
      : ForwardingTraceStore(std::move(store)), stack_(stack), broadcaster_(broadcaster) {}

  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) override {
    GANTRY_TRY(telemetry::SpanAppendResult appended, ForwardingTraceStore::append(batch));
    // What was there before was sent before: two Gantrys that send to each other come to rest.
    if (appended.spans_written > appended.spans_repeated) broadcaster_.offer(stack_, batch);
    return appended;
  }

 private:
  const StackId stack_;
  broadcast::Broadcaster& broadcaster_;
};

/// The same for metrics.
class BroadcastMetricsStore final : public ForwardingMetricsStore {
 public:
  BroadcastMetricsStore(StackId stack, std::shared_ptr<metrics::Store> store,
                        broadcast::Broadcaster& broadcaster)
      : ForwardingMetricsStore(std::move(store)), stack_(stack), broadcaster_(broadcaster) {}

  Result<telemetry::AppendResult> append(const telemetry::MetricBatch& batch,
                                         const metrics::AppendOptions& options) override {
    GANTRY_TRY(telemetry::AppendResult appended, ForwardingMetricsStore::append(batch, options));
    if (!options.is_import && appended.retry_after.count == 0)
      broadcaster_.offer(stack_, batch, appended);
    return appended;
  }

 private:
  const StackId stack_;
  broadcast::Broadcaster& broadcaster_;
};

}  // namespace

BroadcastParts::BroadcastParts(const Config& config, const AccessParts& access, const Clock& clock)
    : access_(access),
      clock_(clock),
      service_name_(config.broadcast.service_name),
      drain_timeout_(config.broadcast.drain_timeout),
      secrets_(*access.sealer),
      destinations_(broadcast::make_stored_destinations(*access.db, secrets_)),
      pace_(broadcast::make_system_pace()),
      test_rate_(clock, kTestsPerMinute) {}

Result<std::unique_ptr<BroadcastParts>> BroadcastParts::open(
    const std::filesystem::path& data, const Config& config, const AccessParts& access,
    storage::FileSystem& files, const Clock& clock, core::MetricRegistry& registry) {
  std::unique_ptr<BroadcastParts> parts(new BroadcastParts(config, access, clock));
  GANTRY_TRY(parts->transport_, broadcast::make_net_transport(
                                    {.egress = *access.egress, .ca_file = config.egress.ca_file}));
  GANTRY_CHECK(files.create_directories(data / "broadcast"));
  GANTRY_TRY(parts->broadcaster_,
             broadcast::Broadcaster::open({.files = files,
                                           .directory = data / "broadcast",
                                           .destinations = *parts->destinations_,
                                           .transport = *parts->transport_,
                                           .clock = clock,
                                           .pace = *parts->pace_,
                                           .registry = registry},
                                          broadcaster_options(config.broadcast)));
  if (access.db->is_shared()) {
    GANTRY_TRY(parts->replica_, read_replica_id(files, data / "broadcast"));
  }
  parts->replayer_ = std::make_unique<broadcast::Replayer>(
      broadcast::Replayer::Environment{.db = *access.db,
                                       .traces = parts->histories_,
                                       .metrics = parts->histories_,
                                       .outlet = *parts->broadcaster_,
                                       .clock = clock},
      broadcast::Replayer::Options{.replica = parts->replica_});
  return parts;
}

BroadcastParts::~BroadcastParts() {
  stopping_.cancel();
}

Result<void> BroadcastParts::start() {
  GANTRY_CHECK(broadcaster_->start());
  replayer_->start();
  return {};
}

void BroadcastParts::notify() {
  broadcaster_->notify();
  replayer_->notify();
}

void BroadcastParts::stop() {
  stopping_.cancel();
  replayer_->stop();
  broadcaster_->stop(drain_timeout_);
}

api::DestinationServices BroadcastParts::services(api::RequestRate& rate) {
  return {.gate = *access_.gate,
          .control = *access_.control,
          .secrets = secrets_,
          .rate = rate,
          .test_rate = test_rate_,
          .test = [this](const broadcast::Destination& destination) { return test(destination); },
          .deliveries = *broadcaster_,
          .replica = replica_};
}

api::ConnectionVerdict BroadcastParts::test(const broadcast::Destination& destination) {
  const broadcast::ConnectionTestResult result =
      broadcast::test_connection(destination, service_name_, *transport_, clock_, stopping_);
  return {.is_ok = result.is_ok,
          .status = result.status,
          .latency_ms = result.latency.count,
          .error_code = std::string(broadcast::failure_kind_name(result.kind)),
          .message = result.message};
}

std::shared_ptr<traces::Store> BroadcastParts::attach(StackId stack,
                                                      std::shared_ptr<traces::Store> traces) {
  histories_.add(stack, traces);
  return std::make_shared<BroadcastStore>(stack, std::move(traces), *broadcaster_);
}

Result<telemetry::SpanAppendResult> BroadcastParts::append_unoffered(
    StackId stack, const telemetry::SpanBatch& batch) {
  const std::shared_ptr<traces::Store> store = histories_.find(stack);
  if (!store) return fail(Code::Unavailable, "the stack is not open");
  return store->append(batch);
}

std::shared_ptr<metrics::Store> BroadcastParts::attach(StackId stack,
                                                       std::shared_ptr<metrics::Store> metrics) {
  histories_.add(stack, metrics);
  return std::make_shared<BroadcastMetricsStore>(stack, std::move(metrics), *broadcaster_);
}

}  // namespace gantry::server
