#pragma once

// The events of a provider's stream as they arrive.
//
//   events->wait([self](auto ready) {          // owner kept alive by the callback
//     while (const auto event = …events.next()) …
//     if (!events.has_ended()) events->wait(…);
//   });

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"
#include "gateway/sse_reader.h"
#include "net/streaming_client.h"

namespace gantry::gateway {

/// One consumer, which calls nothing but `cancel` while it waits. Callbacks are those of the call.
class UpstreamEvents {
 public:
  using OnReady = std::move_only_function<void(std::expected<void, net::CallError>)>;

  /// `call` has given its head. An event must be complete `idle_timeout` after its wait began:
  /// comments do not count.
  UpstreamEvents(std::shared_ptr<net::ClientCall> call, DurationMs idle_timeout);
  UpstreamEvents(const UpstreamEvents&) = delete;
  UpstreamEvents& operator=(const UpstreamEvents&) = delete;

  /// Calls back once there is an event, or the stream's end or failure. This object must live until
  /// then: `ready` owns whoever owns it.
  void wait(OnReady ready);

  /// What has arrived; nothing: wait, unless the stream is over. As SseReader::next.
  Result<std::optional<SseEvent>> next();

  /// What next() will give; of a wait that has just come back.
  [[nodiscard]] const Result<std::optional<SseEvent>>& peek() const { return *pending_; }

  /// The provider's body is over. What it left may still come from next().
  [[nodiscard]] bool has_ended() const { return has_ended_; }

  /// What came before the first event: an answer that is no stream of events, perhaps. At most
  /// 64 KiB of it; "" once there was an event.
  [[nodiscard]] std::string_view preamble() const { return preamble_; }

  /// Any thread; the wait that is under way, or the next one, gets Cancelled.
  void cancel() { call_->cancel(); }

  /// Reads what little may follow the last event, so that the connection serves another call, and
  /// closes it if that takes long. Nothing else is called after it.
  void release();

 private:
  void take(std::expected<std::string, net::CallError> piece);
  void read_on();

  const std::shared_ptr<net::ClientCall> call_;
  DurationMs idle_timeout_;
  SseReader reader_;
  OnReady ready_;
  std::int64_t waits_since_ns_ = 0;
  std::optional<Result<std::optional<SseEvent>>> pending_;  ///< The reader gave it already.
  std::string preamble_;
  bool has_event_ = false;
  bool has_ended_ = false;
};

}  // namespace gantry::gateway
