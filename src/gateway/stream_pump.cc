#include "gateway/stream_pump.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace gantry::gateway {
namespace {

/// Many small events that came together go out together, in writes of about this size.
constexpr std::size_t kWriteBytes = 16 << 10;

using Next = net::AnswerStream::Next;

StreamEnd end_of(StreamState state, const net::AnswerEnd& client) {
  if (state == StreamState::Failed) return StreamEnd::ProviderFailed;
  using enum net::AnswerEnd::Reason;
  switch (client.reason) {
    case Finished:
    case NotWanted:
      return StreamEnd::Completed;
    case ClientLeft:
      return StreamEnd::ClientLeft;
    case WriteTimeout:
      return StreamEnd::ClientTooSlow;
    case ServerStopped:
    case Aborted:
    case Refused:
      return StreamEnd::Stopped;
  }
  std::unreachable();
}

/// What the provider did not tell is counted here. Of a stream that broke off, Anthropic told the
/// input.
Usage usage_of(const StreamedAnswer& answer, const InferenceRequest& request,
               const TextCounting& counting) {
  if (answer.usage) return *answer.usage;
  const std::int64_t output = estimate_output_tokens(answer, counting);
  if (!answer.usage_at_start) {
    return estimated_usage(estimate_input_tokens(request.api(), request.body(), counting), output);
  }
  Usage usage = *answer.usage_at_start;
  usage.output = std::max(usage.output, output);
  usage.total = usage.input + usage.output;
  usage.is_estimated = true;
  return usage;
}

}  // namespace

void add_stream(const StreamResult& result, Generation& generation) {
  const StreamedAnswer& answer = result.answer;
  generation.end_ms = result.end_ms;
  generation.attempts.push_back(result.record);
  generation.chunk_times = result.chunk_times;
  generation.upstream_id = answer.upstream_id;
  generation.finish_reason = answer.finish_reason;
  generation.native_finish_reason = answer.native_finish_reason;
  generation.finish_reasons = answer.finish_reasons;
  generation.tool_calls_count = answer.tool_calls_count;
  generation.completion = record_streamed(answer);
  generation.is_ok = !result.error;
  generation.is_cancelled =
      result.end == StreamEnd::ClientLeft || result.end == StreamEnd::ClientTooSlow;
  if (!result.error) return;
  generation.error_type = error_word(result.error->type);
  generation.error_message = result.error->message;
}

void add_stream_usage(const StreamedAnswer& answer, const InferenceRequest& request,
                      const TextCounting& counting, Generation& generation) {
  generation.usage = usage_of(answer, request, counting);
  add_cost(answer.reported_cost, generation);
}

StreamPump::StreamPump(Options options, OnDone on_done)
    : options_(std::move(options)),
      on_done_(std::move(on_done)),
      events_(*options_.upstream.events),
      translator_(options_.shape),
      reader_(options_.shape.api) {}

std::shared_ptr<StreamPump> StreamPump::start(Options options, OnDone on_done) {
  auto pump = std::make_shared<StreamPump>(std::move(options), std::move(on_done));
  pump->begin();
  return pump;
}

void StreamPump::begin() {
  net::Headers headers = std::move(options_.upstream.headers);
  for (const auto& [name, value] : options_.headers.fields()) headers.add(name, value);
  options_.client->begin(std::move(headers));
  out_ = std::move(options_.first_events);
  const auto has_ended = options_.client->set_on_end(
      [self = shared_from_this()](const net::AnswerEnd& how) { self->client_ended(how); });
  if (has_ended) client_ended(*has_ended);
  pass_on();
}

// Hot: per event.
void StreamPump::pass_on() {
  if (!pass_events()) return;
  if (translator_.state() == StreamState::Open && events_.has_ended()) translator_.finish(out_);
  if (translator_.state() != StreamState::Open) return end_upstream();
  if (flush() == Flow::Paused) return;
  events_.wait([self = shared_from_this()](std::expected<void, net::CallError> ready) {
    ready ? self->pass_on() : self->call_failed(ready.error());
  });
}

/// What has arrived. False: the client must take something first.
bool StreamPump::pass_events() {
  while (translator_.state() == StreamState::Open) {
    const auto event = events_.next();
    if (!event) {
      // A line or event above its limit.
      translator_.fail(provider_disconnected(), out_);
      return true;
    }
    if (!*event) return true;
    if (reader_.read(**event)) options_.record.first_token_ms = options_.stopwatch.elapsed_ms();
    note_chunk();
    translator_.translate(**event, out_);
    if (out_.size() >= kWriteBytes && flush() == Flow::Paused) return false;
  }
  return true;
}

/// An event that brought output is a chunk; what tells of roles, usage or the end is none.
void StreamPump::note_chunk() {
  const std::size_t output_bytes = reader_.answer().output_bytes;
  if (output_bytes == output_bytes_) return;
  output_bytes_ = output_bytes;
  constexpr double kMsPerSecond = 1000;
  const double now_ms = options_.stopwatch.elapsed_ms();
  if (last_chunk_ms_) chunk_times_.add((now_ms - *last_chunk_ms_) / kMsPerSecond);
  last_chunk_ms_ = now_ms;
}

StreamPump::Flow StreamPump::flush() {
  if (out_.empty()) return Flow::On;
  const Next next = options_.client->write(std::exchange(out_, {}));
  if (next == Next::Go) return Flow::On;
  pause(next);
  return Flow::Paused;
}

void StreamPump::pause(Next next) {
  bool is_alone = false;
  {
    const core::Lock lock(mutex_);
    is_alone = client_end_.has_value();
    if (!is_alone) phase_ = Phase::Paused;
  }
  if (is_alone) return end_upstream();
  // From here on another thread may have gone on. Without a call of `resume`, the client's end
  // comes.
  if (next == Next::Wait) {
    options_.client->on_writable([self = shared_from_this()] { self->resume(); });
  }
}

void StreamPump::resume() {
  {
    const core::Lock lock(mutex_);
    if (phase_ != Phase::Paused) return;
    phase_ = Phase::Passing;
  }
  if (translator_.state() == StreamState::Open) return pass_on();
  end_upstream();
}

void StreamPump::call_failed(const net::CallError& error) {
  bool is_alone = false;
  {
    const core::Lock lock(mutex_);
    is_alone = client_end_.has_value();
  }
  if (!is_alone) {
    using enum net::CallFailure;
    if (error.failure == Reset || error.failure == Cancelled) {
      // Some close without the end of their framing: what has a finish reason is whole.
      translator_.finish(out_);
    } else {
      translator_.fail(typed_call_error(error.failure, options_.timeouts), out_);
    }
  }
  end_upstream();
}

/// Nothing more is wanted of the provider, nor will it be passed on.
void StreamPump::end_upstream() {
  options_.record.body_end_ms = options_.stopwatch.elapsed_ms();
  if (translator_.state() == StreamState::Done) {
    events_.release();
  } else {
    events_.cancel();
  }
  if (!out_.empty()) options_.client->write(std::exchange(out_, {}));
  if (translator_.state() != StreamState::Open) options_.client->finish();
  set_over();
}

void StreamPump::set_over() {
  bool is_alone = false;
  {
    const core::Lock lock(mutex_);
    phase_ = Phase::Over;
    is_alone = client_end_.has_value();
  }
  if (is_alone) complete();
}

void StreamPump::client_ended(const net::AnswerEnd& how) {
  Phase phase = Phase::Over;
  {
    const core::Lock lock(mutex_);
    client_end_ = how;
    phase = phase_;
    if (phase == Phase::Paused) phase_ = Phase::Passing;  // by this thread
  }
  switch (phase) {
    case Phase::Passing:
      return events_.cancel();  // whoever passes on finds out
    case Phase::Paused:
      return end_upstream();
    case Phase::Over:
      return complete();
  }
}

void StreamPump::complete() {
  StreamResult result{.record = std::move(options_.record),
                      .answer = reader_.answer(),
                      .chunk_times = chunk_times_};
  {
    const core::Lock lock(mutex_);
    result.client_end = *client_end_;
  }
  result.end = end_of(translator_.state(), result.client_end);
  if (result.end == StreamEnd::ProviderFailed) {
    result.error = translator_.error();
  } else if (result.end != StreamEnd::Completed) {
    result.error =
        TypedError{.type = ErrorType::ClientDisconnected, .message = "Client disconnected"};
  }
  result.end_ms = options_.stopwatch.elapsed_ms();
  std::exchange(on_done_, nullptr)(std::move(result));
}

}  // namespace gantry::gateway
