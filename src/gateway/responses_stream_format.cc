// The events of OpenAI's Responses API.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/error_answer.h"
#include "gateway/stream_reader_internal.h"
#include "gateway/usage_reader.h"

namespace gantry::gateway {
namespace {

class ResponsesFormat final : public StreamFormat {
 public:
  using StreamFormat::StreamFormat;

  void read(const SseEvent& sse) override {
    Event event;
    JsonReader json(sse.data);
    json.object([&](const JsonMember& member) { top_member(json, member.key, event); });
    if (event.type.empty()) event.type = sse.name;
    is_error_event(event.type) ? fail(sse.data) : take(event);
  }

 private:
  struct Event {
    std::string type;
    std::string delta;
    std::int64_t output_index = 0;
    std::string item_type;
    std::string item_call_id;
    std::string item_name;
    std::string incomplete_reason;
  };

  /// A function call that is being written.
  struct Call {
    std::int64_t output_index = 0;
    std::optional<std::size_t> recorded;
  };

  void top_member(JsonReader& json, std::string_view key, Event& event) {
    if (key == "type") {
      json.append_string(event.type);
    } else if (key == "delta") {
      json.append_string(event.delta);
    } else if (key == "output_index") {
      event.output_index = json.integer().value_or(0);
    } else if (key == "item") {
      json.object([&](const JsonMember& part) {
        if (part.key == "type") json.append_string(event.item_type);
        if (part.key == "call_id") json.append_string(event.item_call_id);
        if (part.key == "name") json.append_string(event.item_name);
      });
    } else if (key == "response") {
      json.object([&](const JsonMember& part) { response_member(json, part.key, event); });
    }
  }

  void response_member(JsonReader& json, std::string_view key, Event& event) {
    if (key == "id" && answer_.upstream_id.empty()) {
      json.append_string(answer_.upstream_id);
    } else if (key == "model" && answer_.upstream_model.empty()) {
      json.append_string(answer_.upstream_model);
    } else if (key == "usage") {
      take_usage(read_openai_usage(json));
    } else if (key == "incomplete_details") {
      json.object([&](const JsonMember& part) {
        if (part.key == "reason") json.append_string(event.incomplete_reason);
      });
    }
  }

  void take(const Event& event) {
    if (event.type == "response.output_text.delta") {
      add_text(Part::Text, event.delta);
    } else if (event.type == "response.reasoning_text.delta" ||
               event.type == "response.reasoning_summary_text.delta") {
      add_text(Part::Reasoning, event.delta);
    } else if (event.type == "response.refusal.delta") {
      add_text(Part::Refusal, event.delta);
    } else if (event.type == "response.output_item.added") {
      if (event.item_type != "function_call") return;
      calls_.push_back({.output_index = event.output_index,
                        .recorded = add_tool_call(event.item_call_id, event.item_name)});
    } else if (event.type == "response.function_call_arguments.delta") {
      const auto call = std::ranges::find(calls_, event.output_index, &Call::output_index);
      add_arguments(call == calls_.end() ? std::nullopt : call->recorded, event.delta);
    } else {
      end(event);
    }
  }

  void end(const Event& event) {
    if (event.type == "response.completed") {
      set_finish_reason(0, answer_.tool_calls_count > 0 ? "tool_calls" : "stop");
      answer_.native_finish_reason = "completed";
    } else if (event.type == "response.incomplete") {
      set_finish_reason(0, event.incomplete_reason.empty() ? "length" : event.incomplete_reason);
    }
  }

  /// What no more tokens fitted into is cut, and has not failed.
  void fail(std::string_view data) {
    const ErrorType type = classify_stream_error(data).type;
    if (!is_token_limit(type)) return set_finish_reason(0, "error");
    set_finish_reason(0, "length");
    answer_.native_finish_reason = error_word(type);
  }

  std::vector<Call> calls_;
};

}  // namespace

std::unique_ptr<StreamFormat> make_responses_format(std::size_t content_bytes_max) {
  return std::make_unique<ResponsesFormat>(content_bytes_max);
}

}  // namespace gantry::gateway
