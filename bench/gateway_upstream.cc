// A model provider that answers chat completions in OpenAI's shape at a fixed pace, so that
// everything above it is a gateway's doing. Prints one JSON line with its port, and serves until it
// is ended.
//
//   bench_gateway_upstream --delay-ms 0 --answer-bytes 2048 --chunks 10 --interval-ms 20
//
// An answer comes --delay-ms after the last byte of its request; a stream then sends a chunk each
// --interval-ms. The content of each chunk begins with "sent=" and the time at which it was sent,
// 19 digits, in nanoseconds of CLOCK_MONOTONIC: whoever reads it on this machine knows how long it
// took. One thread: some microseconds for each request and for each chunk.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event_loop.h"
#include "flags.h"
#include "http_text.h"

namespace {

using gantry::bench::check;
using gantry::bench::EventLoop;
using gantry::bench::kNever;
using gantry::bench::now_ns;
using gantry::bench::Progress;

constexpr std::uint64_t kListener = 0;
constexpr std::int64_t kMillisecondNs = 1'000'000;
constexpr std::string_view kUsage =
    R"("usage":{"prompt_tokens":250,"completion_tokens":128,"total_tokens":378})";
constexpr std::string_view kChunkHead =
    R"({"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,)"
    R"("model":"bench",)";

struct Pace {
  std::uint16_t port = 0;  ///< 0: the kernel's choice.
  std::int64_t delay_ns = 0;
  std::size_t answer_bytes = 2048;
  std::size_t chunks = 10;
  std::size_t chunk_bytes = 20;  ///< Of content, after the time.
  std::int64_t interval_ns = 20 * kMillisecondNs;
};

/// Whether the body has the member `name` with the value true. Enough for bodies whose texts do not
/// quote it.
bool has_true(std::string_view body, std::string_view name) {
  std::size_t at = body.find(fmt::format("\"{}\"", name));
  if (at == std::string_view::npos) return false;
  at = body.find_first_not_of(" \t\r\n:", at + name.size() + 2);
  return at != std::string_view::npos && body.substr(at).starts_with("true");
}

std::string whole_answer(std::string_view status, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", status,
      body.size(), body);
}

/// A chat completion of `bytes`, as far as its frame is not longer.
std::string chat_completion(std::size_t bytes) {
  const std::string head =
      R"({"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,"model":"bench",)"
      R"("choices":[{"index":0,"message":{"role":"assistant","content":")";
  const std::string tail = fmt::format(R"("}},"finish_reason":"stop"}}],{}}})", kUsage);
  std::string content;
  while (head.size() + content.size() + tail.size() < bytes)
    content += content.size() % 6 == 5 ? ' ' : 'a';
  return head + content + tail;
}

void add_event(std::string& out, std::string_view data) {
  out += fmt::format("{:x}\r\ndata: {}\n\n\r\n", data.size() + 8, data);
}

struct Connection {
  int socket = -1;
  std::string input;
  std::string output;    // what the socket has not taken yet
  bool is_busy = false;  // a request is being answered
  bool is_stream = false;
  bool wants_usage = false;
  std::size_t chunks_sent = 0;
};

class Upstream {
 public:
  explicit Upstream(const Pace& pace)
      : pace_(pace),
        answer_(whole_answer("200 OK", chat_completion(pace.answer_bytes))),
        filler_(pace.chunk_bytes, 'a') {}

  /// Returns the port.
  std::uint16_t listen() {
    listener_ = gantry::bench::make_socket();
    const int on = 1;
    check(setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, "SO_REUSEADDR");
    sockaddr_in address = gantry::bench::local_address(pace_.port);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    check(bind(listener_, any, size) == 0, "bind");
    check(::listen(listener_, SOMAXCONN) == 0, "listen");
    check(getsockname(listener_, any, &size) == 0, "getsockname");
    loop_.watch(listener_, kListener);
    return ntohs(address.sin_port);
  }

  [[noreturn]] void serve() {
    while (true) {
      for (const epoll_event& event : loop_.wait(due_.empty() ? kNever : due_.top().first)) {
        if (event.data.u64 == kListener) {
          accept_all();
        } else if (const auto found = connections_.find(event.data.u64);
                   found != connections_.end()) {
          serve_connection(found->first, *found->second);
        }
      }
      send_due();
    }
  }

 private:
  void accept_all() {
    while (true) {
      const int socket = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) {
        check(errno == EAGAIN || errno == ECONNABORTED, "accept4");
        if (errno == EAGAIN) return;
        continue;
      }
      gantry::bench::send_at_once(socket);
      auto connection = std::make_unique<Connection>();
      connection->socket = socket;
      connections_.emplace(++last_token_, std::move(connection));
      loop_.watch(socket, last_token_);
    }
  }

  void serve_connection(std::uint64_t token, Connection& connection) {
    const Progress read = gantry::bench::read_all(
        connection.socket, [&](std::string_view piece) { connection.input += piece; });
    take_request(token, connection);
    if (read == Progress::Closed || flush(connection) == Progress::Closed) close(token, connection);
  }

  void close(std::uint64_t token, const Connection& connection) {
    ::close(connection.socket);
    connections_.erase(token);
  }

  /// If one is there and none is being answered.
  void take_request(std::uint64_t token, Connection& connection) {
    const auto head = gantry::bench::find_head(connection.input);
    if (connection.is_busy || !head) return;
    const std::string_view length = gantry::bench::find_field(*head, "content-length");
    if (!head->starts_with("POST ") || head->find("/chat/completions ") > head->find("\r\n")) {
      return refuse(connection, "404 Not Found", "this provider has chat completions only");
    }
    const auto size = gantry::bench::parse_size(length);
    if (!size) return refuse(connection, "411 Length Required", "a length is needed");
    if (connection.input.size() < head->size() + *size) return;
    const std::string_view body = std::string_view(connection.input).substr(head->size(), *size);
    connection.is_busy = true;
    connection.is_stream = has_true(body, "stream");
    connection.wants_usage = has_true(body, "include_usage");
    connection.chunks_sent = 0;
    connection.input.erase(0, head->size() + *size);
    if (pace_.delay_ns > 0) {
      due_.emplace(now_ns() + pace_.delay_ns, token);
    } else {
      answer(token, connection, now_ns());
    }
  }

  static void refuse(Connection& connection, std::string_view status, std::string_view why) {
    connection.output +=
        whole_answer(status, fmt::format(R"({{"error":{{"message":"{}"}}}})", why));
    connection.input.clear();
  }

  void send_due() {
    while (!due_.empty() && due_.top().first <= now_ns()) {
      const auto [at_ns, token] = due_.top();
      due_.pop();
      const auto found = connections_.find(token);
      if (found == connections_.end()) continue;
      answer(token, *found->second, at_ns);
      if (flush(*found->second) == Progress::Closed) close(token, *found->second);
    }
  }

  /// Adds what is due at `at_ns` to the output.
  void answer(std::uint64_t token, Connection& connection, std::int64_t at_ns) {
    if (!connection.is_stream) {
      connection.output += answer_;
      return finish(token, connection);
    }
    if (connection.chunks_sent == 0) {
      connection.output +=
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
          "chunked\r\n\r\n";
    }
    const std::string_view role = connection.chunks_sent == 0 ? R"("role":"assistant",)" : "";
    const std::string delta =
        fmt::format(R"({{{}"content":"sent={:019} {}"}})", role, now_ns(), filler_);
    add_event(connection.output,
              fmt::format(R"({}"choices":[{{"index":0,"delta":{},"finish_reason":null}}]}})",
                          kChunkHead, delta));
    if (++connection.chunks_sent < pace_.chunks) {
      due_.emplace(at_ns + pace_.interval_ns, token);
      return;
    }
    add_event(connection.output,
              fmt::format(R"({}"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]}})",
                          kChunkHead));
    if (connection.wants_usage)
      add_event(connection.output, fmt::format(R"({}"choices":[],{}}})", kChunkHead, kUsage));
    add_event(connection.output, "[DONE]");
    connection.output += "0\r\n\r\n";
    finish(token, connection);
  }

  void finish(std::uint64_t token, Connection& connection) {
    connection.is_busy = false;
    if (!connection.input.empty()) take_request(token, connection);
  }

  static Progress flush(Connection& connection) {
    std::string_view left = connection.output;
    const Progress progress = gantry::bench::write_some(connection.socket, left);
    connection.output.erase(0, connection.output.size() - left.size());
    return progress;
  }

  using Due = std::pair<std::int64_t, std::uint64_t>;  // when, and whose

  Pace pace_;
  std::string answer_;
  std::string filler_;
  EventLoop loop_;
  int listener_ = -1;
  std::uint64_t last_token_ = kListener;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace

int main(int count, char** arguments) {
  Pace pace;
  for (const auto& [name, value] : gantry::bench::read_flags(count, arguments)) {
    const auto number = gantry::bench::parse_size(value).value_or(0);
    if (name == "port")
      pace.port = static_cast<std::uint16_t>(number);
    else if (name == "delay-ms")
      pace.delay_ns = static_cast<std::int64_t>(number) * kMillisecondNs;
    else if (name == "answer-bytes")
      pace.answer_bytes = number;
    else if (name == "chunks")
      pace.chunks = number;
    else if (name == "chunk-bytes")
      pace.chunk_bytes = number;
    else if (name == "interval-ms")
      pace.interval_ns = static_cast<std::int64_t>(number) * kMillisecondNs;
    else {
      fmt::print(stderr, "unknown flag --{}\n", name);
      return 2;
    }
  }
  Upstream upstream(pace);
  fmt::print("{{\"port\": {}}}\n", upstream.listen());
  std::fflush(stdout);
  upstream.serve();
}
