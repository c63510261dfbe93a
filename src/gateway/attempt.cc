#include "gateway/attempt.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "gateway/json_reader.h"
#include "net/egress_url.h"

namespace gantry::gateway {
namespace {

/// Of an answer that is an error: what is longer is cut, and judged by its status.
constexpr std::size_t kErrorBytesMax = 64 << 10;
constexpr DurationMs kErrorBodyTimeout{5'000};

constexpr std::string_view kProviderError = "Provider returned error";

bool is_success(int status) {
  return status >= 200 && status < 300;
}

/// "application/json" of "Application/JSON; charset=utf-8".
std::string media_type(const net::Headers& headers) {
  const std::string_view value = headers.find("Content-Type");
  std::string type(value.substr(0, value.find_first_of("; \t")));
  std::ranges::transform(type, type.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return type;
}

/// The request does not offer any other coding.
bool is_encoded(const net::Headers& headers) {
  const std::string_view coding = headers.find("Content-Encoding");
  return !coding.empty() && coding != "identity";
}

/// An object and nothing behind it.
bool is_json_object(std::string_view body) {
  JsonReader json(body);
  return json.object([](const JsonMember&) {}) && json.finish();
}

bool is_done_event(const SseEvent& event) {
  return event.data.starts_with("[DONE]");
}

FailureKind failure_of(net::CallFailure failure) {
  using enum net::CallFailure;
  switch (failure) {
    case BadRequest:
    case Forbidden:
    case Overloaded:
      return FailureKind::NotSent;
    case Resolve:
    case Connect:
    case TlsVerification:
    case Tls:
    case Reset:
    case Protocol:
      return FailureKind::Connection;
    case ConnectTimeout:
    case HeaderTimeout:
    case IdleTimeout:
    case TotalTimeout:
      return FailureKind::Timeout;
    case Cancelled:
      return FailureKind::Cancelled;
  }
  std::unreachable();
}

Attempt begin_record(const Upstream& upstream) {
  Attempt record;
  record.provider_name = upstream.name;
  record.provider_slug = upstream.slug;
  record.upstream_model = upstream.model;
  if (const auto url = net::parse_egress_url(upstream.base_url)) {
    record.server_address = url->host;
    record.server_port = url->port;
  }
  return record;
}

}  // namespace

TypedError typed_call_error(net::CallFailure failure, const UpstreamTimeouts& timeouts) {
  using enum net::CallFailure;
  switch (failure) {
    case ConnectTimeout:
      return provider_timeout(timeouts.connect.count);
    case HeaderTimeout:
      return provider_timeout(timeouts.headers.count);
    case IdleTimeout:
      return {.type = ErrorType::Timeout,
              .message = fmt::format("Provider was silent for {} ms", timeouts.idle.count)};
    case TotalTimeout:
      return {.type = ErrorType::Timeout,
              .message = fmt::format("Provider did not finish in {} ms", timeouts.total.count)};
    case Cancelled:
      return {.type = ErrorType::ClientDisconnected, .message = "Client disconnected"};
    case Reset:
      return provider_disconnected();
    case BadRequest:
    case Forbidden:
    case Overloaded:
    case Resolve:
    case Connect:
    case TlsVerification:
    case Tls:
    case Protocol:
      return {.type = ErrorType::ProviderUnavailable, .message = std::string(kProviderError)};
  }
  std::unreachable();
}

RunningAttempt::RunningAttempt(Options options, OnOutcome on_outcome)
    : options_(std::move(options)),
      on_outcome_(std::move(on_outcome)),
      record_(begin_record(options_.upstream)) {}

std::shared_ptr<RunningAttempt> RunningAttempt::make(net::StreamingClient& client, Options options,
                                                     OnOutcome on_outcome) {
  auto request = make_upstream_request(options.request, options.upstream);
  auto attempt = std::make_shared<RunningAttempt>(std::move(options), std::move(on_outcome));
  if (request) attempt->call_ = client.make_call(*std::move(request));
  return attempt;
}

void RunningAttempt::start() {
  record_.sent_ms = options_.stopwatch.elapsed_ms();
  if (call_ == nullptr) {
    return fail({.failure = FailureKind::NotSent,
                 .error = {.type = ErrorType::ProviderUnavailable,
                           .message = std::string(kProviderError)}});
  }
  call_->start([self = shared_from_this()](std::expected<net::AnswerHead, net::CallError> head) {
    self->take_head(std::move(head));
  });
  // A call takes no cancellation before its start. Whichever of the two comes second sees the
  // other: the flag is set before the call is asked, and read after it was started.
  if (is_cancelled_) call_->cancel();
}

void RunningAttempt::cancel() {
  is_cancelled_ = true;
  if (call_ != nullptr) call_->cancel();
}

void RunningAttempt::take_head(std::expected<net::AnswerHead, net::CallError> head) {
  if (!head) return fail_call(head.error());
  head_ = *std::move(head);
  record_.headers_ms = options_.stopwatch.elapsed_ms();
  record_.status = head_.status;
  const bool is_stream = options_.request->is_stream() && is_success(head_.status) &&
                         media_type(head_.headers) != "application/json";
  if (is_success(head_.status) && is_encoded(head_.headers)) {
    return fail_answer(FailureKind::InvalidAnswer, {});
  }
  return is_stream ? await_first_event() : read_body();
}

void RunningAttempt::await_first_event() {
  events_ = std::make_unique<UpstreamEvents>(call_, options_.upstream.timeouts.idle);
  events_->wait([self = shared_from_this()](std::expected<void, net::CallError> ready) {
    if (!ready) return self->fail_call(ready.error());
    self->judge_first_event();
  });
}

void RunningAttempt::judge_first_event() {
  const auto first = events_->peek();
  if (!first || !*first) {
    const std::string_view text = events_->preamble();
    const bool is_error = is_error_body(text);
    return fail_answer(is_error ? FailureKind::ErrorBody : FailureKind::InvalidAnswer, text);
  }
  const SseEvent& event = **first;
  if (is_error_event(event.name) || is_error_body(event.data)) {
    return fail(
        {.failure = FailureKind::ErrorBody,
         .status = head_.status,
         .headers = passed_answer_headers(head_.headers),
         .error = classify_upstream(
             {.status = head_.status, .body = event.data, .now_unix_s = options_.now_unix_s})});
  }
  if (is_done_event(event)) return fail_answer(FailureKind::InvalidAnswer, {});
  record_.is_ok = true;
  give(
      StreamOutcome{.events = std::move(events_), .headers = passed_answer_headers(head_.headers)});
}

void RunningAttempt::read_body() {
  const bool is_failure = !is_success(head_.status);
  const DurationMs idle = options_.upstream.timeouts.idle;
  const DurationMs patience = is_failure ? std::min(idle, kErrorBodyTimeout) : idle;
  call_->read(
      [self = shared_from_this()](std::expected<std::string, net::CallError> piece) {
        self->take_piece(std::move(piece));
      },
      patience);
}

void RunningAttempt::take_piece(std::expected<std::string, net::CallError> piece) {
  const bool is_failure = !is_success(head_.status);
  if (!piece) {
    // The status says enough without the rest of the body.
    const bool is_cancelled = piece.error().failure == net::CallFailure::Cancelled;
    return is_failure && !is_cancelled ? judge_body() : fail_call(piece.error());
  }
  if (piece->empty()) return judge_body();
  const bool is_error = is_failure || options_.request->is_stream();
  const std::size_t bytes_max = is_error ? kErrorBytesMax : options_.answer_bytes_max;
  body_.append(*piece, 0, bytes_max - body_.size() + 1);
  if (body_.size() <= bytes_max) return read_body();
  return is_error ? judge_body() : fail_answer(FailureKind::InvalidAnswer, {});
}

void RunningAttempt::judge_body() {
  record_.body_end_ms = options_.stopwatch.elapsed_ms();
  if (!is_success(head_.status)) return fail_answer(FailureKind::Status, body_);
  if (is_error_body(body_)) return fail_answer(FailureKind::ErrorBody, body_);
  // Whoever asked for a stream cannot use anything else.
  if (options_.request->is_stream()) return fail_answer(FailureKind::InvalidAnswer, {});
  WholeOutcome whole{.headers = passed_answer_headers(head_.headers)};
  const Api api = options_.request->api();
  if (api == Api::Responses || api == Api::Messages) {
    if (!is_json_object(body_)) return fail_answer(FailureKind::InvalidAnswer, {});
  } else {
    whole.shaped = splice_answer(body_, options_.shape);
    if (!whole.shaped) return fail_answer(FailureKind::InvalidAnswer, {});
  }
  whole.body = std::move(body_);
  whole.body.reserve(whole.body.size() + net::kBodyPaddingBytes);
  record_.is_ok = true;
  give(std::move(whole));
}

/// `body` is what of the answer says what went wrong.
void RunningAttempt::fail_answer(FailureKind failure, std::string_view body) {
  fail({.failure = failure,
        .status = head_.status,
        .headers = passed_answer_headers(head_.headers),
        .error = classify_upstream({.status = head_.status,
                                    .body = body,
                                    .retry_after = head_.headers.find("Retry-After"),
                                    .now_unix_s = options_.now_unix_s})});
}

void RunningAttempt::fail_call(const net::CallError& error) {
  fail({.failure = failure_of(error.failure),
        .call = error.failure,
        .status = record_.status,
        .error = typed_call_error(error.failure, options_.upstream.timeouts)});
}

void RunningAttempt::fail(FailedOutcome failed) {
  name_moderator(failed.error, options_.upstream.name, options_.shape.model);
  record_.error_type = error_word(failed.error.type);
  record_.message = failed.error.message;
  if (!record_.headers_ms) record_.failed_ms = options_.stopwatch.elapsed_ms();
  if (call_ != nullptr) call_->cancel();
  give(std::move(failed));
}

void RunningAttempt::give(std::variant<FailedOutcome, WholeOutcome, StreamOutcome> result) {
  std::exchange(on_outcome_, nullptr)({.record = std::move(record_), .result = std::move(result)});
}

}  // namespace gantry::gateway
