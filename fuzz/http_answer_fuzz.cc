// The answer of an upstream server: however its bytes are split, it reads the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "net/answer_parser_internal.h"

namespace {

using gantry::net::AnswerParser;

// Over what an input has: where a limit strikes depends on the split.
constexpr std::size_t kHeaderBytesMax = 1 << 20;

std::string read(std::string_view input, std::size_t step) {
  AnswerParser parser(kHeaderBytesMax, AnswerParser::Asked::Other);
  std::string buffer;
  std::string body;
  for (std::size_t at = 0; at < input.size() && !parser.is_done(); at += step) {
    buffer += input.substr(at, step);
    for (std::size_t count = 1; count > 0 && !buffer.empty() && !parser.is_done();) {
      const auto taken = parser.put(buffer);
      if (!taken) return "broken";
      count = *taken;
      GANTRY_ASSERT(count <= buffer.size(), "no more is taken than there is");
      buffer.erase(0, count);
      if (parser.has_head()) body += parser.take_piece();
    }
    GANTRY_ASSERT(buffer.size() <= kHeaderBytesMax + step || parser.is_done(),
                  "what is left is a header");
  }
  GANTRY_ASSERT(body.size() <= input.size(), "a body does not grow");
  if (!parser.is_done() && !parser.put_end()) return "broken";
  return std::to_string(parser.status()) + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = read(input, input.size() + 1);
  const std::string parts = read(input, data[0] + 1UZ);
  // Of an answer that breaks, only that is the same.
  GANTRY_ASSERT(whole == parts, "splitting changes nothing");
  return 0;
}
