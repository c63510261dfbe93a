#include "gateway/token_estimate.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "gateway/bpe_tokenizer.h"
#include "gateway/json_reader.h"
#include "gateway/stream_reader.h"

namespace gantry::gateway {
namespace {

constexpr std::int64_t kPerMessage = 4;
constexpr std::int64_t kPerAnswer = 3;

struct MediaTokens {
  std::string_view part_type;
  std::int64_t tokens;
};

/// OpenAI: an image of 1024 x 1024 in high detail. Anthropic: the largest that is not scaled down.
/// Files and recordings: no provider counts them by size; taken as a large image.
constexpr std::array kMedia = {
    MediaTokens{"image_url", 765},    MediaTokens{"input_image", 765},
    MediaTokens{"image", 1600},       MediaTokens{"document", 1600},
    MediaTokens{"file", 1600},        MediaTokens{"input_file", 1600},
    MediaTokens{"input_audio", 1600}, MediaTokens{"video", 1600},
    MediaTokens{"video_url", 1600},
};

/// OpenAI: any image in low detail.
constexpr std::int64_t kLowDetail = 85;

/// Adds up the tokens of texts.
class TextTally {
 public:
  explicit TextTally(const TextCounting& counting)
      : tokenizer_(counting.tokenizer), exact_bytes_left_(counting.exact_bytes_max) {}

  void add(std::string_view text) {
    if (tokenizer_ == nullptr || text.size() > exact_bytes_left_) return add_bytes(text.size());
    exact_bytes_left_ -= text.size();
    tokens_ += tokenizer_->count(text);
  }

  void add_bytes(std::size_t bytes) { bytes_ += bytes; }

  [[nodiscard]] std::int64_t tokens() const { return tokens_ + estimate_text_tokens(bytes_); }

 private:
  const BpeTokenizer* tokenizer_;
  std::size_t exact_bytes_left_;
  std::int64_t tokens_ = 0;
  std::size_t bytes_ = 0;  ///< Of the texts that are not counted exactly.
};

/// Reads a request's body or an answer's.
class BodyCounter {
 public:
  BodyCounter(Api api, std::string_view body, const TextCounting& counting)
      : api_(api), body_(body), json_(body), texts_(counting) {}

  std::int64_t input() {
    json_.object([this](const JsonMember& member) { request_member(member.key); });
    if (api_ != Api::Completions && api_ != Api::Embeddings) tokens_ += kPerAnswer;
    return std::max<std::int64_t>(tokens_ + texts_.tokens(), 1);
  }

  std::int64_t output() {
    side_ = Side::Output;
    json_.object([this](const JsonMember& member) { answer_member(member.key); });
    return tokens_ + texts_.tokens();
  }

 private:
  /// What a part tells about itself besides its texts.
  struct Part {
    std::string type;
    bool is_low_detail = false;
    bool has_reasoning = false;
    std::string reasoning_content;  ///< Some say the same under both names.
  };

  void request_member(std::string_view key) {
    if (key == "tools" || key == "functions") {
      raw();
    } else if (key == "messages" && (api_ == Api::Chat || api_ == Api::Messages)) {
      messages();
    } else if (key == "system" && api_ == Api::Messages) {
      content();
    } else if (key == "instructions" && api_ == Api::Responses) {
      text();
    } else if (key == "input" && api_ == Api::Responses) {
      if (json_.kind() == JsonKind::String) tokens_ += kPerMessage;
      json_.kind() == JsonKind::String ? text() : messages();
    } else if ((key == "prompt" && api_ == Api::Completions) ||
               (key == "input" && api_ == Api::Embeddings)) {
      texts_or_tokens();
    }
  }

  void answer_member(std::string_view key) {
    const bool is_openai = api_ == Api::Chat || api_ == Api::Completions;
    if (key == "choices" && is_openai) {
      json_.array([this] { choice(); });
    } else if ((key == "content" && api_ == Api::Messages) ||
               (key == "output" && api_ == Api::Responses)) {
      content();
    }
  }

  void choice() {
    json_.object([this](const JsonMember& member) {
      if (member.key == "message") {
        part();
      } else if (member.key == "text") {
        text();
      }
    });
  }

  void messages() {
    json_.array([this] {
      tokens_ += kPerMessage;
      part();
    });
  }

  /// A string, or a list of parts.
  void content() {
    if (json_.kind() == JsonKind::String) return text();
    json_.array([this] { part(); });
  }

  /// A message, a part of one, or a tool call: their texts have the same few names everywhere.
  void part() {
    Part part;
    json_.object([&](const JsonMember& member) { part_member(member.key, part); });
    if (!part.has_reasoning) texts_.add(part.reasoning_content);
    const auto* const media = std::ranges::find(kMedia, part.type, &MediaTokens::part_type);
    if (media != kMedia.end()) tokens_ += part.is_low_detail ? kLowDetail : media->tokens;
  }

  void part_member(std::string_view key, Part& part) {
    if (key == "type") {
      json_.append_string(part.type);
    } else if (key == "detail") {
      part.is_low_detail = json_.string() == "low";
    } else if (key == "image_url") {
      json_.object([&](const JsonMember& member) {
        if (member.key == "detail") part.is_low_detail = json_.string() == "low";
      });
    } else if (key == "content" || key == "output") {
      content();
    } else if (key == "text" || key == "thinking" || key == "refusal" || key == "reasoning" ||
               key == "name" || key == "arguments") {
      part.has_reasoning |= key == "reasoning" && json_.kind() == JsonKind::String;
      text();
    } else if (key == "reasoning_content" && side_ == Side::Output) {
      json_.append_string(part.reasoning_content);
    } else if (key == "summary" && side_ == Side::Output) {
      content();
    } else if (key == "input") {
      raw();
    } else if (key == "function") {
      this->part();
    } else if (key == "tool_calls") {
      json_.array([this] { this->part(); });
    }
  }

  /// Strings, or tokens that the client made, in lists of lists.
  void texts_or_tokens() {
    if (json_.kind() == JsonKind::Number) {
      ++tokens_;
    } else if (json_.kind() == JsonKind::String) {
      text();
    } else {
      json_.array([this] { texts_or_tokens(); });
    }
  }

  void text() {
    scratch_.clear();
    json_.append_string(scratch_);
    texts_.add(scratch_);
  }

  void raw() { texts_.add(json_.skip().of(body_)); }

  enum class Side : bool { Input, Output };

  Api api_;
  std::string_view body_;
  JsonReader json_;
  TextTally texts_;
  Side side_ = Side::Input;
  std::string scratch_;
  std::int64_t tokens_ = 0;  ///< Of what is no text.
};

}  // namespace

std::int64_t estimate_input_tokens(Api api, std::string_view body, const TextCounting& counting) {
  return BodyCounter(api, body, counting).input();
}

std::int64_t estimate_output_tokens(Api api, std::string_view body, const TextCounting& counting) {
  return BodyCounter(api, body, counting).output();
}

std::int64_t estimate_output_tokens(const StreamedAnswer& answer, const TextCounting& counting) {
  TextTally texts(counting);
  std::size_t kept_bytes = 0;
  const auto add = [&](std::string_view text) {
    texts.add(text);
    kept_bytes += text.size();
  };
  for (const auto* const text : {&answer.text, &answer.reasoning, &answer.refusal}) {
    if (*text) add(**text);
  }
  for (const StreamedToolCall& call : answer.tool_calls) {
    add(call.name);
    add(call.arguments);
  }
  texts.add_bytes(answer.output_bytes - std::min(kept_bytes, answer.output_bytes));
  return texts.tokens();
}

Usage estimated_usage(std::int64_t input_tokens, std::int64_t output_tokens) {
  return {.input = input_tokens,
          .output = output_tokens,
          .total = input_tokens + output_tokens,
          .is_estimated = true};
}

Usage estimate_usage(std::int64_t input_tokens, std::size_t output_bytes) {
  return estimated_usage(input_tokens, estimate_text_tokens(output_bytes));
}

}  // namespace gantry::gateway
