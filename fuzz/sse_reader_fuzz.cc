// A provider's event stream: the first byte cuts it into pieces; whole and cut must read the same.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/sse_reader.h"

namespace {

std::string read(std::string_view text, std::size_t piece_bytes) {
  gantry::gateway::SseReader reader({.line_bytes_max = 4096, .event_bytes_max = 8192});
  std::string events;
  const auto drain = [&] {
    while (true) {
      const auto event = reader.next();
      if (!event) {
        if (!events.ends_with(event.error().message)) events.append(event.error().message);
        return;
      }
      if (!*event) return;
      events.append((*event)->name).append("\x01").append((*event)->data).append("\x02");
    }
  };
  for (std::size_t at = 0; at < text.size(); at += piece_bytes) {
    reader.push(text.substr(at, piece_bytes));
    drain();
  }
  reader.end();
  drain();
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (read(text, data[0] % 16U + 1U) != read(text, size)) std::abort();
  return 0;
}
