#include "gateway/sse_reader.h"

#include <algorithm>

#include <fmt/format.h>

namespace gantry::gateway {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

void SseReader::push(std::string_view bytes) {
  // What was read is dropped here and not line by line: one move for each piece.
  buffer_.erase(0, line_begin_);
  scanned_ -= line_begin_;
  line_begin_ = 0;
  buffer_.append(bytes);
}

bool SseReader::pass_byte_order_mark() {
  const std::string_view start = std::string_view(buffer_).substr(0, kByteOrderMark.size());
  if (start.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(start) && !has_ended_) {
    return false;
  }
  if (start == kByteOrderMark) line_begin_ = scanned_ = kByteOrderMark.size();
  is_at_start_ = false;
  return true;
}

Result<std::optional<std::string_view>> SseReader::next_line() {
  if (is_at_start_ && !pass_byte_order_mark()) return std::nullopt;
  if (is_after_return_ && line_begin_ < buffer_.size()) {
    if (buffer_[line_begin_] == '\n') scanned_ = ++line_begin_;
    is_after_return_ = false;
  }
  const auto unread = buffer_.begin() + static_cast<std::ptrdiff_t>(scanned_);
  const auto ending =
      std::find_if(unread, buffer_.end(), [](char c) { return c == '\n' || c == '\r'; });
  const auto end = static_cast<std::size_t>(ending - buffer_.begin());
  const std::string_view text(buffer_.data() + line_begin_, end - line_begin_);
  if (text.size() > options_.line_bytes_max) {
    return fail(Code::TooLarge, fmt::format("a line of the event stream is longer than {} bytes",
                                            options_.line_bytes_max));
  }
  if (ending != buffer_.end()) {
    // A feed may follow the return at once or in the next piece.
    is_after_return_ = *ending == '\r';
    line_begin_ = scanned_ = end + 1;
    return text;
  }
  scanned_ = end;
  if (!has_ended_ || text.empty()) return std::nullopt;
  line_begin_ = end;
  return text;
}

Result<void> SseReader::take_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value;
  if (colon != std::string_view::npos) value = line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") {
    name_ = value;
  } else if (field == "data") {
    if (has_data_) data_.push_back('\n');
    if (data_.size() + value.size() > options_.event_bytes_max) {
      return fail(Code::TooLarge, fmt::format("an event of the stream is larger than {} bytes",
                                              options_.event_bytes_max));
    }
    data_.append(value);
    has_data_ = true;
  }
  return {};
}

std::optional<SseEvent> SseReader::finish_event() {
  is_delivered_ = true;
  if (!has_data_) return std::nullopt;
  return SseEvent{.name = name_, .data = data_};
}

Result<std::optional<SseEvent>> SseReader::next() {
  if (error_) return std::unexpected(*error_);
  while (true) {
    if (is_delivered_) {
      name_.clear();
      data_.clear();
      has_data_ = is_delivered_ = false;
    }
    const auto line = next_line();
    if (!line) {
      error_ = line.error();
      return std::unexpected(*error_);
    }
    if (!*line) break;
    if (const std::string_view text = **line; text.empty()) {
      if (auto event = finish_event()) return event;
    } else if (const auto taken = take_field(text); !taken) {
      error_ = taken.error();
      return std::unexpected(*error_);
    }
  }
  if (has_ended_) return finish_event();
  return std::nullopt;
}

}  // namespace gantry::gateway
