#include <algorithm>
#include <utility>

#include "core/log.h"
#include "gateway/answer_reader.h"
#include "gateway/call_record_internal.h"
#include "gateway/error_answer.h"
#include "gateway/passthrough_answer.h"
#include "gateway/token_estimate.h"

namespace gantry::gateway {
namespace {

constexpr double kMsPerSecond = 1000;

/// When an attempt no longer waited for its provider.
double wait_end_ms(const Attempt& attempt, double now_ms) {
  if (attempt.failed_ms) return *attempt.failed_ms;
  if (attempt.body_end_ms) return *attempt.body_end_ms;
  return attempt.is_ok ? now_ms : attempt.headers_ms.value_or(now_ms);
}

Result<Answer> read(Api api, const std::string& body) {
  const bool is_passed_through = api == Api::Responses || api == Api::Messages;
  return is_passed_through ? read_passthrough_answer(api, body) : read_answer(api, body);
}

/// The recorded completion stands for its texts: its own JSON is a few bytes more.
Usage estimated_usage(const Answer& answer, const InferenceRequest& request) {
  const std::size_t output_bytes =
      request.api() == Api::Embeddings ? 0 : answer.completion.json.size();
  return estimate_usage(estimate_input_tokens(request.api(), request.body()), output_bytes);
}

}  // namespace

double overhead_ms(std::span<const Attempt> attempts, double now_ms) {
  double overhead = now_ms;
  for (const Attempt& attempt : attempts) {
    overhead -= std::max(0.0, wait_end_ms(attempt, now_ms) - attempt.sent_ms);
  }
  return std::max(0.0, overhead);
}

std::optional<double> latency_s(const Attempt& attempt) {
  if (!attempt.body_end_ms) return std::nullopt;
  return (*attempt.body_end_ms - attempt.sent_ms) / kMsPerSecond;
}

CallMeasurement measure_stream(const StreamResult& result, const Generation& generation) {
  CallMeasurement measured;
  if (result.end == StreamEnd::ProviderFailed) {
    measured.outcome = AttemptOutcome::Failure;
    return measured;
  }
  const Attempt& attempt = result.record;
  if (!attempt.first_token_ms) return measured;
  measured.latency_s = (*attempt.first_token_ms - attempt.sent_ms) / kMsPerSecond;
  const bool is_counted = generation.usage && !generation.usage->is_estimated;
  if (!is_counted || !attempt.body_end_ms || generation.usage->output < 2) return measured;
  const double seconds = (*attempt.body_end_ms - *attempt.first_token_ms) / kMsPerSecond;
  if (seconds > 0) {
    measured.tokens_per_second = static_cast<double>(generation.usage->output - 1) / seconds;
  }
  return measured;
}

void add_whole_answer(const std::string& body, const InferenceRequest& request,
                      Generation& generation) {
  auto answer = read(request.api(), body);
  if (!answer) {
    // The client has it as it came.
    log::warn("provider's answer could not be read for the trace",
              {{"generation", generation.id}, {"error", answer.error().message}});
    answer.emplace();
  }
  generation.usage = answer->usage ? answer->usage : estimated_usage(*answer, request);
  add_cost(answer->reported_cost, generation);
  generation.upstream_id = std::move(answer->upstream_id);
  generation.finish_reason = std::move(answer->finish_reason);
  generation.native_finish_reason = std::move(answer->native_finish_reason);
  generation.finish_reasons = std::move(answer->finish_reasons);
  generation.tool_calls_count = answer->tool_calls_count;
  generation.completion = std::move(answer->completion);
}

void add_client_end(const net::AnswerEnd& end, Generation& generation) {
  using enum net::AnswerEnd::Reason;
  const std::string_view left = error_word(ErrorType::ClientDisconnected);
  if (generation.is_ok && end.reason != Finished && end.reason != NotWanted) {
    generation.is_ok = false;
    generation.error_type = left;
  }
  if (generation.error_type != left) return;
  generation.error_message = kClientLeftMessage;
  generation.is_cancelled = end.reason == ClientLeft || end.reason == WriteTimeout;
}

}  // namespace gantry::gateway
