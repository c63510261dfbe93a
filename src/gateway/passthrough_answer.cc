#include "gateway/passthrough_answer.h"

#include <string>
#include <utility>
#include <vector>

#include "gateway/finish_reason.h"
#include "gateway/json_reader.h"
#include "gateway/stream_reader.h"
#include "gateway/usage_reader.h"

namespace gantry::gateway {
namespace {

void append(std::optional<std::string>& text, std::string_view more) {
  if (!text) text.emplace();
  text->append(more);
}

/// A member of what the answer is made of, in either API.
struct Item {
  std::string type;
  std::string id;
  std::string name;
  std::string arguments;
  std::string text;
};

class PassthroughReader {
 public:
  PassthroughReader(Api api, std::string_view body) : api_(api), body_(body), json_(body) {}

  Result<Answer> run() {
    if (json_.kind() != JsonKind::Object)
      return fail(Code::InvalidArgument, "answer: must be a JSON object");
    const bool is_messages = api_ == Api::Messages;
    json_.object([&](const JsonMember& member) {
      is_messages ? messages_member(member.key) : responses_member(member.key);
    });
    if (!json_.finish()) return fail(Code::InvalidArgument, "answer: " + json_.error_text());
    if (is_messages) {
      answer_.usage = anthropic_.usage();
      set_finish_reason(native_);
    } else {
      end_response();
    }
    answer_.tool_calls_count = static_cast<std::int64_t>(content_.tool_calls.size());
    content_.finish_reasons = answer_.finish_reasons;
    answer_.completion = record_streamed(content_);
    return std::move(answer_);
  }

 private:
  void messages_member(std::string_view key) {
    if (key == "id") {
      answer_.upstream_id = json_.string().value_or("");
    } else if (key == "stop_reason") {
      native_ = json_.string().value_or("");
    } else if (key == "usage") {
      anthropic_.read(json_);
    } else if (key == "content") {
      json_.array([&] { take_block(); });
    }
  }

  void take_block() {
    Item block;
    json_.object([&](const JsonMember& member) {
      if (member.key == "type") json_.append_string(block.type);
      if (member.key == "id") json_.append_string(block.id);
      if (member.key == "name") json_.append_string(block.name);
      if (member.key == "text" || member.key == "thinking") json_.append_string(block.text);
      if (member.key == "input") block.arguments = json_.skip().of(body_);
    });
    if (block.type == "text") append(content_.text, block.text);
    if (block.type == "thinking") append(content_.reasoning, block.text);
    if (block.type == "tool_use") add_tool_call(std::move(block));
  }

  void responses_member(std::string_view key) {
    if (key == "id") {
      answer_.upstream_id = json_.string().value_or("");
    } else if (key == "status") {
      native_ = json_.string().value_or("");
    } else if (key == "usage") {
      const ReportedUsage reported = read_openai_usage(json_);
      answer_.usage = reported.usage;
      answer_.reported_cost = reported.cost;
    } else if (key == "incomplete_details") {
      json_.object([&](const JsonMember& member) {
        if (member.key == "reason") json_.append_string(incomplete_reason_);
      });
    } else if (key == "output") {
      json_.array([&] { take_output(); });
    }
  }

  void take_output() {
    Item item;
    std::string refusal;
    std::string reasoning;
    json_.object([&](const JsonMember& member) {
      if (member.key == "type") json_.append_string(item.type);
      if (member.key == "call_id") json_.append_string(item.id);
      if (member.key == "name") json_.append_string(item.name);
      if (member.key == "arguments") json_.append_string(item.arguments);
      if (member.key == "content") take_texts(item.text, refusal);
      if (member.key == "summary") take_texts(reasoning, refusal);
    });
    if (item.type == "message") {
      if (!item.text.empty()) append(content_.text, item.text);
      if (!refusal.empty()) append(content_.refusal, refusal);
    } else if (item.type == "reasoning") {
      append(content_.reasoning, reasoning + item.text);
    } else if (item.type == "function_call") {
      add_tool_call(std::move(item));
    }
  }

  void take_texts(std::string& text, std::string& refusal) {
    json_.array([&] {
      json_.object([&](const JsonMember& member) {
        if (member.key == "text") json_.append_string(text);
        if (member.key == "refusal") json_.append_string(refusal);
      });
    });
  }

  void add_tool_call(Item item) {
    content_.tool_calls.push_back({.id = std::move(item.id),
                                   .name = std::move(item.name),
                                   .arguments = std::move(item.arguments)});
  }

  /// As at the end of a stream of the API.
  void end_response() {
    if (native_ == "completed") {
      set_finish_reason(content_.tool_calls.empty() ? "stop" : "tool_calls");
      answer_.native_finish_reason = native_;
    } else if (native_ == "incomplete") {
      set_finish_reason(incomplete_reason_.empty() ? "length" : incomplete_reason_);
    } else if (native_ == "failed") {
      set_finish_reason("error");
    }
  }

  void set_finish_reason(std::string_view native) {
    if (native.empty()) return;
    answer_.native_finish_reason = native;
    answer_.finish_reason = normalise_finish_reason(native);
    answer_.finish_reasons = {answer_.finish_reason};
  }

  Api api_;
  std::string_view body_;
  JsonReader json_;
  Answer answer_;
  StreamedAnswer content_;
  AnthropicUsage anthropic_;
  std::string native_;
  std::string incomplete_reason_;
};

}  // namespace

Result<Answer> read_passthrough_answer(Api api, std::string_view body) {
  return PassthroughReader(api, body).run();
}

}  // namespace gantry::gateway
