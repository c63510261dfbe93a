#pragma once

// Threads that serve sockets.
//
//   const auto io = std::make_shared<IoThreads>(2, "http-io");
//   … Server::start({…, .io_threads = io}, …), StreamingClient::make({…, .io_threads = io})
//
// What a handler of the server asks of the client, and what the client answers, then stays on the
// thread that began it: no other has to be woken.

#include <cstddef>
#include <memory>
#include <string>

namespace gantry::net {

/// Whoever uses them holds a pointer: they end with the last.
class IoThreads {
 public:
  /// `name`: as debuggers show it, up to 15 characters.
  IoThreads(std::size_t count, const std::string& name);

  /// Waits until nothing is left to do. Not on one of the threads.
  ~IoThreads();
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  /// Returns once each callback that ran at the time of the call has returned. Not from a callback.
  void settle();

  struct Impl;

  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::net
