#include <chrono>
#include <utility>
#include <vector>

#include "net/timer_internal.h"

namespace gantry::net {

Timer::~Timer() {
  state_->cancel();
}

void Timer::start(DurationMs after, std::move_only_function<void()> on_due) {
  state_->start(after, std::move(on_due));
}

void Timer::cancel() {
  state_->cancel();
}

std::shared_ptr<Timer::State> Timer::State::make(std::shared_ptr<asio::io_context> io,
                                                 std::shared_ptr<TimerSet> set) {
  auto state = std::make_shared<State>(std::move(io), std::move(set));
  state->set_->add(state);
  return state;
}

Timer::State::State(std::shared_ptr<asio::io_context> given_io, std::shared_ptr<TimerSet> given_set)
    : io_(std::move(given_io)), set_(std::move(given_set)), timer_(*io_) {}

Timer::State::~State() {
  set_->remove(this);
}

void Timer::State::start(DurationMs after, std::move_only_function<void()> on_due) {
  std::move_only_function<void()> dropped;  // destroyed after the lock: it may own this timer
  const core::Lock lock(mutex_);
  if (is_stopped_) {
    dropped = std::move(on_due);
    return;
  }
  dropped = std::exchange(on_due_, std::move(on_due));
  timer_.expires_after(std::chrono::milliseconds(after.count));
  timer_.async_wait(
      [self = shared_from_this(), round = ++round_](ErrorCode) { self->call_back(round); });
}

void Timer::State::cancel() {
  std::move_only_function<void()> dropped;
  const core::Lock lock(mutex_);
  dropped = std::exchange(on_due_, nullptr);
  ++round_;
  timer_.cancel();
}

void Timer::State::stop() {
  {
    const core::Lock lock(mutex_);
    is_stopped_ = true;
  }
  cancel();
}

void Timer::State::call_back(std::uint64_t round) {
  std::move_only_function<void()> due;
  {
    const core::Lock lock(mutex_);
    if (round == round_) due = std::exchange(on_due_, nullptr);
  }
  if (due) due();
}

void TimerSet::add(const std::shared_ptr<Timer::State>& timer) {
  const core::Lock lock(mutex_);
  timers_.emplace(timer.get(), timer);
}

void TimerSet::remove(Timer::State* timer) {
  const core::Lock lock(mutex_);
  timers_.erase(timer);
}

void TimerSet::stop() {
  std::vector<std::shared_ptr<Timer::State>> alive;
  {
    const core::Lock lock(mutex_);
    for (const auto& [address, timer] : timers_) {
      if (auto state = timer.lock()) alive.push_back(std::move(state));
    }
  }
  for (const auto& timer : alive) timer->stop();
}

}  // namespace gantry::net
