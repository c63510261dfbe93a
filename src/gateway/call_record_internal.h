#pragma once

// What a call leaves behind: its Generation and what is learnt of the endpoint.

#include <span>
#include <string>
#include <string_view>

#include "gateway/endpoint_statistics.h"
#include "gateway/generation.h"
#include "gateway/stream_pump.h"
#include "gateway/token_estimate.h"
#include "gateway/upstream_request.h"
#include "gateway/usage_reader.h"
#include "net/answer_stream.h"

namespace gantry::gateway {

/// Of a call whose client did not wait for its end.
inline constexpr std::string_view kClientLeftMessage = "The client has disconnected";

/// The time up to `now_ms` that was not spent waiting for providers.
[[nodiscard]] double overhead_ms(std::span<const Attempt> attempts, double now_ms);

/// Of an answer in one piece: from the request to its last byte.
[[nodiscard]] std::optional<double> latency_s(const Attempt& attempt);

[[nodiscard]] CallMeasurement measure_stream(const StreamResult& result);

/// Adds finish reasons and content; the result is what the provider counted. `body` is the
/// provider's; net::kBodyPaddingBytes behind it are readable.
[[nodiscard]] ReportedUsage add_whole_answer(const std::string& body, Api api,
                                             Generation& generation);

/// Adds usage, estimated if the provider did not count, and the cost by the pricing that
/// `generation` has, to what add_whole_answer has added. Takes as long as counting does.
void add_whole_usage(const std::string& body, const ReportedUsage& reported,
                     const InferenceRequest& request, const TextCounting& counting,
                     Generation& generation);

/// A call that went well up to a client that did not take the answer did not go well.
void add_client_end(const net::AnswerEnd& end, Generation& generation);

}  // namespace gantry::gateway
