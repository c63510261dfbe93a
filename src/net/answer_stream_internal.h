#pragma once

// What the writer of a deferred answer and the session that sends it share.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/mutex.h"
#include "net/answer_stream.h"

namespace gantry::net {

/// Thread-safe. The writer's side is AnswerStream; below is the session's.
class LiveAnswer {
 public:
  explicit LiveAnswer(AnswerStream::Options options);
  LiveAnswer(const LiveAnswer&) = delete;
  LiveAnswer& operator=(const LiveAnswer&) = delete;

  void start(int status, Headers headers);
  void respond(Response response);
  AnswerStream::Next write(std::string piece);
  void on_writable(std::move_only_function<void()> ready);
  void finish();
  void abort();

  /// The writer's last handle went.
  void abandon();
  [[nodiscard]] std::size_t unsent_bytes() const;
  [[nodiscard]] bool has_ended() const;

  [[nodiscard]] DurationMs write_timeout() const { return options_.write_timeout; }

  /// From now on `wake` is called, under this object's lock, when there is something to do after a
  /// `take` that found nothing, and at an abort. It only posts. The lock makes sure that the
  /// executor outlives the call: `end` needs it too, and the session comes there before it goes.
  void attach(std::function<void()> wake);

  [[nodiscard]] bool is_aborted() const;

  /// Aborted when something was said already.
  [[nodiscard]] bool is_cut() const;

  /// What the session does next.
  struct Work {
    std::optional<Response> head;  ///< Status and fields, or a whole answer. Comes alone.
    bool is_whole = false;         ///< `head` is all.
    std::string bytes;             ///< Of the body, at most `bytes_max` unless one piece is larger.
    std::move_only_function<void()> ready;  ///< To be called.
    bool is_finished = false;               ///< Nothing follows `bytes`.
    bool is_aborted = false;

    [[nodiscard]] bool is_nothing() const {
      return !head && bytes.empty() && !ready && !is_finished && !is_aborted;
    }
  };

  /// Takes what there is; when that is nothing, `wake` will tell.
  [[nodiscard]] Work take(std::size_t bytes_max);

  /// `count` bytes that `take` gave are in the kernel.
  void sent(std::size_t count);

  /// Once: no more work, callbacks are dropped and `on_end` is called. On the session's strand, or
  /// wherever an answer that never had a session ends. A second call does nothing.
  void end(const AnswerEnd& how);

 private:
  void wake_session() GANTRY_REQUIRES(mutex_);

  AnswerStream::Options options_;
  mutable core::Mutex mutex_;
  std::function<void()> wake_ GANTRY_GUARDED_BY(mutex_);
  bool is_session_waiting_ GANTRY_GUARDED_BY(mutex_) = false;
  std::optional<Response> head_ GANTRY_GUARDED_BY(mutex_);
  bool is_started_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_whole_ GANTRY_GUARDED_BY(mutex_) = false;
  std::deque<std::string> pieces_ GANTRY_GUARDED_BY(mutex_);
  std::size_t unsent_bytes_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::move_only_function<void()> ready_ GANTRY_GUARDED_BY(mutex_);
  bool is_finished_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_aborted_ GANTRY_GUARDED_BY(mutex_) = false;
  bool has_ended_ GANTRY_GUARDED_BY(mutex_) = false;
};

/// Travels in a Response from the handler to the session. When it is lost on the way, the answer
/// ends as Refused.
class DeferredAnswer {
 public:
  explicit DeferredAnswer(std::shared_ptr<LiveAnswer> live) : live_(std::move(live)) {}

  ~DeferredAnswer();
  DeferredAnswer(const DeferredAnswer&) = delete;
  DeferredAnswer& operator=(const DeferredAnswer&) = delete;

  /// Whoever takes it will end it.
  [[nodiscard]] std::shared_ptr<LiveAnswer> take() { return std::move(live_); }

 private:
  std::shared_ptr<LiveAnswer> live_;
};

}  // namespace gantry::net
