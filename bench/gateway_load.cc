// Asks for chat completions on a fixed schedule, whatever becomes of those before, and prints one
// JSON line.
//
//   bench_gateway_load --url http://127.0.0.1:9490/v1/chat/completions --rate 500 --seconds 5
//   --stream 1 --expect-chunks 10 --headers "Authorization: Bearer gk_…"
//
// Open loop: request number i is due at i / rate, and its latency is counted from then, also when
// it has to wait for a connection. A server that stalls is thus charged for all who would have come
// meanwhile. Requests that have no answer when the drain is over count with the time that they had
// waited. Connections are kept; the one used last is used next, and a new one is opened when all
// are in use. Those of the first --warmup-seconds are sent and not counted.
//
// A stream's first byte is that of its body. The delay of a chunk is the time from when the
// upstream of this benchmark sent it, which its content says, to when it is here. One thread.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
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

using gantry::bench::AnswerReader;
using gantry::bench::check;
using gantry::bench::EventLoop;
using gantry::bench::kSecondNs;
using gantry::bench::now_ns;
using gantry::bench::Progress;

constexpr std::string_view kSentMark = "sent=";  // then the time, in 19 digits
constexpr std::size_t kTimeDigits = 19;
constexpr std::size_t kFailuresShown = 3;

struct Options {
  std::string host;
  std::uint16_t port = 0;
  std::string path;
  std::string headers;  ///< One a line.
  std::string model = "bench";
  std::int64_t rate = 100;  ///< Requests per second.
  std::int64_t seconds = 5;
  std::int64_t warmup_seconds = 1;
  std::int64_t drain_seconds = 10;
  std::size_t prompt_bytes = 1024;
  std::size_t connections_max = 4096;
  std::size_t chunks_expected = 0;
  bool is_stream = false;
};

/// False unless it is like http://127.0.0.1:9490/v1/chat/completions.
bool read_url(std::string_view url, Options& out) {
  constexpr std::string_view kScheme = "http://127.0.0.1:";
  const std::size_t slash = url.find('/', kScheme.size());
  if (!url.starts_with(kScheme) || slash == std::string_view::npos) return false;
  out.host = url.substr(7, slash - 7);
  const auto port = gantry::bench::parse_size(url.substr(kScheme.size()));
  out.port = static_cast<std::uint16_t>(port.value_or(0));
  out.path = url.substr(slash);
  return out.port != 0;
}

std::string make_request(const Options& options) {
  std::string prompt;
  while (prompt.size() < options.prompt_bytes) prompt += "Which signal is it? ";
  prompt.resize(options.prompt_bytes);
  const std::string body =
      fmt::format(R"({{"model":"{}","max_tokens":256,"temperature":0.5,"stream":{},"messages":[)"
                  R"({{"role":"system","content":"Answer in one sentence."}},)"
                  R"({{"role":"user","content":"{}"}}]}})",
                  options.model, options.is_stream, prompt);
  std::string headers;
  for (const char c : options.headers) headers += c == '\n' ? "\r\n" : std::string(1, c);
  if (!headers.empty()) headers += "\r\n";
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: */*\r\n{}"
      "Content-Length: {}\r\n\r\n{}",
      options.path, options.host, headers, body.size(), body);
}

struct Call {
  std::int64_t due_ns = 0;
  bool is_measured = false;
};

struct Connection {
  int socket = -1;
  std::optional<Call> call;
  std::string_view left;  // of the request, to be sent
  AnswerReader answer;
  std::int64_t first_byte_ns = 0;
  std::size_t body_read = 0;  // up to where its chunks were counted
  std::size_t chunks = 0;
};

/// What was measured, in nanoseconds, in no order.
struct Latencies {
  std::vector<std::int64_t> values;

  [[nodiscard]] std::string json() {
    if (values.empty()) return "null";
    std::ranges::sort(values);
    const auto at = [&](double share) {  // the nearest rank
      const auto rank = std::ceil(share * static_cast<double>(values.size()));
      return static_cast<double>(values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1]) / 1e6;
    };
    return fmt::format(
        R"({{"p50": {:.4f}, "p90": {:.4f}, "p99": {:.4f}, "p999": {:.4f}, "max": {:.4f}}})",
        at(0.5), at(0.9), at(0.99), at(0.999), at(1));
  }
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), request_(make_request(options)) {}

  void run() {
    const std::int64_t calls = options_.rate * (options_.warmup_seconds + options_.seconds);
    start_ns_ = now_ns();
    const std::int64_t deadline_ns = due_ns(calls) + options_.drain_seconds * kSecondNs;
    while ((next_ < calls || busy_ > 0 || !waiting_.empty()) && now_ns() < deadline_ns) {
      while (next_ < calls && due_ns(next_) <= now_ns()) begin_call(next_++);
      for (const epoll_event& event : loop_.wait(next_ < calls ? due_ns(next_) : deadline_ns)) {
        const auto found = connections_.find(event.data.u64);
        if (found != connections_.end()) progress(found->first, *found->second);
      }
    }
    for (const Call& call : waiting_) give_up(call);
    for (const auto& [token, connection] : connections_)
      if (connection->call) give_up(*connection->call);
  }

  [[nodiscard]] std::string json() {
    return fmt::format(R"({{"rate": {}, "sent": {}, "measured": {}, "answered": {}, "failed": {}, )"
                       R"("unfinished": {}, "connections": {}, "late_ms": {}, "total_ms": {}, )"
                       R"("first_byte_ms": {}, "chunk_ms": {}}})",
                       options_.rate, next_, options_.rate * options_.seconds, answered_, failed_,
                       unfinished_, opened_, late_.json(), total_.json(), first_byte_.json(),
                       chunk_.json());
  }

 private:
  [[nodiscard]] std::int64_t due_ns(std::int64_t number) const {
    return start_ns_ + number * kSecondNs / options_.rate;
  }

  void begin_call(std::int64_t number) {
    const Call call{.due_ns = due_ns(number),
                    .is_measured = number >= options_.rate * options_.warmup_seconds};
    // How late this program itself is: more than a little, and the run measures the wrong thing.
    if (call.is_measured) late_.values.push_back(now_ns() - call.due_ns);
    waiting_.push_back(call);
    if (idle_.empty() && connections_.size() < options_.connections_max) open();
    send_waiting();
  }

  void open() {
    auto connection = std::make_unique<Connection>();
    connection->socket = gantry::bench::make_socket();
    gantry::bench::send_at_once(connection->socket);
    const sockaddr_in address = gantry::bench::local_address(options_.port);
    const int connected =
        connect(connection->socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    check(connected == 0 || errno == EINPROGRESS, "connect");
    loop_.watch(connection->socket, ++opened_);
    idle_.push_back(opened_);
    connections_.emplace(opened_, std::move(connection));
  }

  void send_waiting() {
    while (!waiting_.empty() && !idle_.empty()) {
      const std::uint64_t token = idle_.back();
      idle_.pop_back();
      Connection& connection = *connections_.at(token);
      connection.call = waiting_.front();
      waiting_.pop_front();
      connection.left = request_;
      connection.answer.begin();
      connection.first_byte_ns = 0;
      connection.body_read = 0;
      connection.chunks = 0;
      ++busy_;
      write(token, connection);
    }
  }

  /// A connection that is not made yet is tried again when it is: the event tells.
  void write(std::uint64_t token, Connection& connection) {
    if (gantry::bench::write_some(connection.socket, connection.left) == Progress::Open) return;
    lose(token, connection);
  }

  void progress(std::uint64_t token, Connection& connection) {
    AnswerReader::State state = AnswerReader::State::Head;
    const Progress read = gantry::bench::read_all(connection.socket, [&](std::string_view piece) {
      state = connection.answer.read(piece);
      note_body(connection, now_ns());
    });
    if (state == AnswerReader::State::Done && connection.call) {
      finish(token, connection, read);
    } else if (read == Progress::Closed || state == AnswerReader::State::Broken) {
      lose(token, connection);
    } else if (!connection.left.empty()) {
      write(token, connection);
    }
    send_waiting();
  }

  void note_body(Connection& connection, std::int64_t at_ns) {
    const std::string& body = connection.answer.body();
    if (!connection.call || body.empty()) return;
    if (connection.first_byte_ns == 0) connection.first_byte_ns = at_ns;
    if (!options_.is_stream) return;
    while (true) {
      const std::size_t mark = body.find(kSentMark, connection.body_read);
      const std::size_t digits = mark + kSentMark.size();
      if (mark == std::string::npos || digits + kTimeDigits > body.size()) return;
      std::int64_t sent_ns = 0;
      std::from_chars(body.data() + digits, body.data() + digits + kTimeDigits, sent_ns);
      if (connection.call->is_measured) chunk_.values.push_back(at_ns - sent_ns);
      ++connection.chunks;
      connection.body_read = digits + kTimeDigits;
    }
  }

  void finish(std::uint64_t token, Connection& connection, Progress read) {
    const std::string& body = connection.answer.body();
    const bool is_whole = options_.is_stream ? connection.chunks == options_.chunks_expected &&
                                                   body.contains("data: [DONE]")
                                             : body.contains("\"choices\"");
    if (connection.answer.status() != 200 || !is_whole) {
      count_failure(*connection.call,
                    fmt::format("status {}, {} chunks: {}", connection.answer.status(),
                                connection.chunks, body.substr(0, 500)));
    } else if (connection.call->is_measured) {
      ++answered_;
      total_.values.push_back(now_ns() - connection.call->due_ns);
      if (options_.is_stream)
        first_byte_.values.push_back(connection.first_byte_ns - connection.call->due_ns);
    }
    connection.call.reset();
    --busy_;
    if (read == Progress::Open && connection.left.empty() && connection.answer.keeps_alive()) {
      idle_.push_back(token);
    } else {
      close(token, connection);
    }
  }

  /// The server has closed it, or speaks something else.
  void lose(std::uint64_t token, Connection& connection) {
    if (connection.call) {
      count_failure(*connection.call, "the connection was closed before the end of the answer");
      --busy_;
    }
    close(token, connection);
  }

  void close(std::uint64_t token, const Connection& connection) {
    ::close(connection.socket);
    std::erase(idle_, token);
    connections_.erase(token);
    if (idle_.empty() && !waiting_.empty()) open();
  }

  void count_failure(const Call& call, std::string_view why) {
    if (failures_shown_++ < kFailuresShown) fmt::print(stderr, "request failed: {}\n", why);
    if (call.is_measured) ++failed_;
  }

  void give_up(const Call& call) {
    if (!call.is_measured) return;
    ++unfinished_;
    total_.values.push_back(now_ns() - call.due_ns);
    if (options_.is_stream) first_byte_.values.push_back(now_ns() - call.due_ns);
  }

  Options options_;
  std::string request_;
  EventLoop loop_;
  std::int64_t start_ns_ = 0;
  std::int64_t next_ = 0;  // the number of the next call
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::uint64_t> idle_;
  std::deque<Call> waiting_;
  std::uint64_t opened_ = 0;
  std::size_t busy_ = 0;
  std::size_t answered_ = 0;
  std::size_t failed_ = 0;
  std::size_t unfinished_ = 0;
  std::size_t failures_shown_ = 0;
  Latencies late_;
  Latencies total_;
  Latencies first_byte_;
  Latencies chunk_;
};

/// False for a name that is none.
bool set_number(Options& options, std::string_view name, std::int64_t value) {
  if (name == "rate")
    options.rate = std::max<std::int64_t>(value, 1);
  else if (name == "seconds")
    options.seconds = value;
  else if (name == "warmup-seconds")
    options.warmup_seconds = value;
  else if (name == "drain-seconds")
    options.drain_seconds = value;
  else if (name == "stream")
    options.is_stream = value != 0;
  else if (name == "expect-chunks")
    options.chunks_expected = static_cast<std::size_t>(value);
  else if (name == "prompt-bytes")
    options.prompt_bytes = static_cast<std::size_t>(value);
  else if (name == "connections-max")
    options.connections_max = static_cast<std::size_t>(value);
  else
    return false;
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  for (const auto& [name, value] : gantry::bench::read_flags(count, arguments)) {
    const auto number = gantry::bench::parse_size(value).value_or(0);
    if (name == "url") {
      if (read_url(value, options)) continue;
      fmt::print(stderr, "--url must be like http://127.0.0.1:9490/v1/chat/completions\n");
      return 2;
    }
    if (name == "headers") {
      options.headers = value;
    } else if (name == "model") {
      options.model = value;
    } else if (!set_number(options, name, static_cast<std::int64_t>(number))) {
      fmt::print(stderr, "unknown flag --{}\n", name);
      return 2;
    }
  }
  Load load(options);
  load.run();
  fmt::print("{}\n", load.json());
}
