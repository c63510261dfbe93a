#pragma once

// As much of HTTP/1.1 as the gateway's benchmark speaks: heads as text, and an answer that comes in
// pieces. Both ends are ours or a gateway's, so that what is malformed need only be noticed.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gantry::bench {

inline bool equals_ignoring_case(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(left, right, {}, lower, lower);
}

/// With the empty line that ends it; nothing until it is whole.
inline std::optional<std::string_view> find_head(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  return bytes.substr(0, end + 4);
}

/// The value of a field of `head`; "" when it is absent.
inline std::string_view find_field(std::string_view head, std::string_view name) {
  std::size_t at = head.find("\r\n");
  while (at != std::string_view::npos && at + 2 < head.size()) {
    const std::size_t end = head.find("\r\n", at + 2);
    const std::string_view line = head.substr(at + 2, end - at - 2);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        equals_ignoring_case(line.substr(0, name.size()), name)) {
      std::string_view value = line.substr(name.size() + 1);
      value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
      return value;
    }
    at = end;
  }
  return {};
}

inline std::optional<std::size_t> parse_size(std::string_view text, int base = 10) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return size;
}

/// Reads one answer after another from a connection. One thread.
class AnswerReader {
 public:
  enum class State : std::uint8_t { Head, Body, Done, Broken };

  /// Forgets the answer before.
  void begin() { *this = AnswerReader(); }

  /// What comes after the answer is Broken: nothing else was asked.
  State read(std::string_view bytes) {
    if (state_ == State::Done) state_ = State::Broken;
    if (state_ == State::Head) {
      raw_ += bytes;
      bytes = read_head();
    }
    if (state_ == State::Body) is_chunked_ ? read_chunks(bytes) : read_plain(bytes);
    return state_;
  }

  [[nodiscard]] int status() const { return status_; }

  [[nodiscard]] bool keeps_alive() const { return keeps_alive_; }

  /// Of the body what has come, without the framing.
  [[nodiscard]] const std::string& body() const { return body_; }

 private:
  /// Returns what `raw_` has after it.
  std::string_view read_head() {
    const auto head = find_head(raw_);
    if (!head) return {};
    const auto status = parse_size(raw_.size() > 9 ? std::string_view(raw_).substr(9) : "");
    const std::string_view length = find_field(*head, "content-length");
    is_chunked_ = equals_ignoring_case(find_field(*head, "transfer-encoding"), "chunked");
    keeps_alive_ = !equals_ignoring_case(find_field(*head, "connection"), "close");
    left_ = parse_size(length).value_or(0);
    status_ = static_cast<int>(status.value_or(0));
    const bool has_length = is_chunked_ || !length.empty();
    state_ = status && has_length ? State::Body : State::Broken;
    return std::string_view(raw_).substr(head->size());
  }

  void read_plain(std::string_view bytes) {
    if (bytes.size() > left_) {
      state_ = State::Broken;
      return;
    }
    body_ += bytes;
    left_ -= bytes.size();
    if (left_ == 0) state_ = State::Done;
  }

  void read_chunks(std::string_view bytes) {
    while (!bytes.empty() && state_ == State::Body) {
      if (left_ > 0) {
        const std::string_view piece = bytes.substr(0, left_);
        body_ += piece;
        left_ -= piece.size();
        bytes.remove_prefix(piece.size());
        continue;
      }
      const std::size_t end = bytes.find('\n');
      line_ += bytes.substr(0, end);
      if (end == std::string_view::npos) return;
      bytes.remove_prefix(end + 1);
      read_chunk_line();
    }
    if (state_ == State::Done && !bytes.empty()) state_ = State::Broken;
  }

  /// The end of a chunk, the size of one, or an empty line after the last.
  void read_chunk_line() {
    if (line_.ends_with('\r')) line_.pop_back();
    if (is_last_) {
      if (line_.empty()) state_ = State::Done;
    } else if (!line_.empty()) {
      const auto size = parse_size(line_, 16);
      if (!size) state_ = State::Broken;
      left_ = size.value_or(0);
      is_last_ = left_ == 0;
    }
    line_.clear();
  }

  State state_ = State::Head;
  std::string raw_;   // until the head is whole
  std::string line_;  // of the framing, until it is whole
  std::string body_;
  std::size_t left_ = 0;  // of the body or the chunk
  int status_ = 0;
  bool is_chunked_ = false;
  bool is_last_ = false;
  bool keeps_alive_ = true;
};

}  // namespace gantry::bench
