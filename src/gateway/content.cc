#include "gateway/content.h"

#include <utility>

#include <fmt/format.h>

namespace gantry::gateway {

std::string_view cut_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

RecordedContent record_content(std::string json) {
  RecordedContent content;
  content.is_cut = json.size() > kContentBytesMax;
  if (content.is_cut) json.resize(cut_text(json, kContentBytesMax).size());
  content.json = std::move(json);
  return content;
}

RecordedContent record_completion(std::string_view completion, std::string_view reasoning,
                                  std::string_view tool_calls) {
  const auto or_null = [](std::string_view json) { return json.empty() ? "null" : json; };
  std::string json =
      fmt::format(R"({{"completion":{},"reasoning":{})", or_null(completion), or_null(reasoning));
  if (!tool_calls.empty()) json += fmt::format(R"(,"toolCalls":{})", tool_calls);
  json += '}';
  return record_content(std::move(json));
}

}  // namespace gantry::gateway
