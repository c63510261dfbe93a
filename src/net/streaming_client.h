#pragma once

// An HTTP/1.1 client for answers that come over time. Connections are kept and reused; a body is
// read only as fast as its consumer asks for it; no thread waits for a peer.
//
//   const auto call = client.make_call(std::move(request));
//   call->start([](std::expected<AnswerHead, CallError> head) { … });
//   call->read([](std::expected<std::string, CallError> piece) { … });   // again for the next
//   call->cancel();
//
// Threads: every function may be called on any thread, also inside callbacks, and never blocks.
// The callbacks of one call run one at a time on an I/O thread of the client and never inside one
// of these functions; they must not block or throw.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/time.h"
#include "net/egress.h"
#include "net/http.h"
#include "net/io_threads.h"
#include "net/timer.h"

namespace gantry::net {

/// What went wrong. Beside it stands an Error for the log, which names method and origin, and never
/// path, query, header or body.
enum class CallFailure : std::uint8_t {
  BadRequest,       ///< URL, method or header field. InvalidArgument
  Forbidden,        ///< egress.allow does not have it. PermissionDenied, InvalidArgument
  Overloaded,       ///< calls_max, or the resolver's queue. ResourceExhausted
  Resolve,          ///< Unavailable, DeadlineExceeded
  Connect,          ///< Unavailable
  ConnectTimeout,   ///< Name, connection and TLS together. DeadlineExceeded
  TlsVerification,  ///< The certificate is not the host's, not trusted, or not valid now.
                    ///< Unavailable
  Tls,              ///< Any other failure of the handshake. Unavailable
  HeaderTimeout,    ///< DeadlineExceeded
  IdleTimeout,      ///< Between two pieces of the body. DeadlineExceeded
  TotalTimeout,     ///< DeadlineExceeded
  Reset,            ///< The peer closed before the answer was whole. Unavailable
  Protocol,         ///< Not HTTP/1, or a header over header_bytes_max. Unavailable
  Cancelled,        ///< By `cancel`, or the client was stopped. Cancelled
};

/// "connect_timeout": for metrics and logs.
[[nodiscard]] std::string_view call_failure_name(CallFailure failure);

struct CallError {
  CallFailure failure = CallFailure::Protocol;
  Error error;
};

/// Bytes that are sent one after the other, without a copy.
struct CallBody {
  std::vector<std::string_view> pieces;
  std::shared_ptr<const void> owner;  ///< Keeps what `pieces` refer to; const from now on.

  [[nodiscard]] static CallBody from(std::string bytes);

  [[nodiscard]] std::size_t size_bytes() const;
};

struct CallRequest {
  std::string method = "GET";
  std::string url;  ///< Of Egress::check: http or https.
  Headers headers;  ///< Without those of the framing (Content-Length, Transfer-Encoding,
                    ///< Connection), which are left out; Host is added unless there is one.
  CallBody body;    ///< With Content-Length when not empty or the method is POST, PUT or PATCH.

  /// Whether a second copy does no harm. A kept connection may turn out to be closed by the peer:
  /// then such a request is sent once more on a new one if no byte of an answer came.
  bool may_repeat = false;

  DurationMs connect_timeout{5'000};  ///< Name, connection and TLS handshake.
  DurationMs header_timeout{60'000};  ///< From then to the end of the answer's header.
  DurationMs idle_timeout{60'000};    ///< Each wait for bytes of the body, while one is asked for.
  DurationMs total_timeout{600'000};  ///< From `start` to the end of the body, whoever is slow.
};

struct AnswerHead {
  int status = 0;   ///< Never 1xx. Redirects are answers.
  Headers headers;  ///< As sent; the body comes as Content-Encoding says.
  bool is_reused_connection = false;
};

/// One request and its answer. When the last handle goes before the end, the call is cancelled.
class ClientCall {
 public:
  using OnHead = std::move_only_function<void(std::expected<AnswerHead, CallError>)>;

  /// A piece that is not empty; an empty one is the end of the body.
  using OnPiece = std::move_only_function<void(std::expected<std::string, CallError>)>;

  struct State;

  explicit ClientCall(std::shared_ptr<State> state) : state_(std::move(state)) {}

  ~ClientCall();
  ClientCall(const ClientCall&) = delete;
  ClientCall& operator=(const ClientCall&) = delete;

  /// Sends the request. `on_head` is called once, whatever happens. Once, before everything else,
  /// and while the client is there.
  void start(OnHead on_head);

  /// Asks for the next piece of the body: once `on_head` has had the head, and one at a time. While
  /// none is asked for, the socket is not read, and at most 64 KiB are held here. After the end or
  /// an error each read gets that again.
  void read(OnPiece on_piece);

  /// The same with a limit of its own instead of the request's idle_timeout: for whoever counts
  /// only some of the bytes as progress.
  void read(OnPiece on_piece, DurationMs idle_timeout);

  /// Closes the connection at once. A callback that is due is called with Cancelled, unless what it
  /// waits for was on its way to it.
  void cancel();

 private:
  std::shared_ptr<State> state_;
};

/// Thread-safe.
class StreamingClient {
 public:
  struct Options {
    const Egress& egress;  ///< Says where calls may go. Outlives the client.
    std::string ca_file;   ///< PEM; the system's authorities when empty. TLS 1.2 and newer.
    std::shared_ptr<IoThreads> io_threads;  ///< Null: two of its own.
    std::size_t calls_max = 10'000;         ///< At once.
    std::size_t idle_per_origin_max = 256;  ///< Connections that wait for the next call.
    std::size_t idle_max = 2048;
    DurationMs idle_connection_timeout{60'000};
    std::size_t header_bytes_max = 64 << 10;  ///< Of an answer.
  };

  /// Errors: InvalidArgument (ca_file).
  static Result<std::unique_ptr<StreamingClient>> make(Options options);

  /// Cancels what is under way, waits for the callbacks and closes every connection. Not from a
  /// callback. Handles may outlive the client.
  ~StreamingClient();
  StreamingClient(const StreamingClient&) = delete;
  StreamingClient& operator=(const StreamingClient&) = delete;

  /// Nothing happens before ClientCall::start, so that callbacks find the handle in its place.
  [[nodiscard]] std::shared_ptr<ClientCall> make_call(CallRequest request);

  /// For those who wait beside calls. It may outlive the client, and does nothing from then on.
  [[nodiscard]] std::shared_ptr<Timer> make_timer();

  struct Counts {
    std::size_t calls = 0;
    std::size_t idle_connections = 0;
    std::uint64_t opened_connections = 0;  ///< Since the start.
    std::uint64_t repeated_calls = 0;      ///< Sent again, see may_repeat.
  };

  [[nodiscard]] Counts counts() const;

 private:
  struct Impl;
  explicit StreamingClient(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::net
