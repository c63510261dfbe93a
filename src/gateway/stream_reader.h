#pragma once

// What the trace and the bill need of a provider's stream, read beside passing it on.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/content.h"
#include "gateway/generation.h"
#include "gateway/sse_reader.h"

namespace gantry::gateway {

struct StreamedToolCall {
  std::string id;
  std::string name;
  std::string arguments;  ///< JSON as the model wrote it, perhaps unfinished.
};

/// Texts are those of choice 0. Together they are at most the reader's limit, cut at a character.
struct StreamedAnswer {
  std::string upstream_id;
  std::string upstream_model;
  /// The provider's last word. Nothing: it never said, or the stream broke off before.
  std::optional<Usage> usage;
  /// Anthropic tells the input first: of a stream that broke off, this much is known. Its output
  /// is what was counted when the stream began.
  std::optional<Usage> usage_at_start;
  std::optional<PicoUsd> reported_cost;  ///< The usage's own `cost`.
  std::optional<std::string> text;  ///< Nothing: no text came, as with an answer of tool calls.
  std::optional<std::string> reasoning;
  std::optional<std::string> refusal;
  std::vector<StreamedToolCall> tool_calls;
  bool is_cut = false;                      ///< The limit was reached.
  std::string finish_reason;                ///< Of choice 0; normalised.
  std::string native_finish_reason;         ///< Of choice 0; the provider's own word.
  std::vector<std::string> finish_reasons;  ///< Of the choices that ended, by index; normalised.
  std::int64_t tool_calls_count = 0;        ///< Of all choices.
  /// Text, reasoning, refusals and arguments of all choices, uncut: what an estimate counts.
  std::size_t output_bytes = 0;
};

/// In the form in which answers in one piece are recorded. Nothing if neither output nor a finish
/// reason came.
[[nodiscard]] RecordedContent record_streamed(const StreamedAnswer& answer);

class StreamFormat;

/// Events that it does not know, or that are not JSON, add nothing. Not thread-safe.
class StreamReader {
 public:
  /// Of Chat, Completions, Responses or Messages.
  explicit StreamReader(Api api, std::size_t content_bytes_max = kContentBytesMax);
  ~StreamReader();
  StreamReader(StreamReader&&) noexcept;
  StreamReader& operator=(StreamReader&&) noexcept;

  /// True for the event with the stream's first token (text, reasoning, refusal or tool call that
  /// is not empty): the caller notes the time. At most once.
  bool read(const SseEvent& event);

  [[nodiscard]] const StreamedAnswer& answer() const;

 private:
  std::unique_ptr<StreamFormat> format_;
};

}  // namespace gantry::gateway
