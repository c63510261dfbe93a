#include "gateway/stream_reader.h"

#include <utility>

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
  std::size_t length = text.size();
  if (length > content_bytes_left_) {
    length = content_bytes_left_;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80) --length;
    answer_.is_cut = true;
  }
  target.append(text.substr(0, length));
  // After a cut nothing may follow, not even what would fit: the text would have a hole.
  content_bytes_left_ = answer_.is_cut ? 0 : content_bytes_left_ - length;
}

void StreamFormat::add_text(Part part, std::string_view text) {
  answer_.output_bytes += text.size();
  if (part == Part::Unrecorded) return;
  auto& target = part == Part::Text ? answer_.text : answer_.reasoning;
  if (!target) target.emplace();
  append_within_limit(*target, text);
}

std::optional<std::size_t> StreamFormat::add_tool_call(std::string id, std::string name,
                                                       bool is_recorded) {
  has_tool_call_ = true;
  ++answer_.tool_calls_count;
  answer_.output_bytes += name.size();
  if (!is_recorded || answer_.tool_calls.size() == kToolCallsMax) return std::nullopt;
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
  if (answer_.finish_reasons.size() <= choice) answer_.finish_reasons.resize(choice + 1);
  answer_.finish_reasons[choice] = normalise_finish_reason(native);
  if (choice == 0) answer_.native_finish_reason = native;
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
