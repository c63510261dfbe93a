// A vocabulary, as an operator's file has it, and a text that is counted with it: a zero byte
// divides them. The first byte chooses the encoding and whether all bytes are tokens before the
// file begins: without them few files are whole.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codec/otlp_attributes.h"
#include "core/error.h"
#include "gateway/bpe_tokenizer.h"
#include "gateway/text_pieces.h"

namespace {

std::string all_bytes() {
  std::string lines;
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    gantry::codec::append_base64(lines, {&one, 1});
    lines += " " + std::to_string(byte) + "\n";
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::gateway;
  if (size == 0) return 0;
  static const std::string bytes = all_bytes();
  const Encoding encoding = (data[0] & 1U) == 0 ? Encoding::O200kBase : Encoding::Cl100kBase;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t divide = input.find('\0');
  std::string vocabulary = (data[0] & 2U) == 0 ? bytes : std::string();
  vocabulary += input.substr(0, divide);
  const auto tokenizer = BpeTokenizer::parse(encoding, vocabulary, "vocabulary");
  if (!tokenizer) {
    GANTRY_ASSERT(tokenizer.error().message.starts_with("vocabulary:"), "an error says where");
    return 0;
  }
  const std::string_view text = divide == std::string_view::npos ? input : input.substr(divide + 1);
  std::int64_t pieces = 0;
  for (std::size_t begin = 0; begin < text.size(); ++pieces) {
    const std::size_t end = piece_end(encoding, text, begin);
    GANTRY_ASSERT(end > begin && end <= text.size(), "pieces go on and stay within the text");
    begin = end;
  }
  const std::int64_t tokens = (*tokenizer)->count(text);
  GANTRY_ASSERT(tokens >= pieces, "a piece is at least a token");
  GANTRY_ASSERT(tokens <= static_cast<std::int64_t>(text.size()), "a token is at least a byte");
  return 0;
}
