#include "gateway/client_stream.h"

#include <algorithm>
#include <utility>

#include "gateway/stream_translate.h"

namespace gantry::gateway {

ClientStream::Opened ClientStream::open(net::StreamingClient& client, Options options) {
  const std::size_t unsent_bytes_max = options.unsent_bytes_max;
  const DurationMs write_timeout = options.write_timeout;
  const auto self = std::make_shared<ClientStream>(std::move(options), client.make_timer());
  // Weak: the answer belongs to whoever gives it, so that a lost one is cut.
  auto [stream, response] =
      net::AnswerStream::open({.unsent_bytes_max = unsent_bytes_max,
                               .write_timeout = write_timeout,
                               .on_end = [weak = std::weak_ptr(self)](const net::AnswerEnd& how) {
                                 if (const auto alive = weak.lock()) alive->end(how);
                               }});
  const core::Lock lock(self->mutex_);
  self->stream_ = std::move(stream);
  self->last_output_ns_ = monotonic_ns();
  self->watch(self->options_.keep_alive);
  return {.stream = self, .response = std::move(response)};
}

std::optional<net::AnswerEnd> ClientStream::set_on_end(OnEnd on_end) {
  OnEnd dropped;  // destroyed after the lock: it may own this stream
  const core::Lock lock(mutex_);
  dropped = std::exchange(on_end_, nullptr);
  if (!end_) {
    on_end_ = std::move(on_end);
  } else {
    dropped = std::move(on_end);
  }
  return end_;
}

void ClientStream::end(const net::AnswerEnd& how) {
  OnEnd on_end;
  {
    const core::Lock lock(mutex_);
    end_ = how;
    on_end = std::exchange(on_end_, nullptr);
    timer_->cancel();
  }
  if (on_end) on_end(how);
}

void ClientStream::begin_locked(net::Headers more) {
  if (has_begun_) return;
  has_begun_ = true;
  net::Headers headers;
  headers.add("Content-Type", "text/event-stream; charset=utf-8");
  headers.add("Cache-Control", "no-cache");
  headers.add("X-Accel-Buffering", "no");
  for (const auto& [name, value] : options_.headers.fields()) headers.add(name, value);
  for (const auto& [name, value] : more.fields()) headers.add(name, value);
  stream_->start(200, std::move(headers));
}

void ClientStream::begin(net::Headers more) {
  const core::Lock lock(mutex_);
  begin_locked(std::move(more));
}

net::AnswerStream::Next ClientStream::write(std::string events) {
  const core::Lock lock(mutex_);
  last_output_ns_ = monotonic_ns();
  return stream_->write(std::move(events));
}

void ClientStream::on_writable(std::move_only_function<void()> ready) {
  const core::Lock lock(mutex_);
  stream_->on_writable(std::move(ready));
}

void ClientStream::finish() {
  const core::Lock lock(mutex_);
  if (is_finished_) return;
  is_finished_ = true;
  timer_->cancel();
  stream_->finish();
}

void ClientStream::fail(const TypedError& error, const net::Headers& more) {
  const core::Lock lock(mutex_);
  if (is_finished_) return;
  is_finished_ = true;
  timer_->cancel();
  if (!has_begun_) {
    has_begun_ = true;
    return stream_->respond(error_response(error, more));
  }
  std::string events;
  StreamTranslator(options_.shape).fail(error, events);
  stream_->write(std::move(events));
  stream_->finish();
}

void ClientStream::abort() {
  const core::Lock lock(mutex_);
  is_finished_ = true;
  timer_->cancel();
  stream_->abort();
}

net::Response ClientStream::error_response(const TypedError& error,
                                           const net::Headers& more) const {
  const AnswerShape& shape = options_.shape;
  net::Response response = net::json_response(http_status(error.type),
                                              error_body(shape.api, error, shape.generation_id));
  for (const auto& [name, value] : options_.headers.fields()) response.headers.add(name, value);
  for (const auto& [name, value] : more.fields()) response.headers.add(name, value);
  if (error.retry_after_s) {
    response.headers.set("Retry-After", std::to_string(*error.retry_after_s));
  }
  return response;
}

void ClientStream::watch(DurationMs after) {
  timer_->start({std::max<std::int64_t>(after.count, 1)}, [weak = weak_from_this()] {
    if (const auto alive = weak.lock()) alive->keep_alive();
  });
}

/// Looks from time to time instead of being set again by each write.
void ClientStream::keep_alive() {
  const core::Lock lock(mutex_);
  if (is_finished_ || end_) return;
  const DurationMs silent{(monotonic_ns() - last_output_ns_) / 1'000'000};
  if (silent < options_.keep_alive) return watch({options_.keep_alive.count - silent.count});
  // A client that has bytes to read does not need more of them.
  if (!has_begun_ || stream_->unsent_bytes() == 0) {
    begin_locked({});
    stream_->write(std::string(kKeepAlive));
  }
  last_output_ns_ = monotonic_ns();
  watch(options_.keep_alive);
}

}  // namespace gantry::gateway
