#include "gateway/answer_reader.h"

#include <algorithm>
#include <utility>

#include "gateway/content.h"
#include "gateway/finish_reason.h"
#include "gateway/json_reader.h"
#include "gateway/json_values_internal.h"
#include "gateway/usage_reader.h"

namespace gantry::gateway {

namespace ondemand = simdjson::ondemand;

namespace {

/// Texts are JSON, as they stand in the answer.
struct Choice {
  std::int64_t index = 0;
  std::string finish_reason;
  std::string native_finish_reason;
  std::string_view content;
  std::string_view refusal;
  std::string_view reasoning;
  std::string_view tool_calls;
  std::int64_t tool_calls_count = 0;
};

/// JSON text that is not null.
simdjson::error_code read_raw(ondemand::value& value, std::string_view& text) {
  if (const auto error = raw_json(value).get(text)) return error;
  if (text == "null") text = {};
  return simdjson::SUCCESS;
}

class AnswerReader {
 public:
  explicit AnswerReader(Api api) : api_(api) {}

  Result<Answer> read(std::string_view body);

 private:
  simdjson::error_code read_member(std::string_view key, ondemand::value& value);
  simdjson::error_code read_choice(ondemand::value& value);
  static simdjson::error_code read_choice_member(std::string_view key, ondemand::value& value,
                                                 Choice& choice);
  static simdjson::error_code read_message_member(std::string_view key, ondemand::value& value,
                                                  Choice& choice);
  simdjson::error_code read_usage(ondemand::value& value);
  void take_choices();

  Api api_;
  Answer answer_;
  std::vector<Choice> choices_;
  bool has_data_ = false;
};

Result<Answer> AnswerReader::read(std::string_view body) {
  GANTRY_CHECK(read_json_object(
      "answer", body,
      [this](std::string_view key, ondemand::value& value) { return read_member(key, value); }));
  if (api_ == Api::Embeddings) {
    if (!has_data_) return fail(Code::InvalidArgument, "answer: has no data");
  } else {
    if (choices_.empty()) return fail(Code::InvalidArgument, "answer: has no choices");
    take_choices();
  }
  return std::move(answer_);
}

simdjson::error_code AnswerReader::read_member(std::string_view key, ondemand::value& value) {
  if (key == "id") {
    answer_.upstream_id = as_string(value).value_or("");
  } else if (key == "usage") {
    return read_usage(value);
  } else if (key == "choices" && api_ != Api::Embeddings) {
    choices_.clear();
    return each_element(value, [this](ondemand::value& element) { return read_choice(element); });
  } else if (key == "data" && api_ == Api::Embeddings) {
    ondemand::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    has_data_ = type == ondemand::json_type::array;
  }
  return simdjson::SUCCESS;
}

simdjson::error_code AnswerReader::read_choice(ondemand::value& value) {
  Choice& choice = choices_.emplace_back();
  choice.index = static_cast<std::int64_t>(choices_.size()) - 1;
  return each_member(value, [&choice](std::string_view key, ondemand::value& member) {
    return read_choice_member(key, member, choice);
  });
}

simdjson::error_code AnswerReader::read_choice_member(std::string_view key, ondemand::value& value,
                                                      Choice& choice) {
  if (key == "index") {
    choice.index = as_count(value).value_or(choice.index);
  } else if (key == "finish_reason") {
    choice.finish_reason = as_string(value).value_or("");
  } else if (key == "native_finish_reason") {
    choice.native_finish_reason = as_string(value).value_or("");
  } else if (key == "text") {
    return read_raw(value, choice.content);
  } else if (key == "message") {
    return each_member(value, [&choice](std::string_view name, ondemand::value& member) {
      return read_message_member(name, member, choice);
    });
  }
  return simdjson::SUCCESS;
}

simdjson::error_code AnswerReader::read_message_member(std::string_view key, ondemand::value& value,
                                                       Choice& choice) {
  if (key == "content") return read_raw(value, choice.content);
  if (key == "refusal") return read_raw(value, choice.refusal);
  // The second is what vLLM and DeepSeek call it; a gateway behind this one may send both.
  if (key == "reasoning") return read_raw(value, choice.reasoning);
  if (key == "reasoning_content" && choice.reasoning.empty()) {
    return read_raw(value, choice.reasoning);
  }
  if (key != "tool_calls") return simdjson::SUCCESS;

  choice.tool_calls = {};
  choice.tool_calls_count = 0;
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (type != ondemand::json_type::array) return simdjson::SUCCESS;
  ondemand::array calls;
  if (const auto error = value.get_array().get(calls)) return error;
  std::size_t count = 0;
  if (const auto error = calls.count_elements().get(count)) return error;
  choice.tool_calls_count = static_cast<std::int64_t>(count);
  return count == 0 ? simdjson::SUCCESS : calls.raw_json().get(choice.tool_calls);
}

simdjson::error_code AnswerReader::read_usage(ondemand::value& value) {
  std::string_view text;
  if (const auto error = raw_json(value).get(text)) return error;
  JsonReader json(text);
  const ReportedUsage reported = read_openai_usage(json);
  if (!json.finish()) return simdjson::TAPE_ERROR;
  answer_.usage = reported.usage;
  answer_.reported_cost = reported.cost;
  return simdjson::SUCCESS;
}

void AnswerReader::take_choices() {
  std::ranges::stable_sort(choices_, {}, &Choice::index);
  for (const Choice& choice : choices_) {
    answer_.tool_calls_count += choice.tool_calls_count;
    if (!choice.finish_reason.empty()) {
      answer_.finish_reasons.emplace_back(normalise_finish_reason(choice.finish_reason));
    }
  }
  Choice& first = choices_.front();
  answer_.finish_reason = normalise_finish_reason(first.finish_reason);
  answer_.native_finish_reason = first.native_finish_reason.empty()
                                     ? std::move(first.finish_reason)
                                     : std::move(first.native_finish_reason);
  answer_.completion = record_completion(first.content.empty() ? first.refusal : first.content,
                                         first.reasoning, first.tool_calls);
}

}  // namespace

Result<Answer> read_answer(Api api, std::string_view body) {
  return AnswerReader(api).read(body);
}

}  // namespace gantry::gateway
