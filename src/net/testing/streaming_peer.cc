#include "net/testing/streaming_peer.h"

#include <chrono>
#include <stdexcept>
#include <utility>

namespace gantry::net::testing {
namespace {

template <class Future>
auto wait_for(Future& future) {
  if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
    throw std::runtime_error("the client did not call back");
  }
  return future.get();
}

}  // namespace

Caller::Caller(Options options) {
  Egress::Options egress{
      .allow = {"127.0.0.1", "127.0.0.2", "upstream.example", "other.example", "localhost"}};
  egress.resolve = options.resolve != nullptr
                       ? std::move(options.resolve)
                       : [](const std::string&) -> Result<std::vector<core::IpAddress>> {
    return std::vector{*core::IpAddress::parse("127.0.0.1")};
  };
  egress_ = Egress::make(std::move(egress)).value();
  client_ = StreamingClient::make({.egress = *egress_,
                                   .ca_file = std::move(options.ca_file),
                                   .io_threads = std::move(options.io_threads),
                                   .calls_max = options.calls_max,
                                   .idle_per_origin_max = options.idle_per_origin_max,
                                   .idle_connection_timeout = options.idle_connection_timeout,
                                   .header_bytes_max = options.header_bytes_max})
                .value();
}

std::string Caller::url(const RawServer& server, std::string_view target) {
  return "http://127.0.0.1:" + std::to_string(server.port()) + std::string(target);
}

WaitingCall::WaitingCall(StreamingClient& client, CallRequest request) {
  auto promise = std::make_shared<std::promise<std::expected<AnswerHead, CallError>>>();
  head_ = promise->get_future().share();
  call_ = client.make_call(std::move(request));
  call_->start([promise](std::expected<AnswerHead, CallError> head) {
    promise->set_value(std::move(head));
  });
}

const std::expected<AnswerHead, CallError>& WaitingCall::head() {
  if (head_.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
    throw std::runtime_error("the client did not call back");
  }
  return head_.get();
}

std::future<WaitingCall::Piece> WaitingCall::ask() {
  auto promise = std::make_shared<std::promise<Piece>>();
  auto piece = promise->get_future();
  call_->read([promise](Piece given) { promise->set_value(std::move(given)); });
  return piece;
}

WaitingCall::Piece WaitingCall::next() {
  auto piece = ask();
  return wait_for(piece);
}

std::string WaitingCall::rest() {
  if (!head()) return "error: " + head().error().error.message;
  std::string body;
  for (;;) {
    const Piece piece = next();
    if (!piece) return "error: " + piece.error().error.message;
    if (piece->empty()) return body;
    body += *piece;
  }
}

std::string failure_of(WaitingCall& call) {
  if (!call.head()) return std::string(call_failure_name(call.head().error().failure));
  for (;;) {
    const WaitingCall::Piece piece = call.next();
    if (!piece) return std::string(call_failure_name(piece.error().failure));
    if (piece->empty()) return "none";
  }
}

}  // namespace gantry::net::testing
