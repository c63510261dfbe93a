#include "broadcast/net_transport.h"

#include <algorithm>
#include <utility>

#include "broadcast/answer_slot_internal.h"
#include "broadcast/rpc_transport_internal.h"
#include "net/streaming_client.h"

namespace gantry::broadcast {
namespace {

constexpr DurationMs kConnectTimeout{10'000};

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
    using Outcome = std::expected<Value, net::CallError>;
    const auto slot = std::make_shared<AnswerSlot<Outcome>>();
    ask([slot](Outcome outcome) { slot->put(std::move(outcome)); });
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
  NetTransport(std::unique_ptr<net::StreamingClient> client, std::unique_ptr<Transport> rpc)
      : client_(std::move(client)), rpc_(std::move(rpc)) {}

  std::expected<ExportAnswer, TransportFailure> send(const ExportRequest& request,
                                                     DurationMs timeout,
                                                     const CancelToken& cancel) override {
    if (!request.rpc_method.empty()) return rpc_->send(request, timeout, cancel);
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
  std::unique_ptr<Transport> rpc_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_net_transport(NetTransportOptions options) {
  auto rpc = make_rpc_transport(options);
  GANTRY_TRY(auto client,
             net::StreamingClient::make({.egress = options.egress,
                                         .ca_file = std::move(options.ca_file),
                                         .io_threads = std::make_shared<net::IoThreads>(
                                             options.io_thread_count, "broadcast-io")}));
  return std::make_unique<NetTransport>(std::move(client), std::move(rpc));
}

}  // namespace gantry::broadcast
