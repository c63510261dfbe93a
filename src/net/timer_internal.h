#pragma once

// Timers and those who must end them.

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/mutex.h"
#include "net/coroutine_internal.h"
#include "net/timer.h"

namespace gantry::net {

/// The timers of one io_context. Thread-safe.
class TimerSet {
 public:
  void add(const std::shared_ptr<Timer::State>& timer);
  void remove(Timer::State* timer);

  /// None of them calls back any more, and none keeps its io_context at work.
  void stop();

 private:
  core::Mutex mutex_;
  std::unordered_map<Timer::State*, std::weak_ptr<Timer::State>> timers_ GANTRY_GUARDED_BY(mutex_);
};

/// Thread-safe.
struct Timer::State : std::enable_shared_from_this<Timer::State> {
  static std::shared_ptr<State> make(std::shared_ptr<asio::io_context> io,
                                     std::shared_ptr<TimerSet> set);

  State(std::shared_ptr<asio::io_context> given_io, std::shared_ptr<TimerSet> given_set);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void start(DurationMs after, std::move_only_function<void()> on_due);
  void cancel();
  void stop();

 private:
  void call_back(std::uint64_t round);

  const std::shared_ptr<asio::io_context> io_;  // before the timer, which belongs to it
  const std::shared_ptr<TimerSet> set_;
  core::Mutex mutex_;
  asio::steady_timer timer_ GANTRY_GUARDED_BY(mutex_);
  std::move_only_function<void()> on_due_ GANTRY_GUARDED_BY(mutex_);
  std::uint64_t round_ GANTRY_GUARDED_BY(mutex_) = 0;  ///< Waits of earlier rounds mean nothing.
  bool is_stopped_ GANTRY_GUARDED_BY(mutex_) = false;
};

}  // namespace gantry::net
