#include <utility>

#include <boost/asio/use_awaitable.hpp>

#include "net/coroutine_internal.h"

namespace gantry::net {

void Event::set() {
  is_set_ = true;
  if (auto waiter = std::exchange(waiter_, nullptr)) waiter();
}

Task<void> Event::wait() {
  if (!is_set_) {
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
        [this](auto handler) { waiter_ = std::move(handler); }, asio::use_awaitable);
  }
  is_set_ = false;
}

}  // namespace gantry::net
