#include "gateway/upstream_events.h"

#include <algorithm>
#include <utility>

namespace gantry::gateway {
namespace {

constexpr std::size_t kPreambleBytesMax = 64 << 10;
constexpr int kReleasePiecesMax = 4;
constexpr DurationMs kReleaseTimeout{1'000};

void read_to_end(const std::shared_ptr<net::ClientCall>& call, int pieces_left) {
  call->read(
      [call, pieces_left](std::expected<std::string, net::CallError> piece) {
        if (piece && piece->empty()) return;
        if (!piece || pieces_left == 1) return call->cancel();
        read_to_end(call, pieces_left - 1);
      },
      kReleaseTimeout);
}

}  // namespace

UpstreamEvents::UpstreamEvents(std::shared_ptr<net::ClientCall> call, DurationMs idle_timeout)
    : call_(std::move(call)), idle_timeout_(idle_timeout) {}

void UpstreamEvents::wait(OnReady ready) {
  ready_ = std::move(ready);
  waits_since_ns_ = monotonic_ns();
  read_on();
}

void UpstreamEvents::read_on() {
  const DurationMs waited{(monotonic_ns() - waits_since_ns_) / 1'000'000};
  const DurationMs left{std::max<std::int64_t>(idle_timeout_.count - waited.count, 0)};
  call_->read([this](std::expected<std::string, net::CallError> piece) { take(std::move(piece)); },
              left);
}

void UpstreamEvents::take(std::expected<std::string, net::CallError> piece) {
  if (!piece) {
    std::exchange(ready_, nullptr)(std::unexpected(std::move(piece).error()));
    return;
  }
  if (piece->empty()) {
    has_ended_ = true;
    reader_.end();
  } else {
    if (!has_event_) preamble_.append(*piece, 0, kPreambleBytesMax - preamble_.size());
    reader_.push(*piece);
  }
  pending_ = reader_.next();
  const bool is_partial = pending_->has_value() && !pending_->value() && !has_ended_;
  if (is_partial) return read_on();
  if (pending_->has_value() && pending_->value()) {
    has_event_ = true;
    preamble_ = {};
  }
  std::exchange(ready_, nullptr)({});
}

Result<std::optional<SseEvent>> UpstreamEvents::next() {
  if (pending_) return *std::exchange(pending_, std::nullopt);
  return reader_.next();
}

void UpstreamEvents::release() {
  if (!has_ended_) read_to_end(call_, kReleasePiecesMax);
}

}  // namespace gantry::gateway
