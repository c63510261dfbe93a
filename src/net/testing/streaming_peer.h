#pragma once

// The streaming client for tests that wait.

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/egress.h"
#include "net/streaming_client.h"
#include "net/testing/raw_server.h"

namespace gantry::net::testing {

/// A client that may call 127.0.0.1 and every name below "example".
class Caller {
 public:
  struct Options {
    /// 127.0.0.1 for every name when empty.
    std::function<Result<std::vector<core::IpAddress>>(const std::string&)> resolve = nullptr;
    std::string ca_file = {};
    std::shared_ptr<IoThreads> io_threads = nullptr;
    std::size_t calls_max = 10'000;
    std::size_t idle_per_origin_max = 256;
    DurationMs idle_connection_timeout{60'000};
    std::size_t header_bytes_max = 64 << 10;
  };

  Caller() : Caller(Options()) {}

  explicit Caller(Options options);

  [[nodiscard]] StreamingClient& client() { return *client_; }

  [[nodiscard]] static std::string url(const RawServer& server, std::string_view target = "/");

 private:
  std::unique_ptr<Egress> egress_;
  std::unique_ptr<StreamingClient> client_;
};

/// One call; every wait ends after ten seconds with an exception. One thread.
class WaitingCall {
 public:
  using Piece = std::expected<std::string, CallError>;

  WaitingCall(StreamingClient& client, CallRequest request);

  /// Waits for it.
  [[nodiscard]] const std::expected<AnswerHead, CallError>& head();

  [[nodiscard]] std::future<Piece> ask();

  [[nodiscard]] Piece next();

  /// The body up to its end; "error: …" when there is none.
  [[nodiscard]] std::string rest();

  void cancel() { call_->cancel(); }

 private:
  std::shared_future<std::expected<AnswerHead, CallError>> head_;
  std::shared_ptr<ClientCall> call_;
};

/// "header_timeout", or "none" for an answer that came whole.
[[nodiscard]] std::string failure_of(WaitingCall& call);

}  // namespace gantry::net::testing
