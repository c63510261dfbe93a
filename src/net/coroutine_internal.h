#pragma once

// The names of Asio that every coroutine here needs, and how one waits for another.

#include <functional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace gantry::net {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;
template <class T>
using Task = asio::awaitable<T>;

/// Wakes one coroutine of the same strand.
class Event {
 public:
  void set();

  /// Forgets that it was set.
  void reset() { is_set_ = false; }

  /// Returns at once when it was set since the last wait or reset.
  Task<void> wait();

 private:
  bool is_set_ = false;
  std::move_only_function<void()> waiter_;
};

}  // namespace gantry::net
