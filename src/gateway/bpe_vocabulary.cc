// Reads vocabularies in tiktoken's file format.

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "gateway/bpe_tokenizer.h"
#include "gateway/bpe_vocabulary_internal.h"

namespace gantry::gateway {
namespace {

constexpr std::size_t kByteValues = 256;
constexpr std::uint8_t kNoDigit = 0xff;

constexpr auto kDigits = [] {
  std::array<std::uint8_t, kByteValues> digits{};
  digits.fill(kNoDigit);
  std::uint8_t value = 0;
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789+/")) {
    digits[static_cast<unsigned char>(c)] = value++;
  }
  return digits;
}();

/// Appends what `base64`, with its padding, means. False, with something appended, if it is none.
bool append_decoded(std::string& out, std::string_view base64) {
  if (base64.empty() || base64.size() % 4 != 0) return false;
  const std::size_t padding = base64.ends_with("==") ? 2 : base64.ends_with('=') ? 1 : 0;
  base64.remove_suffix(padding);
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const char c : base64) {
    const std::uint8_t digit = kDigits[static_cast<unsigned char>(c)];
    if (digit == kNoDigit) return false;
    bits = (bits << 6) | digit;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    out += static_cast<char>(bits >> bit_count);
    bits &= (1U << bit_count) - 1;
  }
  return bits == 0;  // else two spellings would be one token
}

/// One file. The first error stops everything.
class VocabularyReader {
 public:
  explicit VocabularyReader(std::string_view name) : name_(name) {}

  Result<std::unique_ptr<const BpeVocabulary>> run(std::string_view text) {
    if (text.size() > BpeTokenizer::kFileBytesMax) {
      return fail(Code::TooLarge, fmt::format("{}: {} bytes, the limit is {}", name_, text.size(),
                                              BpeTokenizer::kFileBytesMax));
    }
    // What is decoded never outgrows it: the views into it stay.
    vocabulary_->bytes.reserve(text.size());
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      ++line_;
      if (!line.empty()) GANTRY_CHECK(take(line));
    }
    for (std::size_t byte = 0; byte < kByteValues; ++byte) {
      const char one = static_cast<char>(byte);
      if (vocabulary_->find_rank({&one, 1})) continue;
      return fail(
          Code::InvalidArgument,
          fmt::format("{}: no token for the byte 0x{:02x}: not a whole vocabulary", name_, byte));
    }
    return std::move(vocabulary_);
  }

 private:
  std::unexpected<Error> refuse(std::string_view why) const {
    return fail(Code::InvalidArgument, fmt::format("{}:{}: {}", name_, line_, why));
  }

  Result<void> take(std::string_view line) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return refuse("not a token in base64, a space and a rank");
    const std::string_view digits = line.substr(space + 1);
    std::uint32_t rank = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      return refuse("the rank is not a whole number");
    }
    if (rank >= BpeTokenizer::kTokensMax) {
      return refuse(fmt::format("rank {}, the limit is {}", rank, BpeTokenizer::kTokensMax - 1));
    }
    if (has_rank_[rank]) return refuse(fmt::format("rank {} is there twice", rank));
    has_rank_[rank] = true;
    std::string& bytes = vocabulary_->bytes;
    const std::size_t begin = bytes.size();
    if (!append_decoded(bytes, line.substr(0, space))) return refuse("the token is not base64");
    const std::string_view token = std::string_view(bytes).substr(begin);
    if (token.size() > BpeTokenizer::kTokenBytesMax) {
      return refuse(fmt::format("a token of {} bytes, the limit is {}", token.size(),
                                BpeTokenizer::kTokenBytesMax));
    }
    if (!vocabulary_->ranks.emplace(token, rank).second) return refuse("the token is there twice");
    vocabulary_->token_bytes_max = std::max(vocabulary_->token_bytes_max, token.size());
    return {};
  }

  std::string_view name_;
  std::size_t line_ = 0;
  std::unique_ptr<BpeVocabulary> vocabulary_ = std::make_unique<BpeVocabulary>();
  std::vector<bool> has_rank_ = std::vector<bool>(BpeTokenizer::kTokensMax);
};

}  // namespace

Result<std::shared_ptr<const BpeTokenizer>> BpeTokenizer::parse(Encoding encoding,
                                                                std::string_view vocabulary,
                                                                std::string_view name) {
  GANTRY_TRY(auto read, VocabularyReader(name).run(vocabulary));
  return std::shared_ptr<const BpeTokenizer>(new BpeTokenizer(encoding, std::move(read)));
}

Result<std::shared_ptr<const BpeTokenizer>> BpeTokenizer::load(Encoding encoding,
                                                               const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(Code::NotFound,
                fmt::format("{}: {}", path, std::generic_category().message(errno)));
  }
  std::string text;
  std::array<char, 64 << 10> piece;
  while (file.good() && text.size() <= kFileBytesMax) {
    file.read(piece.data(), piece.size());
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return fail(Code::Internal, fmt::format("{}: cannot be read", path));
  return parse(encoding, text, path);
}

}  // namespace gantry::gateway
