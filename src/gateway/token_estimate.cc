#include "gateway/token_estimate.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "gateway/json_reader.h"

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

class InputCounter {
 public:
  InputCounter(Api api, std::string_view body) : api_(api), json_(body) {}

  std::int64_t run() {
    json_.object([this](const JsonMember& member) { top_member(member.key); });
    if (api_ != Api::Completions && api_ != Api::Embeddings) tokens_ += kPerAnswer;
    return std::max<std::int64_t>(tokens_ + estimate_text_tokens(bytes_), 1);
  }

 private:
  /// What a part tells about itself besides its texts.
  struct Part {
    std::string type;
    bool is_low_detail = false;
  };

  void top_member(std::string_view key) {
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
      text();
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
    bytes_ += scratch_.size();
  }

  void raw() {
    const ByteRange range = json_.skip();
    bytes_ += range.end - range.begin;
  }

  Api api_;
  JsonReader json_;
  std::string scratch_;
  std::size_t bytes_ = 0;
  std::int64_t tokens_ = 0;
};

}  // namespace

std::int64_t estimate_input_tokens(Api api, std::string_view body) {
  return InputCounter(api, body).run();
}

Usage estimate_usage(std::int64_t input_tokens, std::size_t output_bytes) {
  const std::int64_t output = estimate_text_tokens(output_bytes);
  return {.input = input_tokens,
          .output = output,
          .total = input_tokens + output,
          .is_estimated = true};
}

}  // namespace gantry::gateway
