#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "core/mutex.h"
#include "net/coroutine_internal.h"
#include "net/io_threads.h"

namespace gantry::net {

struct IoThreads::Impl {
  explicit Impl(std::size_t thread_count)
      : io(std::make_shared<asio::io_context>(static_cast<int>(thread_count))),
        work(asio::make_work_guard(*io)) {}

  /// Shared with those that may be freed after the threads have ended.
  const std::shared_ptr<asio::io_context> io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<std::thread> threads;
  core::Mutex settling;  ///< Two at once would each wait for threads that the other holds.
};

}  // namespace gantry::net
