#include <algorithm>
#include <utility>

#include "core/log.h"
#include "gateway/answer_reader.h"
#include "gateway/call_record_internal.h"
#include "gateway/error_answer.h"
#include "gateway/passthrough_answer.h"

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

/// Without a tokenizer the recorded completion stands for its texts: its own JSON is a few bytes
/// more.
std::int64_t output_tokens(const std::string& body, Api api, const TextCounting& counting,
                           const RecordedContent& completion) {
  if (counting.tokenizer != nullptr) return estimate_output_tokens(api, body, counting);
  return api == Api::Embeddings ? 0 : estimate_text_tokens(completion.json.size());
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

CallMeasurement measure_stream(const StreamResult& result) {
  CallMeasurement measured;
  if (result.end == StreamEnd::ProviderFailed) {
    measured.outcome = AttemptOutcome::Failure;
    return measured;
  }
  const Attempt& attempt = result.record;
  if (!attempt.first_token_ms) return measured;
  measured.latency_s = (*attempt.first_token_ms - attempt.sent_ms) / kMsPerSecond;
  const std::optional<Usage>& usage = result.answer.usage;
  if (!usage || !attempt.body_end_ms || usage->output < 2) return measured;
  const double seconds = (*attempt.body_end_ms - *attempt.first_token_ms) / kMsPerSecond;
  if (seconds > 0) {
    measured.tokens_per_second = static_cast<double>(usage->output - 1) / seconds;
  }
  return measured;
}

ReportedUsage add_whole_answer(const std::string& body, Api api, Generation& generation) {
  auto answer = read(api, body);
  if (!answer) {
    // The client has it as it came.
    log::warn("provider's answer could not be read for the trace",
              {{"generation", generation.id}, {"error", answer.error().message}});
    answer.emplace();
  }
  generation.upstream_id = std::move(answer->upstream_id);
  generation.finish_reason = std::move(answer->finish_reason);
  generation.native_finish_reason = std::move(answer->native_finish_reason);
  generation.finish_reasons = std::move(answer->finish_reasons);
  generation.tool_calls_count = answer->tool_calls_count;
  generation.completion = std::move(answer->completion);
  return {.usage = answer->usage, .cost = answer->reported_cost};
}

void add_whole_usage(const std::string& body, const ReportedUsage& reported,
                     const InferenceRequest& request, const TextCounting& counting,
                     Generation& generation) {
  generation.usage = reported.usage;
  if (!generation.usage) {
    const Api api = request.api();
    generation.usage = estimated_usage(estimate_input_tokens(api, request.body(), counting),
                                       output_tokens(body, api, counting, generation.completion));
  }
  add_cost(reported.cost, generation);
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
