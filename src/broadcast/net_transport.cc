#include "broadcast/net_transport.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "core/mutex.h"
#include "net/streaming_client.h"

namespace gantry::broadcast {
namespace {

constexpr DurationMs kConnectTimeout{10'000};
/// A token that fires wakes nobody: whoever waits looks at it this often.
constexpr std::chrono::milliseconds kLook{50};

TransportFailure failure_of(net::CallFailure failure) {
  switch (failure) {
    case net::CallFailure::BadRequest:
    case net::CallFailure::Forbidden:
      return TransportFailure::Blocked;
    case net::CallFailure::Resolve:
      return TransportFailure::Dns;
    case net::CallFailure::Overloaded:
    case net::CallFailure::Connect:
      return TransportFailure::Connect;
    case net::CallFailure::TlsVerification:
    case net::CallFailure::Tls:
      return TransportFailure::Tls;
    case net::CallFailure::ConnectTimeout:
    case net::CallFailure::HeaderTimeout:
    case net::CallFailure::IdleTimeout:
    case net::CallFailure::TotalTimeout:
      return TransportFailure::Timeout;
    case net::CallFailure::Reset:
    case net::CallFailure::Protocol:
      return TransportFailure::Broken;
    case net::CallFailure::Cancelled:
      return TransportFailure::Cancelled;
  }
  return TransportFailure::Broken;
}

/// What one callback brings to the thread that waits for it. Both hold it, so that a callback which
/// comes after the waiting has ended finds it.
template <class Value>
class Slot {
 public:
  using Outcome = std::expected<Value, net::CallError>;

  void put(Outcome outcome) GANTRY_EXCLUDES(mutex_) {
    {
      const core::Lock lock(mutex_);
      outcome_.emplace(std::move(outcome));
    }
    filled_.notify_one();
  }

  /// Nothing: `cancel` has fired, or the time is over.
  std::optional<Outcome> take(std::int64_t deadline_ns, const CancelToken& cancel)
      GANTRY_EXCLUDES(mutex_) {
    core::Lock lock(mutex_);
    while (!outcome_) {
      if (cancel.is_cancelled() || cancel.is_expired() || monotonic_ns() >= deadline_ns)
        return std::nullopt;
      filled_.wait_for(lock, kLook);
    }
    return std::exchange(outcome_, std::nullopt);
  }

 private:
  core::Mutex mutex_;
  core::ConditionVariable filled_;
  std::optional<Outcome> outcome_ GANTRY_GUARDED_BY(mutex_);
};

/// One request on its way.
class Exchange {
 public:
  Exchange(std::shared_ptr<net::ClientCall> call, std::int64_t deadline_ns,
           const CancelToken& cancel)
      : call_(std::move(call)), deadline_ns_(deadline_ns), cancel_(cancel) {}

  std::expected<ExportAnswer, TransportFailure> run() {
    auto head = wait_for<net::AnswerHead>([this](auto put) { call_->start(std::move(put)); });
    if (!head) return std::unexpected(head.error());
    ExportAnswer answer{.status = head->status, .headers = std::move(head->headers)};
    const std::string_view encoding = answer.headers.find("Content-Encoding");
    const bool is_readable = encoding.empty() || encoding == "identity";
    std::size_t read_bytes = 0;
    while (read_bytes < kExportAnswerBytesMax) {
      auto piece = wait_for<std::string>([this](auto put) { call_->read(std::move(put)); });
      if (!piece) return std::unexpected(piece.error());
      if (piece->empty()) return answer;
      read_bytes += piece->size();
      if (is_readable) answer.body.append(*piece, 0, kExportAnswerBytesMax - answer.body.size());
    }
    // What follows is not read, so the connection cannot serve another request.
    call_->cancel();
    return answer;
  }

 private:
  template <class Value, class Ask>
  std::expected<Value, TransportFailure> wait_for(Ask ask) {
    const auto slot = std::make_shared<Slot<Value>>();
    ask([slot](std::expected<Value, net::CallError> outcome) { slot->put(std::move(outcome)); });
    auto outcome = slot->take(deadline_ns_, cancel_);
    if (!outcome) {
      call_->cancel();
      return std::unexpected(cancel_.is_cancelled() ? TransportFailure::Cancelled
                                                    : TransportFailure::Timeout);
    }
    if (!*outcome) return std::unexpected(failure_of(outcome->error().failure));
    return std::move(**outcome);
  }

  std::shared_ptr<net::ClientCall> call_;
  std::int64_t deadline_ns_;
  const CancelToken& cancel_;
};

class NetTransport final : public Transport {
 public:
  explicit NetTransport(std::unique_ptr<net::StreamingClient> client)
      : client_(std::move(client)) {}

  std::expected<ExportAnswer, TransportFailure> send(const ExportRequest& request,
                                                     DurationMs timeout,
                                                     const CancelToken& cancel) override {
    net::CallRequest call{.method = request.method,
                          .url = request.url,
                          .headers = request.headers,
                          // Spans keep their ids: receivers know a second copy for what it is.
                          .may_repeat = true,
                          .connect_timeout = std::min(timeout, kConnectTimeout),
                          .header_timeout = timeout,
                          .idle_timeout = timeout,
                          .total_timeout = timeout};
    call.headers.set("Accept-Encoding", "identity");
    call.body = net::CallBody::from(request.body);
    const std::int64_t deadline_ns = monotonic_ns() + timeout.count * 1'000'000;
    return Exchange(client_->make_call(std::move(call)), deadline_ns, cancel).run();
  }

 private:
  std::unique_ptr<net::StreamingClient> client_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_net_transport(NetTransportOptions options) {
  GANTRY_TRY(auto client, net::StreamingClient::make({.egress = options.egress,
                                                      .ca_file = std::move(options.ca_file),
                                                      .io_thread_count = options.io_thread_count}));
  return std::make_unique<NetTransport>(std::move(client));
}

}  // namespace gantry::broadcast
