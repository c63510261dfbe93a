// Any bytes as a payload of the traces log. What decodes must encode to something that decodes to
// the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "traces/log/log_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::traces;
  std::string buffer;
  const auto first = decode_spans_record(std::as_bytes(std::span(data, size)), buffer);
  if (!first) return 0;
  std::vector<std::byte> again;
  encode_spans_record(*first, again);
  std::string other;
  const auto second = decode_spans_record(again, other);
  if (!second || *second != *first) std::abort();
  return 0;
}
