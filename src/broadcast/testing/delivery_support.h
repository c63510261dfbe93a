#pragma once

// What the tests of the delivery share: time that passes at once, numbered events, a receiver that
// answers as a test says, and a queue in memory.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broadcast/delivery.h"
#include "broadcast/testing/destinations.h"
#include "broadcast/testing/fake_transport.h"
#include "codec/compression.h"
#include "codec/otlp_traces.h"
#include "codec/otlp_traces_encoder.h"
#include "core/hash.h"
#include "storage/faulty_file_system.h"

namespace gantry::broadcast::testing {

/// Either a wait ends at once and its time has passed, or time stands still until somebody moves
/// it.
class FakeTime final : public Clock, public Pace {
 public:
  enum class Mode : std::uint8_t { Jumps, Stands };

  explicit FakeTime(Mode mode) : mode_(mode) {}

  TimestampMs now() const override { return {1'790'000'000'000 + elapsed_.load()}; }

  DurationMs elapsed() const override { return {elapsed_.load()}; }

  void wait(core::ConditionVariable& changed, core::Lock& lock, DurationMs until) override {
    if (mode_ == Mode::Jumps && until != kForever) {
      advance_to(until.count);
      return;
    }
    changed.wait_for(lock, std::chrono::milliseconds(2));
  }

  double random() override { return 0.5; }

  void advance_to(std::int64_t ms) {
    std::int64_t before = elapsed_.load();
    while (before < ms && !elapsed_.compare_exchange_weak(before, ms)) {
    }
  }

 private:
  const Mode mode_;
  std::atomic<std::int64_t> elapsed_{0};
};

inline std::string event_payload(int number) {
  telemetry::SpanBatch batch;
  batch.resources.resize(1);
  batch.scopes.resize(1);
  telemetry::BatchSpan span{.span_id = 1};
  span.trace_id.bytes[0] = 1;
  span.name = batch.arena.copy(std::to_string(number));
  batch.spans.push_back(span);
  return codec::encode_otlp_traces(batch);
}

/// What one request holds, and how many came before.
struct Received {
  int call = 0;
  std::vector<int> numbers;
  std::string content_type;
  int concurrent = 0;  ///< Requests under way, this one included.
  const CancelToken& cancel;
};

/// Decodes requests, answers by `rule`, and remembers the events of those that got a 2xx.
class FakeReceiver final : public Transport {
 public:
  using Rule = std::function<TransportResult(const Received&)>;

  explicit FakeReceiver(Rule rule) : rule_(std::move(rule)) {}

  TransportResult send(const ExportRequest& request, DurationMs /*timeout*/,
                       const CancelToken& cancel) override {
    const int concurrent = ++concurrent_;
    const Received received{.call = calls_++,
                            .numbers = numbers_of(request),
                            .content_type = std::string(request.headers.find("content-type")),
                            .concurrent = concurrent,
                            .cancel = cancel};
    TransportResult result = rule_(received);
    --concurrent_;
    if (result && result->status / 100 == 2) {
      core::Lock lock(mutex_);
      taken_.insert(received.numbers.begin(), received.numbers.end());
    }
    return result;
  }

  [[nodiscard]] std::set<int> taken() const {
    core::Lock lock(mutex_);
    return taken_;
  }

  [[nodiscard]] int calls() const { return calls_; }

 private:
  static std::vector<int> numbers_of(const ExportRequest& request) {
    std::string body = request.body;
    if (request.headers.find("content-encoding") == "gzip")
      EXPECT_TRUE(codec::decompress(codec::Encoding::Gzip, request.body, {}, body));
    body.reserve(body.size() + codec::kBodyPaddingBytes);
    codec::OtlpTracesDecoder decoder;
    const auto decoded = request.headers.find("content-type") == "application/json"
                             ? decoder.decode_json(body, codec::kNoOtlpTracesLimits)
                             : decoder.decode_protobuf(body, codec::kNoOtlpTracesLimits);
    EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
    std::vector<int> numbers;
    for (const auto& span : decoder.batch().spans)
      numbers.push_back(std::stoi(std::string(span.name)));
    return numbers;
  }

  Rule rule_;
  std::atomic<int> calls_{0};
  std::atomic<int> concurrent_{0};
  mutable core::Mutex mutex_;
  std::set<int> taken_ GANTRY_GUARDED_BY(mutex_);
};

inline TransportResult failure(TransportFailure kind) {
  return std::unexpected(kind);
}

inline TransportResult hang(const Received& received) {
  while (!received.cancel.is_cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return failure(TransportFailure::Cancelled);
}

template <class Condition>
[[nodiscard]] bool eventually(Condition condition) {
  for (int i = 0; i < 20'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

/// A queue with dead letters, and one delivery after the other.
class DeliveryHouse {
 public:
  explicit DeliveryHouse(FakeTime::Mode mode = FakeTime::Mode::Jumps,
                         Destination to = grafana_destination())
      : time(mode), destination(std::move(to)) {
    queue = *Queue::open(files, "/data/broadcast", time, {.age_max = {48 * 3'600'000}});
    letters = *DeadLetters::open(files, "/data/letters", time, {});
    EXPECT_TRUE(queue->add_destination(lane()));
  }

  void append(int first, int count) {
    for (int i = first; i < first + count; ++i) append_bytes(event_payload(i));
  }

  void append_bytes(const std::string& payload) {
    ASSERT_TRUE(queue->append({.stack = 7,
                               .created_ms = time.now().since_epoch,
                               .item_count = 1,
                               .destinations = queue->destinations(),
                               .payload = core::as_bytes(payload)}));
  }

  [[nodiscard]] std::unique_ptr<Delivery> start(Transport& transport,
                                                Delivery::Options options = {}) {
    options.batch_wait = {0};
    auto delivery = Delivery::start(destination,
                                    {.queue = *queue,
                                     .dead_letters = *letters,
                                     .transport = transport,
                                     .clock = time,
                                     .pace = time},
                                    options);
    EXPECT_TRUE(delivery);
    return *std::move(delivery);
  }

  [[nodiscard]] DestinationId lane() const {
    return lane_of(destination.id, signal_of(destination));
  }

  [[nodiscard]] bool is_empty() const { return queue->depth(lane()).items == 0; }

  /// Starts, waits until the queue is empty and stops.
  DeliveryStatistics deliver_all(Transport& transport, Delivery::Options options = {}) {
    auto delivery = start(transport, options);
    EXPECT_TRUE(eventually([&] {
      const auto statistics = delivery->statistics();
      return is_empty() && statistics.batches_in_flight == 0;
    })) << queue->depth(lane()).items
        << " left";
    delivery->stop({0});
    return delivery->statistics();
  }

  [[nodiscard]] std::vector<int> buried() {
    std::vector<int> numbers;
    const auto page = letters->list(destination.id, std::nullopt, 10'000);
    EXPECT_TRUE(page);
    for (const DeadLetter& letter : page->letters) {
      const auto content = letters->read(destination.id, letter.id);
      EXPECT_TRUE(content);
      codec::OtlpTracesDecoder decoder;
      EXPECT_TRUE(decoder.decode_protobuf(content->payload, codec::kNoOtlpTracesLimits));
      for (const auto& span : decoder.batch().spans)
        numbers.push_back(std::stoi(std::string(span.name)));
    }
    std::ranges::sort(numbers);
    return numbers;
  }

  [[nodiscard]] Refusal last_refusal() {
    const auto page = letters->list(destination.id, std::nullopt, 1);
    return page && !page->letters.empty() ? page->letters[0].refusal : Refusal{};
  }

  /// Every event from 0 on was taken or is a dead letter, and was counted once.
  void expect_accounted(const FakeReceiver& receiver, const DeliveryStatistics& statistics,
                        int count) {
    std::set<int> all = receiver.taken();
    const std::vector<int> dead = buried();
    all.insert(dead.begin(), dead.end());
    EXPECT_EQ(all.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(statistics.sent_events + statistics.dead_events, static_cast<std::uint64_t>(count));
    EXPECT_EQ(statistics.dead_events, dead.size());
    EXPECT_EQ(statistics.dropped_events, 0U);
    EXPECT_EQ(queue->finished(lane(), Outcome::Sent), statistics.sent_events);
    EXPECT_EQ(queue->finished(lane(), Outcome::DeadLettered), statistics.dead_events);
  }

  storage::FaultyFileSystem files;
  FakeTime time;
  Destination destination;
  std::unique_ptr<Queue> queue;
  std::unique_ptr<DeadLetters> letters;
};

[[nodiscard]] inline std::uint64_t retries(const DeliveryStatistics& statistics, FailureKind kind) {
  return statistics.retries.at(static_cast<std::size_t>(kind));
}

}  // namespace gantry::broadcast::testing
