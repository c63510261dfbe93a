#pragma once

// A call back after some time, without a thread that waits for it.

#include <functional>
#include <memory>
#include <utility>

#include "core/time.h"

namespace gantry::net {

/// Made by StreamingClient::make_timer. Thread-safe; nothing blocks. Callbacks run on an I/O thread
/// of the client, never inside one of these functions; they must not block or throw.
class Timer {
 public:
  struct State;

  explicit Timer(std::shared_ptr<State> state) : state_(std::move(state)) {}

  /// As `cancel`.
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Calls `on_due` once, `after` from now. Replaces what was to be called before.
  void start(DurationMs after, std::move_only_function<void()> on_due);

  /// A callback that runs already goes on.
  void cancel();

 private:
  std::shared_ptr<State> state_;
};

}  // namespace gantry::net
