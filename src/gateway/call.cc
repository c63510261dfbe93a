#include "gateway/call.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "gateway/call_record_internal.h"
#include "gateway/live_calls.h"

namespace gantry::gateway {
namespace {

constexpr std::int64_t kRetryAfterS = 1;

/// Of an answer in one piece. Compressing a smaller one takes longer than sending what it saves.
constexpr std::size_t kCompressBytesMin = 16 << 10;

TypedError too_many_calls(const InferenceRequest& request) {
  Availability availability{.code = "temporarily_unavailable",
                            .is_retryable = true,
                            .requested_models = request.parsed().fields().requested_models()};
  return {.type = ErrorType::ProviderOverloaded,
          .message = "Too many calls at once, try again",
          .retry_after_s = kRetryAfterS,
          .availability = std::move(availability)};
}

TypedError client_left() {
  return {.type = ErrorType::ClientDisconnected, .message = std::string(kClientLeftMessage)};
}

TimestampMs deadline_of(const CallParts& parts) {
  return parts.steady_clock.now() + parts.options.deadline;
}

/// The gateway's own refusal to send says nothing of the endpoint.
AttemptOutcome endpoint_outcome(const FailedOutcome& failed, const AttemptFailure& failure) {
  if (failed.failure == FailureKind::NotSent) return AttemptOutcome::Neither;
  return outcome_of(failure);
}

}  // namespace

net::Response error_answer(Api api, const TypedError& error, const std::string& request_id) {
  net::Response response =
      net::json_response(http_status(error.type), error_body(api, error, request_id));
  if (error.retry_after_s) {
    response.headers.set("Retry-After", std::to_string(*error.retry_after_s));
  }
  return response;
}

Call::Call(CallParts& parts, AdmittedCall admitted)
    : parts_(parts),
      key_(std::move(admitted.key)),
      request_(std::move(admitted.request)),
      catalogue_(std::move(admitted.catalogue)),
      session_(std::move(admitted.session)),
      stopwatch_(admitted.stopwatch),
      reservation_(std::move(admitted.reservation)),
      plan_(std::move(admitted.route), deadline_of(parts), parts.random, parts.options.attempts),
      generation_(std::move(admitted.generation)) {}

net::Response Call::start(CallParts& parts, AdmittedCall admitted) {
  const std::string id = admitted.generation.id;
  const Api api = admitted.request->api();
  const auto call = std::make_shared<Call>(parts, std::move(admitted));
  // Before others may cancel it.
  net::Response response = call->open();
  if (parts.live.add(call)) {
    call->begin();
    return response;
  }
  net::Response refusal = error_answer(api, too_many_calls(*call->request_), id);
  refusal.headers.set("X-Generation-Id", id);
  return refusal;
}

net::Response Call::open() {
  const auto on_end = [self = shared_from_this()](const net::AnswerEnd& how) {
    self->client_ended(how);
  };
  if (!request_->is_stream()) {
    auto opened =
        net::AnswerStream::open({.write_timeout = parts_.options.write_timeout, .on_end = on_end});
    whole_ = std::move(opened.stream);
    return std::move(opened.response);
  }
  net::Headers headers;
  headers.add("X-Generation-Id", generation_.id);
  auto opened = ClientStream::open(parts_.client, {.shape = {.api = request_->api(),
                                                             .generation_id = generation_.id,
                                                             .model = generation_.requested_model,
                                                             .created_unix_s = created_unix_s()},
                                                   .headers = std::move(headers),
                                                   .keep_alive = parts_.options.keep_alive,
                                                   .write_timeout = parts_.options.write_timeout});
  stream_ = std::move(opened.stream);
  if (const auto ended = stream_->set_on_end(on_end)) client_ended(*ended);
  return std::move(opened.response);
}

void Call::begin() {
  if (auto slot = parts_.slots->try_take()) {
    slot_.emplace(std::move(*slot));
    return advance(plan_.first(now()));
  }
  wait_for_slot(parts_.slots, [self = shared_from_this()](CallSlots::Slot slot) {
    self->slot_.emplace(std::move(slot));
    self->advance(self->plan_.first(self->now()));
  });
}

void Call::cancel() {
  if (stream_ != nullptr) return stream_->abort();
  whole_->abort();
}

/// A provider without a free place is passed over, like one whose breaker is open; the last one is
/// waited for.
void Call::advance(AttemptStep step) {
  while (true) {
    if (const auto* const error = std::get_if<TypedError>(&step)) return fail(*error);
    NextAttempt& next = std::get<NextAttempt>(step);
    if (next.delay.count > 0) {
      const DurationMs delay = std::exchange(next.delay, DurationMs{0});
      return wait_for_time(delay, [self = shared_from_this(), next]() { self->advance(next); });
    }
    const auto& slots = catalogue_->provider_of(*next.candidate.endpoint).slots();
    auto slot = slots->try_take();
    if (!slot && next.is_forced) {
      return wait_for_slot(slots, [self = shared_from_this(), next](CallSlots::Slot late) {
        auto permit = self->ask_breaker(next);
        self->attempt(next, std::move(late), std::move(*permit));
      });
    }
    if (slot) {
      if (auto permit = ask_breaker(next)) {
        return attempt(next, std::move(*slot), std::move(*permit));
      }
    }
    slot.reset();
    step = plan_.after_refusal(now());
  }
}

/// Never refuses a forced attempt.
std::optional<Breaker::Permit> Call::ask_breaker(const NextAttempt& next) {
  const auto breaker = parts_.breakers.of(next.candidate.endpoint->id);
  if (next.is_forced) return breaker->begin_anyway();
  return breaker->try_begin();
}

std::int64_t Call::created_unix_s() const {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  return generation_.start_unix_ns / kNsPerSecond;
}

AnswerShape Call::shape_for(const Candidate& candidate) const {
  return {.api = request_->api(),
          .generation_id = generation_.id,
          .model = candidate.model->config.id,
          .provider_name = candidate.endpoint->provider->name,
          .created_unix_s = created_unix_s(),
          .forwards_usage =
              request_->parsed().fields().wants_usage || parts_.options.always_includes_usage,
          .pricing = pricing_of(candidate)};
}

Pricing Call::pricing_of(const Candidate& candidate) const {
  Pricing pricing = candidate.endpoint->pricing();
  pricing.images = generation_.input_media.images;
  return pricing;
}

void Call::attempt(const NextAttempt& next, CallSlots::Slot slot, Breaker::Permit permit) {
  ServedProvider& provider = catalogue_->provider_of(*next.candidate.endpoint);
  const auto key_index = provider.pick_key();
  Upstream upstream = provider.upstream(*next.candidate.endpoint, next.timeouts, key_index);
  serving_.reset();
  serving_.emplace(Serving{.candidate = next.candidate,
                           .provider = provider,
                           .key_index = key_index,
                           .slot = std::move(slot),
                           .permit = std::move(permit),
                           .shape = shape_for(next.candidate),
                           .timeouts = upstream.timeouts});
  echo_.add(*request_, upstream, serving_->shape);
  constexpr std::int64_t kMsPerSecond = 1000;
  const auto running = RunningAttempt::make(
      parts_.client,
      {.request = request_,
       .upstream = std::move(upstream),
       .shape = serving_->shape,
       .stopwatch = stopwatch_,
       .answer_bytes_max = parts_.options.answer_bytes_max,
       .now_unix_s = parts_.clock.now().since_epoch / kMsPerSecond},
      [self = shared_from_this()](AttemptResult outcome) { self->take(std::move(outcome)); });
  bool is_wanted = false;
  {
    const core::Lock lock(mutex_);
    is_wanted = !client_end_;
    if (is_wanted) {
      phase_ = Phase::Calling;
      running_ = running;
    }
  }
  if (is_wanted) return running->start();
  serving_.reset();
  fail(client_left());
}

void Call::take(AttemptResult outcome) {
  {
    const core::Lock lock(mutex_);
    phase_ = Phase::Moving;
    running_.reset();
  }
  if (auto* const whole = std::get_if<WholeOutcome>(&outcome.result)) {
    return take_whole(std::move(outcome.record), std::move(*whole));
  }
  if (auto* const stream = std::get_if<StreamOutcome>(&outcome.result)) {
    return take_stream(std::move(outcome.record), std::move(*stream));
  }
  take_failure(std::move(outcome.record), std::get<FailedOutcome>(outcome.result));
}

void Call::take_failure(Attempt record, const FailedOutcome& failed) {
  if (failed.failure == FailureKind::NotSent) echo_.forget_last();
  failure_headers_ = failed.headers;
  AttemptFailure failure{.error = failed.error, .status = failed.status};
  ServedProvider& provider = serving_->provider;
  if (const auto pause = key_pause(failure); pause && serving_->key_index) {
    provider.keys().put_aside(*serving_->key_index, *pause);
    if (provider.keys().has_free_key()) failure.other_key = OtherKey::Free;
  }
  // A 403 may also be about the prompt.
  const bool is_refused = failed.status == 401 || failed.status == 403;
  if (is_refused && failed.error.type == ErrorType::ProviderUnavailable) {
    log::error("provider refused the gateway's key",
               {{"provider", record.provider_slug}, {"status", *failed.status}});
  }
  const AttemptOutcome outcome = endpoint_outcome(failed, failure);
  serving_->permit.end(outcome);
  if (outcome != AttemptOutcome::Neither) {
    parts_.statistics.record(serving_->candidate.endpoint->id, {.outcome = outcome});
  }
  serving_.reset();
  generation_.attempts.push_back(std::move(record));
  if (failed.failure == FailureKind::Cancelled) return fail(client_left());
  advance(plan_.after_failure(failure, now()));
}

void Call::take_whole(Attempt record, WholeOutcome whole) {
  const Candidate& candidate = serving_->candidate;
  serving_->permit.end(AttemptOutcome::Success);
  parts_.statistics.record(candidate.endpoint->id,
                           {.outcome = AttemptOutcome::Success, .latency_s = latency_s(record)});
  record_session();
  generation_.served_model = candidate.model->config.id;
  generation_.pricing = pricing_of(candidate);
  generation_.attempts.push_back(std::move(record));
  net::Response response =
      net::json_response(200, whole.shaped ? *std::move(whole.shaped) : whole.body);
  response.may_compress = response.body.size() > kCompressBytesMin;
  for (const auto& [name, value] : whole.headers.fields()) response.headers.add(name, value);
  response.headers.add("X-Generation-Id", generation_.id);
  const net::Headers details = detail_headers();
  for (const auto& [name, value] : details.fields()) response.headers.add(name, value);
  answer_body_ = std::move(whole.body);
  generation_.is_ok = true;
  // Given back last: that may start another call, and this client should not wait for it.
  const CallSlots::Slot slot = std::move(serving_->slot);
  serving_.reset();
  answer(
      [this, response = std::move(response)]() mutable { whole_->respond(std::move(response)); });
}

void Call::take_stream(Attempt record, StreamOutcome stream) {
  serving_->permit.end(AttemptOutcome::Success);
  generation_.served_model = serving_->candidate.model->config.id;
  generation_.pricing = pricing_of(serving_->candidate);
  generation_.attempts.push_back(record);
  net::Headers headers = detail_headers();
  generation_.attempts.pop_back();  // add_stream adds it when it is whole
  {
    const core::Lock lock(mutex_);
    phase_ = Phase::Streaming;
  }
  StreamPump::start(
      {.upstream = std::move(stream),
       .record = std::move(record),
       .client = stream_,
       .shape = serving_->shape,
       .timeouts = serving_->timeouts,
       .stopwatch = stopwatch_,
       .headers = std::move(headers),
       .first_events = echo_.take_events()},
      [self = shared_from_this()](StreamResult result) { self->end_stream(std::move(result)); });
}

void Call::end_stream(StreamResult result) {
  add_stream(result, generation_);
  parts_.statistics.record(serving_->candidate.endpoint->id, measure_stream(result));
  if (generation_.is_ok) record_session();
  serving_.reset();
  {
    const core::Lock lock(mutex_);
    phase_ = Phase::Over;
    client_end_ = result.client_end;
  }
  streamed_ = std::move(result.answer);
  complete();
}

void Call::record_session() {
  const Candidate& candidate = serving_->candidate;
  parts_.sessions.record_success(
      {.owner = key_->hash, .session = session_, .model = candidate.model->config.id},
      candidate.endpoint->provider->slug);
}

net::Headers Call::detail_headers() const {
  net::Headers headers;
  if (parts_.options.provider == AnswerDetails::Shown) {
    headers.add("X-Gantry-Provider", generation_.attempts.back().provider_slug);
  }
  if (parts_.options.overhead == AnswerDetails::Shown) {
    headers.add("X-Gantry-Overhead-Ms",
                fmt::format("{:.2f}", overhead_ms(generation_.attempts, stopwatch_.elapsed_ms())));
  }
  return headers;
}

// Waiting.

/// False: the client has left already, and the call is over.
bool Call::begin_wait(std::shared_ptr<CallSlots> slots, std::uint64_t& wait) {
  {
    const core::Lock lock(mutex_);
    if (!client_end_) {
      phase_ = Phase::Waiting;
      awaited_ = std::move(slots);
      waiting_since_ms_ = stopwatch_.elapsed_ms();
      if (timer_ == nullptr) timer_ = parts_.client.make_timer();
      wait = ++wait_;
      return true;
    }
  }
  fail(client_left());
  return false;
}

/// True: whoever calls moves the call on.
bool Call::end_wait(std::uint64_t wait) {
  const core::Lock lock(mutex_);
  if (phase_ != Phase::Waiting || wait_ != wait) return false;
  phase_ = Phase::Moving;
  timer_->cancel();
  if (awaited_ != nullptr) {
    constexpr double kMsPerSecond = 1000;
    parts_.queue_seconds.observe((stopwatch_.elapsed_ms() - waiting_since_ms_) / kMsPerSecond);
  }
  awaited_.reset();
  return true;
}

void Call::start_timer(std::uint64_t wait, DurationMs time, Continue on_due) {
  const core::Lock lock(mutex_);
  if (phase_ != Phase::Waiting || wait_ != wait) return;
  timer_->start(time, [self = shared_from_this(), wait, on_due = std::move(on_due)]() mutable {
    if (self->end_wait(wait)) on_due();
  });
}

void Call::wait_for_time(DurationMs time, Continue then) {
  std::uint64_t wait = 0;
  if (begin_wait(nullptr, wait)) start_timer(wait, time, std::move(then));
}

void Call::wait_for_slot(const std::shared_ptr<CallSlots>& slots, CallSlots::OnSlot then) {
  std::uint64_t wait = 0;
  if (!begin_wait(slots, wait)) return;
  const auto self = shared_from_this();
  start_timer(wait, parts_.options.queue_wait_max, [self, slots] {
    slots->leave(self.get());
    self->fail(too_many_calls(*self->request_));
  });
  // From here on another thread may move the call on.
  const bool is_waiting =
      slots->wait(this, [self, wait, then = std::move(then)](CallSlots::Slot slot) mutable {
        if (self->end_wait(wait)) then(std::move(slot));
      });
  if (!is_waiting && end_wait(wait)) fail(too_many_calls(*request_));
}

// The end.

void Call::fail(const TypedError& error) {
  generation_.is_ok = false;
  generation_.error_type = error_word(error.type);
  generation_.error_message = error.message;
  if (stream_ != nullptr) {
    return answer([this, error] { stream_->fail(error, failure_headers_); });
  }
  net::Response response = error_answer(request_->api(), error, generation_.id);
  response.headers.set("X-Generation-Id", generation_.id);
  for (const auto& [name, value] : failure_headers_.fields()) response.headers.add(name, value);
  answer(
      [this, response = std::move(response)]() mutable { whole_->respond(std::move(response)); });
}

/// `give` sends the last of the answer. The client's end follows it, or has come already.
void Call::answer(Continue give) {
  const auto self = shared_from_this();  // the end may come before `give` is done
  bool is_over = false;
  {
    const core::Lock lock(mutex_);
    is_over = client_end_.has_value();
    phase_ = is_over ? Phase::Over : Phase::Answered;
  }
  is_over ? complete() : give();
}

void Call::client_ended(const net::AnswerEnd& how) {
  Phase phase = Phase::Over;
  std::shared_ptr<RunningAttempt> running;
  std::shared_ptr<CallSlots> awaited;
  {
    const core::Lock lock(mutex_);
    if (client_end_) return;
    client_end_ = how;
    phase = phase_;
    running = running_;
    if (phase == Phase::Waiting) {
      phase_ = Phase::Moving;  // by this thread
      timer_->cancel();
      awaited = std::exchange(awaited_, nullptr);
    } else if (phase == Phase::Answered) {
      phase_ = Phase::Over;
    }
  }
  switch (phase) {
    case Phase::Moving:
    case Phase::Streaming:
    case Phase::Over:
      return;
    case Phase::Waiting:
      if (awaited != nullptr) awaited->leave(this);
      return fail(client_left());
    case Phase::Calling:
      if (running != nullptr) running->cancel();
      return;
    case Phase::Answered:
      return complete();
  }
}

void Call::complete() {
  if (generation_.end_ms == 0) generation_.end_ms = stopwatch_.elapsed_ms();
  std::optional<net::AnswerEnd> client_end;
  {
    const core::Lock lock(mutex_);
    client_end = client_end_;
  }
  if (answer_body_) reported_ = add_whole_answer(*answer_body_, request_->api(), generation_);
  add_client_end(*client_end, generation_);
  const bool is_counted = streamed_ ? streamed_->usage.has_value()
                                    : !answer_body_.has_value() || reported_.usage.has_value();
  const BpeTokenizer* const tokenizer =
      is_counted ? nullptr : catalogue_->tokenizer_of(generation_.served_model);
  if (tokenizer == nullptr) return settle({});
  // Counting may take longer than others on this thread should wait. When it is over before
  // `submit` is, the gateway may be gone.
  const std::shared_ptr<core::WorkerPool> counters = parts_.counters;
  const auto queued =
      counters->submit([self = shared_from_this(), tokenizer] { self->settle({tokenizer}); });
  if (!queued) settle({});
}

/// With all that is known of the call, but for what is to be counted.
void Call::settle(const TextCounting& counting) {
  if (answer_body_) add_whole_usage(*answer_body_, reported_, *request_, counting, generation_);
  if (streamed_) add_stream_usage(*streamed_, *request_, counting, generation_);
  answer_body_.reset();
  streamed_.reset();
  reservation_.settle(
      {.cost = generation_.cost ? std::optional(generation_.cost->total) : std::nullopt,
       .tokens = generation_.usage ? generation_.usage->total : 0});
  slot_.reset();
  parts_.metrics.observe(generation_, key_.get());
  if (!generation_.attempts.empty()) {
    parts_.records.add(key_->org, key_->stack, generation_);
    const auto finished = std::make_shared<const Generation>(std::move(generation_));
    for (GenerationSink* const sink : parts_.sinks) sink->take(key_->org, key_->stack, finished);
  }
  parts_.live.remove(*this);
}

}  // namespace gantry::gateway
