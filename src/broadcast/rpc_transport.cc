#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "broadcast/answer_slot_internal.h"
#include "broadcast/rpc_transport_internal.h"
#include "codec/otlp_answer.h"
#include "core/log.h"
#include "core/version.h"
#include "net/grpc_client.h"

namespace gantry::broadcast {
namespace {

/// The call sees to its time itself, and then gives its connection up; only while a name is looked
/// up it does not.
constexpr std::int64_t kGraceMs = 200;

using Outcome = std::expected<net::GrpcAnswer, net::GrpcFailure>;

TransportFailure failure_of(net::GrpcFailure failure) {
  switch (failure) {
    case net::GrpcFailure::BadRequest:
    case net::GrpcFailure::Forbidden:
      return TransportFailure::Blocked;
    case net::GrpcFailure::Resolve:
      return TransportFailure::Dns;
    case net::GrpcFailure::Overloaded:
    case net::GrpcFailure::Connect:
      return TransportFailure::Connect;
    case net::GrpcFailure::Tls:
      return TransportFailure::Tls;
    case net::GrpcFailure::NotGrpc:
      return TransportFailure::NotGrpc;
    case net::GrpcFailure::Timeout:
      return TransportFailure::Timeout;
    case net::GrpcFailure::Broken:
      return TransportFailure::Broken;
    case net::GrpcFailure::Cancelled:
      return TransportFailure::Cancelled;
  }
  return TransportFailure::Broken;
}

ExportAnswer answer_of(net::GrpcAnswer answer) {
  RpcEnd end{.code = answer.code, .message = std::move(answer.message)};
  if (answer.code != net::RpcCode::Ok) end.retry_delay = codec::decode_retry_delay(answer.details);
  answer.body.resize(std::min(answer.body.size(), kExportAnswerBytesMax));
  return {.status = static_cast<int>(answer.code),
          .headers = {},
          .body = std::move(answer.body),
          .rpc = std::move(end)};
}

class RpcTransport final : public Transport {
 public:
  explicit RpcTransport(const NetTransportOptions& options)
      : egress_(options.egress), ca_file_(options.ca_file) {}

  std::expected<ExportAnswer, TransportFailure> send(const ExportRequest& request,
                                                     DurationMs timeout,
                                                     const CancelToken& cancel) override {
    std::call_once(is_made_, [this] { make_client(); });
    if (client_ == nullptr) return std::unexpected(TransportFailure::Tls);
    const std::int64_t deadline_ns = monotonic_ns() + (timeout.count + kGraceMs) * 1'000'000;
    const auto slot = std::make_shared<AnswerSlot<Outcome>>();
    net::GrpcCallRequest call{.url = request.url,
                              .method = request.rpc_method,
                              .metadata = request.headers,
                              .message = request.body,
                              .compression = request.rpc_compression,
                              .timeout = timeout};
    const auto started =
        client_->start(std::move(call), [slot](Outcome outcome) { slot->put(std::move(outcome)); });
    auto outcome = slot->take(deadline_ns, cancel);
    if (!outcome) {
      started->cancel();
      return std::unexpected(cancel.is_cancelled() ? TransportFailure::Cancelled
                                                   : TransportFailure::Timeout);
    }
    if (!*outcome) return std::unexpected(failure_of(outcome->error()));
    return answer_of(std::move(**outcome));
  }

 private:
  void make_client() {
    auto made = net::GrpcClient::make({.egress = egress_,
                                       .user_agent = fmt::format("gantry/{}", core::version()),
                                       .ca_file = ca_file_});
    if (made)
      client_ = *std::move(made);
    else
      log::error("gRPC client not started", {{"error", made.error().message}});
  }

  const net::Egress& egress_;
  const std::string ca_file_;
  std::once_flag is_made_;
  std::unique_ptr<net::GrpcClient> client_;  ///< Null: the authorities cannot be read.
};

}  // namespace

std::unique_ptr<Transport> make_rpc_transport(const NetTransportOptions& options) {
  return std::make_unique<RpcTransport>(options);
}

}  // namespace gantry::broadcast
