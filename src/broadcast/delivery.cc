#include "broadcast/delivery.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broadcast/delivery_gate_internal.h"
#include "broadcast/export_body.h"
#include "broadcast/metric_items.h"
#include "core/log.h"

namespace gantry::broadcast {
namespace {

using Items = std::span<const QueuedItem>;
using Effect = DeliveryGate::Effect;

/// After the queue's or the dead letters' disk failed.
constexpr std::int64_t kDiskPauseMs = 5'000;
/// How long one look into an empty queue takes while draining.
constexpr std::int64_t kDrainReadNs = 20'000'000;
/// Of a limit that was learnt from a 413; single events may be larger.
constexpr std::size_t kLearntBytesMin = 16 << 10;

class SystemPace final : public Pace {
 public:
  DurationMs elapsed() const override { return {monotonic_ns() / 1'000'000}; }

  void wait(core::ConditionVariable& changed, core::Lock& lock, DurationMs until) override {
    if (until == kForever) {
      changed.wait(lock);
    } else {
      changed.wait_for(lock, std::chrono::milliseconds(until.count - elapsed().count));
    }
  }

  double random() override {
    core::Lock lock(mutex_);
    return std::uniform_real_distribution<double>()(engine_);
  }

 private:
  core::Mutex mutex_;
  std::mt19937_64 engine_ GANTRY_GUARDED_BY(mutex_){std::random_device()()};
};

std::vector<storage::LogPosition> positions_of(Items items) {
  std::vector<storage::LogPosition> positions;
  positions.reserve(items.size());
  for (const QueuedItem& item : items) positions.push_back(item.position);
  return positions;
}

std::uint64_t count_of(Items items) {
  std::uint64_t count = 0;
  for (const QueuedItem& item : items) count += item.item_count;
  return count;
}

std::size_t bytes_of(Items items) {
  std::size_t bytes = 0;
  for (const QueuedItem& item : items) bytes += item.payload.size();
  return bytes;
}

/// Events that are sent together, and what has been tried with them.
struct Part {
  Items items;
  std::optional<ExportRequest> request;  ///< Kept for the next attempt.
  bool is_fallback = false;              ///< How `request` is encoded.
  std::uint64_t left_out = 0;            ///< Samples that `request` cannot say.
  bool is_sent = false;                  ///< Whether the last attempt got as far as the network.
  int attempts = 0;                      ///< That failed and may be repeated.
  int doubtful_attempts = 0;  ///< Of those, the ones that Classified::retries_max bounds.
  DurationMs not_before;
  DeliveryStatistics::Failure last;
};

/// An event that is not readable here says nothing about the receiver.
Effect effect_of(const Classified& classified, const Part& part) {
  switch (classified.verdict) {
    case Verdict::Done:
    case Verdict::Split:
    case Verdict::Bisect:
    case Verdict::Refuse:
      return part.is_sent ? Effect::Alive : Effect::Nothing;
    case Verdict::Retry:
      return Effect::Failed;
    case Verdict::Hold:
      return Effect::Held;
    case Verdict::Fallback:
      return Effect::Nothing;
  }
  return Effect::Nothing;
}

enum class PartEnd : std::uint8_t {
  Settled,
  Halve,
  GiveBack,  ///< Stopped, or the disk failed.
};

class DeliveryThreads final : public Delivery {
 public:
  DeliveryThreads(Destination destination, Services services, Options options)
      : destination_(std::move(destination)),
        services_(services),
        options_(options),
        lane_(lane_of(destination_.id, signal_of(destination_))),
        gate_(services.pace, options),
        batch_bytes_max_(options.batch_bytes_max),
        send_seconds_(core::default_duration_bounds()),
        bodies_(destination_.type),
        readers_(readers_of(signal_of(destination_), options)) {
    for (const Reader& reader : readers_) threads_.emplace_back([this, &reader] { run(reader); });
  }

  ~DeliveryThreads() override { stop({0}); }

  DeliveryThreads(const DeliveryThreads&) = delete;
  DeliveryThreads& operator=(const DeliveryThreads&) = delete;

  void stop(DurationMs drain) override {
    core::Lock lock(stop_mutex_);
    gate_.begin_drain({services_.pace.elapsed().count + drain.count});
    idle_reads_.cancel();
    gate_.wait_for_threads(threads_.size());
    gate_.stop();
    cancel_.cancel();
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  DeliveryStatistics statistics() const override {
    DeliveryStatistics statistics;
    {
      core::Lock lock(mutex_);
      statistics = statistics_;
    }
    gate_.report(statistics);
    for (std::size_t reason = 0; reason < kDropReasonCount; ++reason)
      statistics.dropped_events += services_.queue.dropped(lane_, static_cast<DropReason>(reason));
    statistics.send_seconds = send_seconds_.snapshot();
    return statistics;
  }

 private:
  /// What a thread reads of the queue.
  struct Reader {
    std::uint32_t order_shards = 1;
    std::uint32_t order_shard = 0;
    std::size_t mutex = 0;  ///< Index in read_mutexes_.
  };

  /// Spans need no order: all threads read all of them. Of metrics each reads a shard of its own.
  static std::vector<Reader> readers_of(Signal signal, const Options& options) {
    if (signal == Signal::Spans) return std::vector<Reader>(options.batches_in_flight_max);
    std::vector<Reader> readers;
    for (std::uint32_t shard = 0; shard < kOrderShards; ++shard)
      readers.push_back({.order_shards = kOrderShards, .order_shard = shard, .mutex = shard});
    return readers;
  }

  void run(const Reader& reader) {
    std::vector<storage::LogPosition> kept;
    while (const auto items = take_batch(reader)) {
      const std::vector<storage::LogPosition> left = deliver(*items);
      if (gate_.is_draining()) {
        // Given back now they would be read again, and sent without a pause until the drain ends.
        kept.insert(kept.end(), left.begin(), left.end());
        gate_.settled(items->size() - left.size());
      } else {
        services_.queue.give_back(lane_, left);
        gate_.settled(items->size());
      }
    }
    services_.queue.give_back(lane_, kept);
    gate_.thread_ended();
  }

  /// One thread at a time waits for the same events, so that those that come together go together.
  /// Nothing when the delivery stops.
  std::optional<std::vector<QueuedItem>> take_batch(const Reader& reader) {
    core::Lock lock(read_mutexes_.at(reader.mutex));
    while (gate_.wait_to_read()) {
      const bool is_draining = gate_.is_draining();
      if (is_draining && services_.queue.depth(lane_).items <= gate_.events_held())
        return std::nullopt;
      const CancelToken token =
          is_draining ? cancel_.narrowed_to(monotonic_ns() + kDrainReadNs) : idle_reads_;
      auto items =
          services_.queue.read(lane_,
                               {.items_max = options_.events_per_batch_max,
                                .bytes_max = batch_bytes_max_.load(std::memory_order_relaxed),
                                .wait = is_draining ? DurationMs{0} : options_.batch_wait,
                                .order_shards = reader.order_shards,
                                .order_shard = reader.order_shard},
                               token);
      if (items && !items->empty()) {
        gate_.took(items->size());
        return *std::move(items);
      }
      if (!items && !survives(items.error())) return std::nullopt;
    }
    return std::nullopt;
  }

  /// Whether reading may be tried again.
  bool survives(const Error& error) {
    if (error.code == Code::NotFound) return false;  // The destination was removed.
    if (error.code == Code::Cancelled || error.code == Code::DeadlineExceeded) return true;
    disk_failed("broadcast queue not read", error);
    return true;
  }

  void disk_failed(std::string_view event, const Error& error) {
    log::error(event, {{"destination", destination_.id}, {"error", error.message}});
    gate_.pause({services_.pace.elapsed().count + kDiskPauseMs});
  }

  /// Returns what is to be given back.
  std::vector<storage::LogPosition> deliver(Items items) {
    std::vector<Items> waiting = in_requests(items);  // The last goes first.
    while (!waiting.empty()) {
      Part part{.items = waiting.back()};
      waiting.pop_back();
      switch (settle(part)) {
        case PartEnd::Settled:
          break;
        case PartEnd::Halve: {
          const std::size_t half = part.items.size() / 2;
          waiting.push_back(part.items.subspan(half));
          waiting.push_back(part.items.first(half));
          break;
        }
        case PartEnd::GiveBack: {
          waiting.push_back(part.items);
          std::vector<storage::LogPosition> left;
          for (const Items rest : waiting) {
            const auto positions = positions_of(rest);
            left.insert(left.end(), positions.begin(), positions.end());
          }
          return left;
        }
      }
    }
    return {};
  }

  /// In the order of a stack. Receivers bound the samples of a request, not only its bytes.
  std::vector<Items> in_requests(Items items) const {
    const std::uint64_t count_max = signal_of(destination_) == Signal::Spans
                                        ? options_.spans_per_request_max
                                        : options_.samples_per_request_max;
    std::vector<Items> requests;
    while (!items.empty()) {
      std::size_t size = 1;
      std::uint64_t count = items[0].item_count;
      while (size < items.size() && count + items[size].item_count <= count_max)
        count += items[size++].item_count;
      requests.push_back(items.first(size));
      items = items.subspan(size);
    }
    std::ranges::reverse(requests);
    return requests;
  }

  PartEnd settle(Part& part) {
    while (true) {
      if (!gate_.enter(part.not_before)) return PartEnd::GiveBack;
      std::optional<Classified> classified;
      const bool is_on_disk = expire(part);
      if (is_on_disk && !part.items.empty()) classified = attempt(part);
      log_change(gate_.leave(classified ? effect_of(*classified, part) : Effect::Nothing), part);
      if (part.items.empty()) return PartEnd::Settled;
      if (!classified) return PartEnd::GiveBack;
      if (const auto end = act(part, *classified)) return *end;
    }
  }

  void log_change(DeliveryGate::Change change, const Part& part) {
    switch (change) {
      case DeliveryGate::Change::None:
        return;
      case DeliveryGate::Change::Held:
        log::error("broadcast destination held",
                   {{"destination", destination_.id},
                    {"type", destination_type_name(destination_.type)},
                    {"reason", failure_kind_name(part.last.kind)},
                    {"error", part.last.message}});
        return;
      case DeliveryGate::Change::Resumed:
        log::info("broadcast destination resumed", {{"destination", destination_.id}});
        return;
    }
  }

  /// Moves events that are too old from the front of the part to the dead letters. False: they
  /// could not be written there.
  bool expire(Part& part) {
    const std::int64_t oldest_ms = services_.clock.now().since_epoch - options_.age_max.count;
    const auto first_kept = std::ranges::find_if(
        part.items, [&](const QueuedItem& item) { return item.created_ms >= oldest_ms; });
    const auto count = static_cast<std::size_t>(first_kept - part.items.begin());
    if (count == 0) return true;
    std::string message =
        fmt::format("older than {} s (broadcast.max_age)", options_.age_max.count / 1000);
    if (!part.last.message.empty()) message += "; the last error: " + part.last.message;
    if (!bury(part.items.first(count), {.status = part.last.status, .message = message}))
      return false;
    part.items = part.items.subspan(count);
    part.request.reset();
    return true;
  }

  /// Nothing: cancelled by stop.
  std::optional<Classified> attempt(Part& part) {
    part.is_sent = false;
    const bool is_fallback = is_fallback_.load(std::memory_order_relaxed);
    const Destination destination = encoded_as(is_fallback);
    if (!part.request || part.is_fallback != is_fallback) {
      part.is_fallback = is_fallback;
      part.request.reset();
      auto body = bodies_.make(destination, part.items);
      if (!body)
        return noted(part, 0,
                     {.verdict = Verdict::Bisect,
                      .kind = FailureKind::BadRequest,
                      .message = "an event in the queue is not readable"});
      part.left_out = body->left_out;
      if (body->text.empty()) return noted(part, 0, {});
      auto request = make_export_request(destination, std::move(body->text));
      if (!request) return noted(part, 0, classify_config_error(request.error().message));
      part.request = *std::move(request);
    }
    part.is_sent = true;
    if (destination.type == DestinationType::PrometheusRemoteWrite && part.attempts > 0)
      part.request->headers.set("Retry-Attempt", std::to_string(part.attempts));
    const DurationMs start = services_.pace.elapsed();
    const auto answer = services_.transport.send(*part.request, options_.request_timeout, cancel_);
    if (!answer && answer.error() == TransportFailure::Cancelled && cancel_.is_cancelled())
      return std::nullopt;
    const double seconds = static_cast<double>(services_.pace.elapsed().count - start.count) / 1e3;
    send_seconds_.observe(seconds);
    if (services_.send_seconds != nullptr) services_.send_seconds->observe(seconds);
    if (!answer) return noted(part, 0, classify_failure(destination, answer.error()));
    return noted(part, static_cast<std::uint32_t>(answer->status),
                 classify_answer(destination, *answer, services_.clock.now()));
  }

  Destination encoded_as(bool is_fallback) const {
    Destination destination = destination_;
    if (!is_fallback) return destination;
    destination.config.remote_write_version = 1;
    destination.config.encoding =
        destination_.config.encoding == Encoding::Json ? Encoding::Protobuf : Encoding::Json;
    return destination;
  }

  /// Remembers what went wrong, of the part and of the destination.
  Classified noted(Part& part, std::uint32_t status, Classified classified) {
    const bool is_success = classified.verdict == Verdict::Done;
    core::Lock lock(mutex_);
    if (is_success) statistics_.last_success = services_.clock.now();
    if (classified.message.empty()) return classified;
    part.last = {.at = services_.clock.now(),
                 .kind = classified.kind,
                 .status = status,
                 .message = classified.message};
    statistics_.last_error = part.last;
    return classified;
  }

  /// Nothing: the part is to be sent again.
  std::optional<PartEnd> act(Part& part, const Classified& classified) {
    switch (classified.verdict) {
      case Verdict::Done:
        finish_sent(part, classified);
        return PartEnd::Settled;
      case Verdict::Retry:
        ++part.attempts;
        if (classified.retries_max && ++part.doubtful_attempts > *classified.retries_max)
          return refuse(part);
        count_retry(classified.kind);
        schedule(part, classified);
        return std::nullopt;
      case Verdict::Split:
        batch_bytes_max_.store(
            std::max(kLearntBytesMin, std::min(batch_bytes_max_.load(std::memory_order_relaxed),
                                               bytes_of(part.items) / 2)),
            std::memory_order_relaxed);
        return part.items.size() == 1 ? refuse(part) : PartEnd::Halve;
      case Verdict::Bisect:
        return part.items.size() == 1 ? refuse(part) : PartEnd::Halve;
      case Verdict::Refuse:
        return refuse(part);
      case Verdict::Hold:
        count_retry(classified.kind);
        return std::nullopt;
      case Verdict::Fallback:
        fall_back(part, classified);
        return std::nullopt;
    }
    return std::nullopt;
  }

  void schedule(Part& part, const Classified& classified) {
    const std::int64_t now = services_.pace.elapsed().count;
    std::int64_t delay = options_.backoff_first.count;
    for (int i = 1; i < part.attempts && delay < options_.backoff_max.count; ++i) delay *= 2;
    delay = std::min(delay, options_.backoff_max.count);
    const double jittered = static_cast<double>(delay) * (1 + services_.pace.random()) / 2;
    part.not_before = {now + static_cast<std::int64_t>(jittered)};
    if (!classified.retry_after) return;
    // The receiver speaks of all that it gets from us, not only of this batch.
    const DurationMs until{now + classified.retry_after->count};
    part.not_before = std::max(part.not_before, until);
    gate_.pause(until);
  }

  /// A receiver that takes neither encoding is held like one of a wrong path.
  void fall_back(Part& part, const Classified& classified) {
    count_retry(classified.kind);
    if (!part.is_fallback) {
      is_fallback_.store(true, std::memory_order_relaxed);
      return;
    }
    const DurationMs until{services_.pace.elapsed().count + options_.hold_interval.count};
    part.not_before = until;
    gate_.pause(until);
  }

  void count_retry(FailureKind kind) {
    core::Lock lock(mutex_);
    ++statistics_.retries.at(static_cast<std::size_t>(kind));
  }

  void finish_sent(const Part& part, const Classified& classified) {
    finish(part.items, Outcome::Sent);
    const std::uint64_t count = count_of(part.items);
    const std::uint64_t rejected = std::min(classified.rejected_items + part.left_out, count);
    core::Lock lock(mutex_);
    statistics_.sent_events += part.items.size();
    statistics_.sent_items += count - rejected;
    statistics_.rejected_items += rejected;
  }

  PartEnd refuse(const Part& part) {
    return bury(part.items, {.status = part.last.status, .message = part.last.message})
               ? PartEnd::Settled
               : PartEnd::GiveBack;
  }

  /// To the dead letters first, then out of the queue: a crash in between leaves both.
  bool bury(Items items, const Refusal& refusal) {
    if (const auto added = services_.dead_letters.add(destination_.id, items, refusal); !added) {
      disk_failed("broadcast dead letters not written", added.error());
      return false;
    }
    finish(items, Outcome::DeadLettered);
    core::Lock lock(mutex_);
    statistics_.dead_events += items.size();
    return true;
  }

  void finish(Items items, Outcome outcome) {
    // The only error is that the destination has been removed meanwhile: then nobody asks.
    static_cast<void>(services_.queue.finish(lane_, positions_of(items), outcome));
  }

  const Destination destination_;  ///< Narrowed.
  const Services services_;
  const Options options_;
  const DestinationId lane_;
  DeliveryGate gate_;
  CancelToken cancel_;      ///< Ends requests that are under way.
  CancelToken idle_reads_;  ///< Ends waiting for events: a drain begins.
  std::atomic<bool> is_fallback_{false};
  std::atomic<std::size_t> batch_bytes_max_;
  core::Histogram send_seconds_;
  ExportBodies bodies_;
  const std::vector<Reader> readers_;
  std::array<core::Mutex, kOrderShards> read_mutexes_;
  mutable core::Mutex mutex_;
  DeliveryStatistics statistics_ GANTRY_GUARDED_BY(mutex_);
  core::Mutex stop_mutex_;
  std::vector<std::thread> threads_;  ///< The last: they use the members before.
};

}  // namespace

std::unique_ptr<Pace> make_system_pace() {
  return std::make_unique<SystemPace>();
}

std::string_view delivery_state_name(DeliveryState state) {
  static constexpr std::array<std::string_view, 4> kNames = {"active", "failing", "held",
                                                             "stopped"};
  return kNames.at(static_cast<std::size_t>(state));
}

Result<std::unique_ptr<Delivery>> Delivery::start(Destination destination, Services services,
                                                  Options options) {
  return std::make_unique<DeliveryThreads>(std::move(destination), services, options);
}

}  // namespace gantry::broadcast
