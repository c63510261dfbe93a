// The events of Anthropic's Messages API.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/stream_reader_internal.h"
#include "gateway/usage_reader.h"

namespace gantry::gateway {
namespace {

class MessagesFormat final : public StreamFormat {
 public:
  using StreamFormat::StreamFormat;

  void read(const SseEvent& sse) override {
    Event event;
    JsonReader json(sse.data);
    json.object([&](const JsonMember& member) { top_member(json, member.key, event); });
    if (event.type.empty()) event.type = sse.name;
    take(event);
  }

 private:
  struct Event {
    std::string type;
    std::int64_t index = 0;
    std::string block_type;
    std::string block_id;
    std::string block_name;
    std::string text;
    std::string thinking;
    std::string partial_json;
    std::string stop_reason;
  };

  /// A tool_use block.
  struct Call {
    std::int64_t index = 0;
    std::optional<std::size_t> recorded;
  };

  void top_member(JsonReader& json, std::string_view key, Event& event) {
    if (key == "type") {
      json.append_string(event.type);
    } else if (key == "index") {
      event.index = json.integer().value_or(0);
    } else if (key == "usage") {
      usage_.read(json);
    } else if (key == "message") {
      json.object([&](const JsonMember& part) { message_member(json, part.key); });
    } else if (key == "content_block") {
      json.object([&](const JsonMember& part) {
        if (part.key == "type") json.append_string(event.block_type);
        if (part.key == "id") json.append_string(event.block_id);
        if (part.key == "name") json.append_string(event.block_name);
        if (part.key == "text") json.append_string(event.text);
        if (part.key == "thinking") json.append_string(event.thinking);
      });
    } else if (key == "delta") {
      json.object([&](const JsonMember& part) {
        if (part.key == "text") json.append_string(event.text);
        if (part.key == "thinking") json.append_string(event.thinking);
        if (part.key == "partial_json") json.append_string(event.partial_json);
        if (part.key == "stop_reason") json.append_string(event.stop_reason);
      });
    }
  }

  void message_member(JsonReader& json, std::string_view key) {
    if (key == "id") {
      answer_.upstream_id = json.string().value_or("");
    } else if (key == "model") {
      answer_.upstream_model = json.string().value_or("");
    } else if (key == "usage") {
      usage_.read(json);
    }
  }

  void take(const Event& event) {
    if (event.type == "message_start") {
      answer_.usage_at_start = usage_.usage();
    } else if (event.type == "content_block_start") {
      begin_block(event);
    } else if (event.type == "content_block_delta") {
      add_texts(event);
      if (!event.partial_json.empty()) {
        const auto call = std::ranges::find(calls_, event.index, &Call::index);
        add_arguments(call == calls_.end() ? std::nullopt : call->recorded, event.partial_json);
      }
    } else if (event.type == "message_delta") {
      // Cumulative: the last one holds.
      answer_.usage = usage_.usage();
      if (!event.stop_reason.empty()) set_finish_reason(0, event.stop_reason);
    } else if (event.type == "error") {
      set_finish_reason(0, "error");
    }
  }

  void begin_block(const Event& event) {
    // server_tool_use and the like are run by the provider: the client is not called.
    if (event.block_type == "tool_use") {
      calls_.push_back(
          {.index = event.index, .recorded = add_tool_call(event.block_id, event.block_name)});
    }
    add_texts(event);
  }

  void add_texts(const Event& event) {
    if (!event.text.empty()) add_text(Part::Text, event.text);
    if (!event.thinking.empty()) add_text(Part::Reasoning, event.thinking);
  }

  AnthropicUsage usage_;
  std::vector<Call> calls_;
};

}  // namespace

std::unique_ptr<StreamFormat> make_messages_format(std::size_t content_bytes_max) {
  return std::make_unique<MessagesFormat>(content_bytes_max);
}

}  // namespace gantry::gateway
