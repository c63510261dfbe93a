#include "net/io_threads.h"

#include <latch>

#include <boost/asio/post.hpp>
#include <pthread.h>

#include "net/io_threads_internal.h"

namespace gantry::net {

IoThreads::IoThreads(std::size_t count, const std::string& name)
    : impl_(std::make_unique<Impl>(count)) {
  for (std::size_t i = 0; i < count; ++i) {
    impl_->threads.emplace_back([io = impl_->io] { io->run(); });
    pthread_setname_np(impl_->threads.back().native_handle(), name.c_str());
  }
}

IoThreads::~IoThreads() {
  // Not io->stop(): what is queued runs, and drops what it holds.
  impl_->work.reset();
  for (std::thread& thread : impl_->threads) thread.join();
}

void IoThreads::settle() {
  const core::Lock lock(impl_->settling);
  // A thread that has come to the latch runs nothing else.
  const auto all_here =
      std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(impl_->threads.size()));
  for (std::size_t i = 0; i < impl_->threads.size(); ++i) {
    asio::post(*impl_->io, [all_here] { all_here->arrive_and_wait(); });
  }
  all_here->wait();
}

}  // namespace gantry::net
