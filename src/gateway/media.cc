#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "gateway/content.h"
#include "gateway/json_values_internal.h"
#include "gateway/media_internal.h"

namespace gantry::gateway {

namespace ondemand = simdjson::ondemand;

namespace {

/// Parts of OpenAI's chat (image_url, input_audio, file) and Responses API (input_*, the results of
/// tools) and of Anthropic's messages (image, document).
constexpr std::string_view kMediaTypes[] = {"image_url",
                                            "image",
                                            "input_image",
                                            "image_generation_call",
                                            "computer_screenshot",
                                            "input_audio",
                                            "audio",
                                            "audio_url",
                                            "output_audio",
                                            "video_url",
                                            "video",
                                            "input_video",
                                            "file",
                                            "input_file",
                                            "document"};

/// Members that can hold parts again. Arguments of tools are not among them: a tool may call
/// anything an image.
constexpr std::string_view kHolders[] = {"content", "output", "images"};

/// Messages in lists, parts in them, results of tools in those: four. Deeper text is kept as it is.
constexpr int kDepthMax = 8;

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

class MediaStripper {
 public:
  explicit MediaStripper(std::string& out) : out_(out) {}

  simdjson::error_code append(ondemand::value& value, int depth);

 private:
  simdjson::error_code append_array(ondemand::value& value, int depth);
  simdjson::error_code append_object(ondemand::value& value, int depth);
  simdjson::error_code append_member(ondemand::field& field, int depth);
  simdjson::error_code append_raw(ondemand::value& value);

  [[nodiscard]] bool is_full() const { return out_.size() > kContentBytesMax; }

  void append_marker(std::string_view type) {
    out_ += fmt::format(R"({{"type":"{}","stripped":true}})", type);
  }

  std::string& out_;
};

simdjson::error_code MediaStripper::append(ondemand::value& value, int depth) {
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (depth < kDepthMax && type == ondemand::json_type::array) return append_array(value, depth);
  if (depth < kDepthMax && type == ondemand::json_type::object) return append_object(value, depth);
  return append_raw(value);
}

simdjson::error_code MediaStripper::append_raw(ondemand::value& value) {
  std::string_view text;
  if (const auto error = raw_json(value).get(text)) return error;
  out_ += text;
  return simdjson::SUCCESS;
}

simdjson::error_code MediaStripper::append_array(ondemand::value& value, int depth) {
  ondemand::array array;
  if (const auto error = value.get_array().get(array)) return error;
  out_ += '[';
  bool is_first = true;
  for (auto item : array) {
    ondemand::value element;
    if (const auto error = item.get(element)) return error;
    if (!is_first) out_ += ',';
    is_first = false;
    if (const auto error = append(element, depth + 1)) return error;
    if (is_full()) return simdjson::SUCCESS;
  }
  out_ += ']';
  return simdjson::SUCCESS;
}

simdjson::error_code MediaStripper::append_object(ondemand::value& value, int depth) {
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;

  ondemand::value type_value;
  const auto found = object.find_field_unordered("type").get(type_value);
  if (found != simdjson::SUCCESS && found != simdjson::NO_SUCH_FIELD) return found;
  if (found == simdjson::SUCCESS) {
    std::string_view type;
    if (const auto error = raw_json(type_value).get(type)) return error;
    if (type.size() >= 2) type = type.substr(1, type.size() - 2);
    if (contains(kMediaTypes, type)) {
      append_marker(type);
      return simdjson::SUCCESS;
    }
  }
  if (const auto error = object.reset().error()) return error;

  out_ += '{';
  bool is_first = true;
  for (auto item : object) {
    ondemand::field field;
    if (const auto error = std::move(item).get(field)) return error;
    if (!is_first) out_ += ',';
    is_first = false;
    if (const auto error = append_member(field, depth)) return error;
    if (is_full()) return simdjson::SUCCESS;
  }
  out_ += '}';
  return simdjson::SUCCESS;
}

simdjson::error_code MediaStripper::append_member(ondemand::field& field, int depth) {
  const std::string_view key = raw_key(field);
  out_ += fmt::format("\"{}\":", key);
  ondemand::value& value = field.value();
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (key == "audio" && type == ondemand::json_type::object) {
    // An earlier spoken answer, sent back as part of the conversation.
    append_marker(key);
    return simdjson::SUCCESS;
  }
  return contains(kHolders, key) ? append(value, depth + 1) : append_raw(value);
}

}  // namespace

simdjson::error_code append_without_media(ondemand::value& value, std::string& out) {
  return MediaStripper(out).append(value, 0);
}

}  // namespace gantry::gateway
