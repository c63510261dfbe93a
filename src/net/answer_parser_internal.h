#pragma once

// An HTTP/1 answer as bytes arrive: header first, then the body in pieces.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "net/http.h"

namespace gantry::net {

/// One answer. Interim ones (1xx) before it are passed over.
class AnswerParser {
 public:
  /// HEAD is answered without a body, whatever the header says.
  enum class Asked : std::uint8_t { Head, Other };

  AnswerParser(std::size_t header_bytes_max, Asked asked);
  ~AnswerParser();
  AnswerParser(const AnswerParser&) = delete;
  AnswerParser& operator=(const AnswerParser&) = delete;

  /// Takes what it can of `bytes`, at most to the end of the header when that was not there yet,
  /// and returns how much that was: the rest comes again with more behind it, and when `is_done`
  /// does not belong to the answer. Errors: Unavailable (not HTTP/1, a header or the header of a
  /// chunk over header_bytes_max); nothing may follow.
  Result<std::size_t> put(std::string_view bytes);

  /// The peer closed. Errors: Unavailable when the answer is not whole.
  Result<void> put_end();

  [[nodiscard]] bool has_head() const;

  /// No byte has come, not even of an interim answer.
  [[nodiscard]] bool is_untouched() const;

  [[nodiscard]] bool is_done() const;

  /// The connection may be used again; when `is_done`.
  [[nodiscard]] bool keeps_alive() const;

  [[nodiscard]] int status() const;

  [[nodiscard]] Headers headers() const;

  /// What came of the body since the last call.
  [[nodiscard]] std::string take_piece();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::net
