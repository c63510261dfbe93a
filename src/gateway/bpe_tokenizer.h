#pragma once

// Counts tokens as OpenAI's models do: byte pair encoding with a vocabulary that the operator
// provides, in tiktoken's file format.
//
//   GANTRY_TRY(auto tokenizer, BpeTokenizer::load(Encoding::O200kBase,
//   "/etc/o200k_base.tiktoken")); const std::int64_t tokens = tokenizer->count("Hello, world!"); //
//   4

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "gateway/text_pieces.h"

namespace gantry::gateway {

struct BpeVocabulary;

/// Immutable: any number of threads.
class BpeTokenizer {
 public:
  /// The largest published vocabulary has 200,000 tokens, of at most 128 bytes, in 3.6 MB.
  static constexpr std::size_t kFileBytesMax = 32 << 20;
  static constexpr std::size_t kTokensMax = 1 << 20;
  static constexpr std::size_t kTokenBytesMax = 1024;

  /// Pieces longer than this, which no word is, are counted in parts of it: what counting takes in
  /// memory is some 50 times the piece.
  static constexpr std::size_t kPieceBytesMax = 1 << 20;

  /// Lines of a token in base64, a space and its rank; empty ones do not count. Errors,
  /// InvalidArgument, that begin with `name` and say in which line: what is no such line, a token
  /// or rank that was there before, what is above a limit, a byte that is no token.
  static Result<std::shared_ptr<const BpeTokenizer>> parse(Encoding encoding,
                                                           std::string_view vocabulary,
                                                           std::string_view name);

  /// Blocks. Errors, that begin with `path`: NotFound, TooLarge, Internal, and those of `parse`.
  static Result<std::shared_ptr<const BpeTokenizer>> load(Encoding encoding,
                                                          const std::string& path);

  /// Of `text` as ordinary text: what looks like a special token is none. O(n log n) for the
  /// longest piece, else O(n).
  [[nodiscard]] std::int64_t count(std::string_view text) const;

  ~BpeTokenizer();
  BpeTokenizer(const BpeTokenizer&) = delete;
  BpeTokenizer& operator=(const BpeTokenizer&) = delete;

 private:
  BpeTokenizer(Encoding encoding, std::unique_ptr<const BpeVocabulary> vocabulary);

  const Encoding encoding_;
  const std::unique_ptr<const BpeVocabulary> vocabulary_;
};

}  // namespace gantry::gateway
