#pragma once

// What the programs of the gateway's benchmark share: an epoll loop for one thread, its clock, and
// sockets of this machine that do not block. Nothing here can go on after a failed system call, so
// that each ends the program with its reason.

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <span>
#include <string_view>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace gantry::bench {

inline constexpr std::int64_t kSecondNs = 1'000'000'000;
inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

/// The same clock in every process of the machine: a time that one sends can be compared by
/// another.
inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

inline void check(bool is_well, std::string_view what) {
  if (is_well) return;
  fmt::print(stderr, "{}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

/// Edge-triggered: whoever is told of a socket reads and writes until it would block.
class EventLoop {
 public:
  EventLoop() : descriptor_(epoll_create1(EPOLL_CLOEXEC)) {
    check(descriptor_ >= 0, "epoll_create1");
    // By default the kernel lets timers of a thread be 50 µs late: as long as what is measured.
    check(prctl(PR_SET_TIMERSLACK, 1UL) == 0, "prctl");
    rlimit sockets{};  // by default often 1,024
    check(getrlimit(RLIMIT_NOFILE, &sockets) == 0, "getrlimit");
    sockets.rlim_cur = sockets.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &sockets) == 0, "setrlimit");
  }

  /// `token` comes back with each event, until the socket is closed.
  void watch(int socket, std::uint64_t token) const {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = token;
    check(epoll_ctl(descriptor_, EPOLL_CTL_ADD, socket, &event) == 0, "epoll_ctl");
  }

  /// Returns when something happens, at the latest at `until_ns`. The events are valid until the
  /// next call.
  std::span<const epoll_event> wait(std::int64_t until_ns) {
    timespec left{};
    if (const std::int64_t now = now_ns(); until_ns > now && until_ns != kNever) {
      left.tv_sec = (until_ns - now) / kSecondNs;
      left.tv_nsec = (until_ns - now) % kSecondNs;
    }
    const int count = epoll_pwait2(descriptor_, events_.data(), static_cast<int>(events_.size()),
                                   until_ns == kNever ? nullptr : &left, nullptr);
    check(count >= 0 || errno == EINTR, "epoll_pwait2");
    return std::span(events_).first(count > 0 ? static_cast<std::size_t>(count) : 0);
  }

 private:
  int descriptor_;
  std::array<epoll_event, 64> events_{};
};

inline sockaddr_in local_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline int make_socket() {
  const int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(made >= 0, "socket");
  return made;
}

/// Small writes go out at once.
inline void send_at_once(int socket) {
  const int on = 1;
  check(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
}

/// What became of reading or writing until it would block.
enum class Progress : std::uint8_t { Open, Closed };

/// Hands each piece to `consume` as it comes.
template <class Consume>
Progress read_all(int socket, Consume consume) {
  std::array<char, 64 << 10> buffer;
  while (true) {
    const ssize_t size = recv(socket, buffer.data(), buffer.size(), 0);
    if (size > 0) {
      consume(std::string_view(buffer.data(), static_cast<std::size_t>(size)));
    } else if (size < 0 && errno == EINTR) {
      continue;
    } else {
      return size < 0 && errno == EAGAIN ? Progress::Open : Progress::Closed;
    }
  }
}

/// Takes what was sent off the front of `left`.
inline Progress write_some(int socket, std::string_view& left) {
  while (!left.empty()) {
    const ssize_t size = send(socket, left.data(), left.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      left.remove_prefix(static_cast<std::size_t>(size));
    } else if (errno != EINTR) {
      return errno == EAGAIN ? Progress::Open : Progress::Closed;
    }
  }
  return Progress::Open;
}

}  // namespace gantry::bench
