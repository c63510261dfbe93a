#pragma once

// One call of the streaming client: a coroutine on a strand of its own.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include "core/mutex.h"
#include "net/answer_parser_internal.h"
#include "net/client_connection_internal.h"
#include "net/io_threads_internal.h"
#include "net/streaming_client.h"
#include "net/timer_internal.h"

namespace gantry::net {

/// What the calls of a client share; outlives their coroutines.
struct ClientShared {
  explicit ClientShared(StreamingClient::Options given);

  std::shared_ptr<IoThreads> io_threads;  ///< Null once stopped; none in `options`.
  const StreamingClient::Options options;
  const std::shared_ptr<asio::io_context> io;
  asio::ssl::context tls{asio::ssl::context::tls_client};
  IdleConnections idle;
  const std::shared_ptr<TimerSet> timers = std::make_shared<TimerSet>();
  std::atomic<std::uint64_t> opened_connections{0};
  std::atomic<std::uint64_t> repeated_calls{0};

  mutable core::Mutex mutex;
  core::ConditionVariable changed;
  std::unordered_map<ClientCall::State*, std::weak_ptr<ClientCall::State>> calls
      GANTRY_GUARDED_BY(mutex);
};

/// Members without a comment belong to the strand.
struct ClientCall::State : std::enable_shared_from_this<ClientCall::State> {
  /// What `request` says, checked.
  struct Prepared {
    EgressUrl url;
    std::string head;  ///< Request line and fields.
  };

  State(ClientShared& shared, CallRequest request);

  /// Starts the coroutine, which keeps this alive until the call is over.
  void start(OnHead on_head);

  // Any thread.
  void read(OnPiece given, std::optional<DurationMs> idle_timeout);
  void cancel();

 private:
  template <class T>
  using Expected = std::expected<T, CallError>;

  Task<void> run(std::shared_ptr<State> self, Expected<Prepared> prepared);
  Task<Expected<AnswerHead>> fetch_head(Expected<Prepared> prepared);
  Task<Expected<void>> connect();
  Task<Expected<Egress::Destination>> resolve();
  Task<ErrorCode> connect_to(const core::IpAddress& address,
                             std::chrono::steady_clock::time_point until);
  Task<Expected<void>> shake_hands();
  Task<Expected<AnswerHead>> exchange();
  Task<void> give_body();
  Task<Expected<std::string>> next_piece();
  Task<ErrorCode> read_some();
  [[nodiscard]] Expected<Prepared> admit();
  Expected<void> parse();
  void start_write();
  void release_connection();
  Task<void> give_error(CallError error);
  Task<void> settle();
  void finish();

  [[nodiscard]] std::unexpected<CallError> failed(CallFailure failure, std::string_view what) const;
  [[nodiscard]] std::unexpected<CallError> failed(CallFailure failure, Code code,
                                                  std::string_view what) const;
  [[nodiscard]] std::unexpected<CallError> stopped() const;

  void stop(CallFailure why);
  void set_deadline(CallFailure kind, DurationMs from_now);
  void clear_deadline();
  void watch_deadline();
  [[nodiscard]] std::chrono::steady_clock::time_point next_deadline() const;

  /// Runs `work` on the strand, at once when this is the strand; not at all when the call is over.
  void on_strand(std::move_only_function<void()> work);

  // Before everything else, since the strand and the sockets belong to it.
  const std::shared_ptr<asio::io_context> io_;
  ClientShared& shared_;
  asio::strand<asio::io_context::executor_type> strand_;
  const CallRequest request_;
  Prepared prepared_;
  OnHead on_head_;
  OnPiece on_piece_;
  DurationMs idle_timeout_;  ///< Of the read that is under way.
  std::shared_ptr<ClientConnection> connection_;
  std::optional<AnswerParser> parser_;
  std::optional<Result<Egress::Destination>> found_;
  std::size_t read_bytes_ = 0;
  Event wake_;

  asio::steady_timer timer_;
  std::chrono::steady_clock::time_point total_deadline_;
  std::chrono::steady_clock::time_point deadline_;
  CallFailure deadline_kind_ = CallFailure::TotalTimeout;
  std::optional<CallFailure> stopped_by_;
  bool is_cancelled_ = false;
  bool is_given_ = false;
  bool is_over_ = false;

  core::Mutex mutex_;
  bool takes_work_ GANTRY_GUARDED_BY(mutex_) = false;
};

/// Errors: BadRequest, Forbidden.
[[nodiscard]] std::expected<ClientCall::State::Prepared, CallError> prepare_call(
    const CallRequest& request, const Egress& egress);

}  // namespace gantry::net
