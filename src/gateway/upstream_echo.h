#pragma once

// debug.echo_upstream_body: a stream begins with the bodies that providers were sent, one event for
// each attempt, as OpenRouter's do. They are content: the client gets them, and nobody else.

#include <cstddef>
#include <string>
#include <vector>

#include "gateway/answer_shape.h"
#include "gateway/upstream_request.h"

namespace gantry::gateway {

/// Of one call. Not thread-safe.
class UpstreamEcho {
 public:
  /// Of all bodies that are kept. A later attempt's takes the place of earlier ones; what is longer
  /// by itself is not echoed.
  static constexpr std::size_t kBytesMax = 1 << 20;

  /// An attempt begins. Nothing happens unless the request is for a stream of Chat or Responses and
  /// asks for the echo.
  void add(const InferenceRequest& request, const Upstream& upstream, const AnswerShape& shape);

  /// The attempt that was added last has sent nothing.
  void forget_last();

  /// The events, for the begin of the answer; "": none. Empty afterwards.
  [[nodiscard]] std::string take_events();

 private:
  std::vector<std::string> events_;  ///< By attempt; "": too long.
  std::size_t bytes_ = 0;
};

}  // namespace gantry::gateway
