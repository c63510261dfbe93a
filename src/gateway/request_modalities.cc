#include "gateway/request_modalities.h"

#include <algorithm>
#include <array>

#include "gateway/json_reader.h"

namespace gantry::gateway {
namespace {

struct PartType {
  std::string_view type;
  std::string_view modality;
};

/// Of OpenAI's two APIs and of Anthropic's.
constexpr std::array kPartTypes = {
    PartType{"image_url", "image"},   PartType{"input_image", "image"}, PartType{"image", "image"},
    PartType{"input_audio", "audio"}, PartType{"audio", "audio"},       PartType{"video", "video"},
    PartType{"video_url", "video"},   PartType{"input_video", "video"}, PartType{"file", "file"},
    PartType{"input_file", "file"},   PartType{"document", "file"},
};

/// Every type above has one of these words in it.
constexpr std::array<std::string_view, 5> kWords = {"image", "audio", "video", "file", "document"};

class Finder {
 public:
  explicit Finder(std::string_view body) : json_(body) {}

  InputMedia run(std::string_view list) {
    json_.object([&](const JsonMember& member) {
      if (member.key == list) messages();
    });
    return std::move(found_);
  }

 private:
  /// "output": what Responses calls the content of a tool's result.
  static bool is_holder(std::string_view key) { return key == "content" || key == "output"; }

  void messages() {
    json_.array([&] {
      json_.object([&](const JsonMember& member) {
        if (is_holder(member.key)) parts();
      });
    });
  }

  /// Text is no list: then nothing happens.
  void parts() {
    json_.array([&] {
      json_.object([&](const JsonMember& member) {
        if (member.key == "type") {
          if (const auto type = json_.string()) add(*type);
        } else if (is_holder(member.key)) {
          parts();  // a tool's result, which is made of parts itself
        }
      });
    });
  }

  void add(std::string_view type) {
    const auto part = std::ranges::find(kPartTypes, type, &PartType::type);
    if (part == kPartTypes.end()) return;
    auto& modalities = found_.modalities;
    if (std::ranges::count(modalities, part->modality) == 0)
      modalities.emplace_back(part->modality);
    if (part->modality == "image") ++found_.images;
  }

  JsonReader json_;
  InputMedia found_;
};

}  // namespace

InputMedia find_input_media(Api api, std::string_view body) {
  const bool may_have_media =
      std::ranges::any_of(kWords, [&](std::string_view word) { return body.contains(word); });
  if (!may_have_media) return {};
  switch (api) {
    case Api::Chat:
    case Api::Messages:
      return Finder(body).run("messages");
    case Api::Responses:
    case Api::Embeddings:
      return Finder(body).run("input");
    case Api::Completions:
      return {};
  }
  return {};
}

}  // namespace gantry::gateway
