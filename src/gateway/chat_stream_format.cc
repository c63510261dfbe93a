// OpenAI's chat.completion.chunk and the chunks of legacy completions.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/stream_reader_internal.h"
#include "gateway/tool_call_index.h"
#include "gateway/usage_reader.h"

namespace gantry::gateway {
namespace {

class ChatFormat final : public StreamFormat {
 public:
  using StreamFormat::StreamFormat;

  void read(const SseEvent& event) override {
    JsonReader json(event.data);
    json.object([&](const JsonMember& member) { top_member(json, member.key); });
  }

 private:
  /// Where the arguments of a call go.
  struct Call {
    std::int64_t choice = 0;
    std::int64_t index = 0;
    std::optional<std::size_t> recorded;
  };

  void top_member(JsonReader& json, std::string_view key) {
    if (key == "id" && answer_.upstream_id.empty()) {
      json.append_string(answer_.upstream_id);
    } else if (key == "model" && answer_.upstream_model.empty()) {
      json.append_string(answer_.upstream_model);
    } else if (key == "usage") {
      take_usage(read_openai_usage(json));
    } else if (key == "choices") {
      json.array([&] { choice(json); });
    }
  }

  void choice(JsonReader& json) {
    std::int64_t index = 0;
    std::string finish_reason;
    std::string native;
    std::string text;
    Delta delta;
    const bool is_object = json.object([&](const JsonMember& member) {
      if (member.key == "index") {
        index = std::max<std::int64_t>(json.integer().value_or(0), 0);
      } else if (member.key == "finish_reason") {
        json.append_string(finish_reason);
      } else if (member.key == "native_finish_reason") {
        json.append_string(native);
      } else if (member.key == "text" && json.kind() == JsonKind::String) {
        delta.text.emplace();
        json.append_string(*delta.text);
      } else if (member.key == "delta") {
        json.object([&](const JsonMember& part) { delta_member(json, part.key, delta); });
      }
    });
    if (is_object) add(index, delta);
    if (!finish_reason.empty()) {
      set_finish_reason(static_cast<std::size_t>(index), native.empty() ? finish_reason : native);
    }
  }

  struct Fragment {
    std::optional<std::int64_t> index;
    std::string id;
    std::string name;
    std::string arguments;
  };

  struct Delta {
    std::optional<std::string> text;
    std::string reasoning;
    std::string refusal;
    std::vector<Fragment> fragments;
  };

  static void delta_member(JsonReader& json, std::string_view key, Delta& delta) {
    if (key == "content") {
      content(json, delta);
    } else if (key == "reasoning" || key == "reasoning_content") {
      // Some send both, with the same text.
      if (delta.reasoning.empty()) json.append_string(delta.reasoning);
    } else if (key == "refusal") {
      json.append_string(delta.refusal);
    } else if (key == "tool_calls") {
      json.array([&] { delta.fragments.push_back(fragment(json)); });
    }
  }

  /// A string, or (Mistral) a list of parts.
  static void content(JsonReader& json, Delta& delta) {
    if (json.kind() != JsonKind::String && json.kind() != JsonKind::Array) return;
    delta.text.emplace();
    if (json.kind() == JsonKind::String) {
      json.append_string(*delta.text);
      return;
    }
    json.array([&] {
      json.object([&](const JsonMember& part) {
        if (part.key == "text") json.append_string(*delta.text);
      });
    });
  }

  static Fragment fragment(JsonReader& json) {
    Fragment fragment;
    json.object([&](const JsonMember& member) {
      if (member.key == "index") {
        fragment.index = json.integer();
      } else if (member.key == "id") {
        json.append_string(fragment.id);
      } else if (member.key == "function") {
        json.object([&](const JsonMember& part) {
          if (part.key == "name") json.append_string(fragment.name);
          if (part.key == "arguments") json.append_string(fragment.arguments);
        });
      }
    });
    if (fragment.index.value_or(0) < 0) fragment.index.reset();
    return fragment;
  }

  void add(std::int64_t choice, const Delta& delta) {
    const Recording recording = choice == 0 ? Recording::On : Recording::Off;
    if (delta.text) add_text(Part::Text, *delta.text, recording);
    if (!delta.reasoning.empty()) add_text(Part::Reasoning, delta.reasoning, recording);
    if (!delta.refusal.empty()) add_text(Part::Refusal, delta.refusal, recording);
    for (const Fragment& fragment : delta.fragments) add(choice, fragment);
  }

  void add(std::int64_t choice, const Fragment& fragment) {
    const ToolCallPlace place = places_.place(
        {.choice = choice, .index = fragment.index, .id = fragment.id, .name = fragment.name});
    if (place.is_first) {
      calls_.push_back({.choice = choice,
                        .index = place.index,
                        .recorded = add_tool_call(fragment.id, fragment.name,
                                                  choice == 0 ? Recording::On : Recording::Off)});
    }
    const auto call = std::ranges::find_if(calls_, [&](const Call& each) {
      return each.choice == choice && each.index == place.index;
    });
    add_arguments(call == calls_.end() ? std::nullopt : call->recorded, fragment.arguments);
  }

  ToolCallIndex places_;
  std::vector<Call> calls_;
};

}  // namespace

std::unique_ptr<StreamFormat> make_chat_format(std::size_t content_bytes_max) {
  return std::make_unique<ChatFormat>(content_bytes_max);
}

}  // namespace gantry::gateway
