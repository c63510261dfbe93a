#include "gateway/stream_reader.h"

#include <utility>

#include "core/json_writer.h"
#include "gateway/byte_edits.h"
#include "gateway/finish_reason.h"
#include "gateway/stream_reader_internal.h"

namespace gantry::gateway {
namespace {

/// Choices and calls above these are counted, not kept.
constexpr std::size_t kChoicesMax = 128;
constexpr std::size_t kToolCallsMax = 1024;

std::unique_ptr<StreamFormat> make_format(Api api, std::size_t content_bytes_max) {
  switch (api) {
    case Api::Responses:
      return make_responses_format(content_bytes_max);
    case Api::Messages:
      return make_messages_format(content_bytes_max);
    case Api::Chat:
    case Api::Completions:
    case Api::Embeddings:
      return make_chat_format(content_bytes_max);
  }
  std::unreachable();
}

}  // namespace

void StreamFormat::append_within_limit(std::string& target, std::string_view text) {
  const std::string_view fitting = cut_text(text, content_bytes_left_);
  target.append(fitting);
  content_bytes_left_ -= fitting.size();
  if (fitting.size() == text.size()) return;
  // Nothing may follow, not even what would fit: the text would have a hole.
  answer_.is_cut = true;
  content_bytes_left_ = 0;
}

void StreamFormat::add_text(Part part, std::string_view text, Recording recording) {
  answer_.output_bytes += text.size();
  if (recording == Recording::Off) return;
  auto& target = part == Part::Text        ? answer_.text
                 : part == Part::Reasoning ? answer_.reasoning
                                           : answer_.refusal;
  if (!target) target.emplace();
  append_within_limit(*target, text);
}

std::optional<std::size_t> StreamFormat::add_tool_call(std::string id, std::string name,
                                                       Recording recording) {
  has_tool_call_ = true;
  ++answer_.tool_calls_count;
  answer_.output_bytes += name.size();
  const bool is_full = answer_.tool_calls.size() == kToolCallsMax;
  if (recording == Recording::Off || is_full) return std::nullopt;
  StreamedToolCall& call = answer_.tool_calls.emplace_back();
  append_within_limit(call.id, id);
  append_within_limit(call.name, name);
  return answer_.tool_calls.size() - 1;
}

void StreamFormat::add_arguments(std::optional<std::size_t> call, std::string_view text) {
  answer_.output_bytes += text.size();
  if (call) append_within_limit(answer_.tool_calls[*call].arguments, text);
}

void StreamFormat::take_usage(const ReportedUsage& reported) {
  if (reported.usage) answer_.usage = reported.usage;
  if (reported.cost) answer_.reported_cost = reported.cost;
}

void StreamFormat::set_finish_reason(std::size_t choice, std::string_view native) {
  if (choice >= kChoicesMax) return;
  if (reasons_by_choice_.size() <= choice) reasons_by_choice_.resize(choice + 1);
  reasons_by_choice_[choice] = normalise_finish_reason(native);
  if (choice == 0) {
    answer_.finish_reason = reasons_by_choice_[0];
    answer_.native_finish_reason = native;
  }
  answer_.finish_reasons = reasons_by_choice_;
  std::erase(answer_.finish_reasons, "");
}

RecordedContent record_streamed(const StreamedAnswer& answer) {
  const auto& text = answer.text ? answer.text : answer.refusal;
  const bool has_output = text || answer.reasoning || !answer.tool_calls.empty();
  if (!has_output && answer.finish_reasons.empty()) return {};
  std::string tool_calls;
  core::JsonWriter json(tool_calls);
  if (!answer.tool_calls.empty()) json.begin_array();
  for (const StreamedToolCall& call : answer.tool_calls) {
    json.begin_object();
    json.key("id").string(call.id);
    json.key("type").string("function");
    json.key("function").begin_object();
    json.key("name").string(call.name);
    json.key("arguments").string(call.arguments);
    json.end_object().end_object();
  }
  if (!answer.tool_calls.empty()) json.end_array();
  RecordedContent content =
      record_completion(text ? json_string(*text) : "",
                        answer.reasoning ? json_string(*answer.reasoning) : "", tool_calls);
  content.is_cut |= answer.is_cut;
  return content;
}

StreamReader::StreamReader(Api api, std::size_t content_bytes_max)
    : format_(make_format(api, content_bytes_max)) {}

StreamReader::~StreamReader() = default;
StreamReader::StreamReader(StreamReader&&) noexcept = default;
StreamReader& StreamReader::operator=(StreamReader&&) noexcept = default;

bool StreamReader::read(const SseEvent& event) {
  const bool had_output = format_->has_output();
  format_->read(event);
  return !had_output && format_->has_output();
}

const StreamedAnswer& StreamReader::answer() const {
  return format_->answer();
}

}  // namespace gantry::gateway
