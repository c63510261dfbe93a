#include "net/answer_stream.h"

#include "net/answer_stream_internal.h"

namespace gantry::net {

LiveAnswer::LiveAnswer(AnswerStream::Options options) : options_(std::move(options)) {}

void LiveAnswer::wake_session() {
  if (!is_session_waiting_ || !wake_) return;
  is_session_waiting_ = false;
  wake_();
}

void LiveAnswer::start(int status, Headers headers) {
  const core::Lock lock(mutex_);
  GANTRY_ASSERT(!is_started_, "an answer has one header");
  is_started_ = true;
  if (has_ended_) return;
  head_ = Response{.status = status, .headers = std::move(headers), .may_compress = false};
  wake_session();
}

void LiveAnswer::respond(Response response) {
  GANTRY_ASSERT(response.deferred == nullptr, "a deferred answer is not deferred again");
  const core::Lock lock(mutex_);
  GANTRY_ASSERT(!is_started_, "an answer has one header");
  is_started_ = true;
  is_whole_ = true;
  is_finished_ = true;
  if (has_ended_) return;
  head_ = std::move(response);
  wake_session();
}

AnswerStream::Next LiveAnswer::write(std::string piece) {
  const core::Lock lock(mutex_);
  GANTRY_ASSERT(is_started_ && !is_whole_, "the header comes before the body");
  if (has_ended_ || is_finished_ || is_aborted_) return AnswerStream::Next::Ended;
  if (!piece.empty()) {
    unsent_bytes_ += piece.size();
    pieces_.push_back(std::move(piece));
    wake_session();
  }
  return unsent_bytes_ >= options_.unsent_bytes_max ? AnswerStream::Next::Wait
                                                    : AnswerStream::Next::Go;
}

void LiveAnswer::on_writable(std::move_only_function<void()> ready) {
  std::move_only_function<void()> dropped;  // destroyed after the lock: it may own this object
  const core::Lock lock(mutex_);
  dropped = std::exchange(ready_, nullptr);
  if (has_ended_) {
    dropped = std::move(ready);
    return;
  }
  ready_ = std::move(ready);
  wake_session();
}

void LiveAnswer::finish() {
  const core::Lock lock(mutex_);
  GANTRY_ASSERT(is_started_, "the header comes before the end");
  is_finished_ = true;
  wake_session();
}

/// Wakes the session even when it waits for the socket: a client that does not read is cut too.
void LiveAnswer::abort() {
  const core::Lock lock(mutex_);
  is_aborted_ = true;
  is_session_waiting_ = false;
  if (wake_) wake_();
}

void LiveAnswer::abandon() {
  const core::Lock lock(mutex_);
  if (is_finished_ || is_aborted_) return;
  is_aborted_ = true;
  is_session_waiting_ = false;
  if (wake_) wake_();
}

bool LiveAnswer::is_aborted() const {
  const core::Lock lock(mutex_);
  return is_aborted_;
}

bool LiveAnswer::is_cut() const {
  const core::Lock lock(mutex_);
  return is_aborted_ && is_started_;
}

std::size_t LiveAnswer::unsent_bytes() const {
  const core::Lock lock(mutex_);
  return unsent_bytes_;
}

bool LiveAnswer::has_ended() const {
  const core::Lock lock(mutex_);
  return has_ended_;
}

void LiveAnswer::attach(std::function<void()> wake) {
  const core::Lock lock(mutex_);
  wake_ = std::move(wake);
}

LiveAnswer::Work LiveAnswer::take(std::size_t bytes_max) {
  Work work;
  const core::Lock lock(mutex_);
  work.is_aborted = is_aborted_;
  if (head_) {
    work.head = std::exchange(head_, std::nullopt);
    work.is_whole = is_whole_;
    is_session_waiting_ = false;
    return work;
  }
  if (!pieces_.empty()) {
    work.bytes = std::move(pieces_.front());
    pieces_.pop_front();
    while (!pieces_.empty() && work.bytes.size() + pieces_.front().size() <= bytes_max) {
      work.bytes += pieces_.front();
      pieces_.pop_front();
    }
  }
  work.is_finished = is_finished_ && pieces_.empty();
  if (ready_ && unsent_bytes_ <= options_.unsent_bytes_max / 2) {
    work.ready = std::exchange(ready_, nullptr);
  }
  is_session_waiting_ = work.is_nothing();
  return work;
}

void LiveAnswer::sent(std::size_t count) {
  const core::Lock lock(mutex_);
  unsent_bytes_ -= count;
}

void LiveAnswer::end(const AnswerEnd& how) {
  // Destroyed after the lock: what they own may own this object's handle.
  std::move_only_function<void()> ready;
  std::move_only_function<void(const AnswerEnd&)> on_end;
  std::optional<Response> head;
  {
    const core::Lock lock(mutex_);
    if (has_ended_) return;
    has_ended_ = true;
    wake_ = nullptr;
    pieces_.clear();
    unsent_bytes_ = 0;
    head = std::exchange(head_, std::nullopt);
    ready = std::exchange(ready_, nullptr);
    on_end = std::exchange(options_.on_end, nullptr);
  }
  if (on_end) on_end(how);
}

DeferredAnswer::~DeferredAnswer() {
  if (live_ != nullptr) live_->end({.reason = AnswerEnd::Reason::Refused});
}

AnswerStream::AnswerStream(std::shared_ptr<LiveAnswer> live) : live_(std::move(live)) {}

AnswerStream::~AnswerStream() {
  live_->abandon();
}

AnswerStream::Opened AnswerStream::open(Options options) {
  auto live = std::make_shared<LiveAnswer>(std::move(options));
  Opened opened{.stream = std::shared_ptr<AnswerStream>(new AnswerStream(live)), .response = {}};
  opened.response.deferred = std::make_shared<DeferredAnswer>(std::move(live));
  return opened;
}

void AnswerStream::start(int status, Headers headers) {
  live_->start(status, std::move(headers));
}

void AnswerStream::respond(Response response) {
  live_->respond(std::move(response));
}

AnswerStream::Next AnswerStream::write(std::string piece) {
  return live_->write(std::move(piece));
}

void AnswerStream::on_writable(std::move_only_function<void()> ready) {
  live_->on_writable(std::move(ready));
}

void AnswerStream::finish() {
  live_->finish();
}

void AnswerStream::abort() {
  live_->abort();
}

std::size_t AnswerStream::unsent_bytes() const {
  return live_->unsent_bytes();
}

bool AnswerStream::has_ended() const {
  return live_->has_ended();
}

}  // namespace gantry::net
