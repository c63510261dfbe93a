#pragma once

// The bytes of a client's stream, made from a provider's events one at a time.
//
// Chat and Completions: each chunk is the provider's but for what must change: id, model, provider,
// usage that the client did not ask for, tool-call indexes and finish reasons outside the standard.
// Responses and Messages: each event is passed on as it came, an error with its `error_type` added.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/answer_shape.h"
#include "gateway/error_answer.h"
#include "gateway/generation.h"
#include "gateway/sse_reader.h"
#include "gateway/tool_call_index.h"

namespace gantry::gateway {

/// Sent when a stream was silent for long; clients pass over it.
inline constexpr std::string_view kKeepAlive = ": GANTRY PROCESSING\n\n";

enum class StreamState : std::uint8_t { Open, Done, Failed };

/// Appends to the given string whatever the client gets. Once Done or Failed, nothing more comes
/// out. Not thread-safe.
class StreamTranslator {
 public:
  explicit StreamTranslator(AnswerShape shape) : shape_(std::move(shape)) {}

  /// Failed: the provider sent an error or what is no chunk; the client was told, and error() says
  /// what. Done: the stream came to its end. So does one of Responses that no more tokens fit into:
  /// its client gets response.incomplete, whatever the provider calls it.
  StreamState translate(const SseEvent& event, std::string& out);

  /// The provider's stream is over. One that ended without its last event and without a finish
  /// reason broke off: Failed.
  StreamState finish(std::string& out);

  /// Ends the stream with an error of the gateway's own (a time-out, say). Only while Open.
  void fail(TypedError error, std::string& out);

  [[nodiscard]] StreamState state() const { return state_; }

  /// Meaningful when Failed.
  [[nodiscard]] const TypedError& error() const { return error_; }

 private:
  void translate_chunk(const SseEvent& event, std::string& out);
  void pass_on(const SseEvent& event, std::string& out);
  void pass_on_error(const SseEvent& event, bool is_failed_response, std::string& out);
  void note_response(std::string_view data);
  [[nodiscard]] std::string last_event(const TypedError* error) const;

  /// What the provider said of its response when it began.
  struct BegunResponse {
    std::string id;
    std::string model;
    std::optional<std::int64_t> created_at;
  };

  AnswerShape shape_;
  StreamState state_ = StreamState::Open;
  TypedError error_;
  ToolCallIndex tool_calls_;
  bool has_finish_reason_ = false;
  BegunResponse response_;         ///< Of Responses.
  std::int64_t events_count_ = 0;  ///< Passed on: what comes next has this number.
};

}  // namespace gantry::gateway
