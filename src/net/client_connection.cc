#include <cerrno>

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "net/client_connection_internal.h"

namespace gantry::net {

void ClientConnection::close() {
  ErrorCode ignored;
  socket.close(ignored);
}

bool ClientConnection::is_quiet() {
  char byte = 0;
  const ssize_t count = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool ClientConnection::is_empty() {
  if (buffer.size() > 0) return false;
  if (!tls) return true;
  // What is not decrypted yet, too.
  SSL* const handle = tls->native_handle();
  return SSL_has_pending(handle) == 0 && BIO_pending(SSL_get_rbio(handle)) == 0;
}

bool IdleConnections::is_usable(ClientConnection& connection, std::int64_t now_ns) const {
  const std::int64_t idle_ms = (now_ns - connection.idle_since_ns) / 1'000'000;
  return idle_ms < limits_.timeout.count && connection.is_quiet();
}

std::shared_ptr<ClientConnection> IdleConnections::take(const std::string& origin) {
  const std::int64_t now_ns = monotonic_ns();
  const core::Lock lock(mutex_);
  const auto found = by_origin_.find(origin);
  if (found == by_origin_.end()) return nullptr;
  std::shared_ptr<ClientConnection> taken;
  auto& connections = found->second;
  while (taken == nullptr && !connections.empty()) {
    if (is_usable(*connections.back(), now_ns)) {
      taken = std::move(connections.back());
      taken->is_reused = true;
    }
    connections.pop_back();
    --count_;
  }
  if (connections.empty()) by_origin_.erase(found);
  return taken;
}

void IdleConnections::put(const std::string& origin, std::shared_ptr<ClientConnection> connection) {
  connection->idle_since_ns = monotonic_ns();
  connection->buffer.clear();
  connection->buffer.shrink_to_fit();
  const core::Lock lock(mutex_);
  auto& connections = by_origin_[origin];
  if (connections.size() >= limits_.per_origin_max || count_ >= limits_.count_max) {
    if (connections.empty()) by_origin_.erase(origin);
    return;
  }
  connections.push_back(std::move(connection));
  ++count_;
}

void IdleConnections::sweep() {
  const std::int64_t now_ns = monotonic_ns();
  const core::Lock lock(mutex_);
  for (auto each = by_origin_.begin(); each != by_origin_.end();) {
    auto& connections = each->second;
    count_ -= std::erase_if(connections, [&](const auto& one) { return !is_usable(*one, now_ns); });
    each = connections.empty() ? by_origin_.erase(each) : std::next(each);
  }
}

void IdleConnections::close_all() {
  const core::Lock lock(mutex_);
  by_origin_.clear();
  count_ = 0;
}

std::size_t IdleConnections::count() const {
  const core::Lock lock(mutex_);
  return count_;
}

}  // namespace gantry::net
