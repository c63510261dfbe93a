#include "net/testing/raw_server.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mutex.h"

namespace gantry::net::testing {

struct RawServer::Connection::Impl {
  int fd = -1;
  SSL* tls = nullptr;
  std::string buffer;

  ~Impl() {
    if (tls != nullptr) {
      SSL_shutdown(tls);
      SSL_free(tls);
    }
  }

  bool fill() {
    std::array<char, 65536> piece;
    const auto count = tls != nullptr
                           ? static_cast<ssize_t>(SSL_read(tls, piece.data(), piece.size()))
                           : ::recv(fd, piece.data(), piece.size(), 0);
    if (count <= 0) return false;
    buffer.append(piece.data(), static_cast<std::size_t>(count));
    return true;
  }
};

std::string RawServer::Connection::read_request() {
  std::size_t end = 0;
  while ((end = impl_.buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!impl_.fill()) return "";
  }
  std::size_t size = end + 4;
  constexpr std::string_view kLength = "Content-Length: ";
  const std::size_t length = impl_.buffer.find(kLength);
  if (length < end)
    size += std::strtoul(impl_.buffer.c_str() + length + kLength.size(), nullptr, 10);
  while (impl_.buffer.size() < size) {
    if (!impl_.fill()) return "";
  }
  std::string request = impl_.buffer.substr(0, size);
  impl_.buffer.erase(0, size);
  return request;
}

bool RawServer::Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = impl_.tls != nullptr
                           ? static_cast<ssize_t>(
                                 SSL_write(impl_.tls, bytes.data(), static_cast<int>(bytes.size())))
                           : ::send(impl_.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

std::size_t RawServer::Connection::send_until_stuck(std::size_t bytes_max) {
  const std::string block(16 << 10, 's');
  std::size_t sent = 0;
  while (sent < bytes_max) {
    pollfd writable{.fd = impl_.fd, .events = POLLOUT, .revents = 0};
    if (::poll(&writable, 1, 100) != 1) break;
    const std::size_t wanted = std::min(block.size(), bytes_max - sent);
    const ssize_t count = ::send(impl_.fd, block.data(), wanted, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) break;
    sent += static_cast<std::size_t>(count);
  }
  return sent;
}

void RawServer::Connection::wait_for_end() {
  while (impl_.fill()) {
  }
}

void RawServer::Connection::reset() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(impl_.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

struct RawServer::Impl {
  Script script;
  int listener = -1;
  std::uint16_t port = 0;
  SSL_CTX* context = nullptr;
  std::atomic<int> count = 0;
  core::Mutex mutex;
  bool is_over GANTRY_GUARDED_BY(mutex) = false;
  std::vector<int> open GANTRY_GUARDED_BY(mutex);
  std::vector<std::thread> threads GANTRY_GUARDED_BY(mutex);
  std::thread acceptor;

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const core::Lock lock(mutex);
      if (is_over) {
        ::close(fd);
        return;
      }
      open.push_back(fd);
      threads.emplace_back([this, fd, ordinal = count++] { serve(fd, ordinal); });
    }
  }

  void serve(int fd, int ordinal) {
    {
      Connection::Impl state;
      state.fd = fd;
      bool is_ready = true;
      if (context != nullptr) {
        state.tls = SSL_new(context);
        SSL_set_fd(state.tls, fd);
        is_ready = SSL_accept(state.tls) == 1;
      }
      Connection connection(state);
      if (is_ready) script(connection, ordinal);
    }
    const core::Lock lock(mutex);
    std::erase(open, fd);
    ::close(fd);
  }
};

RawServer::RawServer(Script script, std::optional<CertificateFiles> tls)
    : impl_(std::make_unique<Impl>()) {
  impl_->script = std::move(script);
  if (tls) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    impl_->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_chain_file(impl_->context, tls->certificate_file.c_str());
    SSL_CTX_use_PrivateKey_file(impl_->context, tls->private_key_file.c_str(), SSL_FILETYPE_PEM);
  }
  impl_->listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(impl_->listener, generic, size) != 0 || ::listen(impl_->listener, 512) != 0 ||
      ::getsockname(impl_->listener, generic, &size) != 0) {
    throw std::runtime_error("no port for the test's server");
  }
  impl_->port = ntohs(address.sin_port);
  impl_->acceptor = std::thread([impl = impl_.get()] { impl->accept_all(); });
}

RawServer::~RawServer() {
  std::vector<std::thread> threads;
  {
    const core::Lock lock(impl_->mutex);
    impl_->is_over = true;
    for (const int fd : impl_->open) ::shutdown(fd, SHUT_RDWR);
    threads.swap(impl_->threads);
  }
  ::shutdown(impl_->listener, SHUT_RDWR);
  impl_->acceptor.join();
  for (std::thread& thread : threads) thread.join();
  ::close(impl_->listener);
  if (impl_->context != nullptr) SSL_CTX_free(impl_->context);
}

std::uint16_t RawServer::port() const {
  return impl_->port;
}

int RawServer::open_count() const {
  const core::Lock lock(impl_->mutex);
  return static_cast<int>(impl_->open.size());
}

int RawServer::connection_count() const {
  return impl_->count;
}

}  // namespace gantry::net::testing
