// Any text as the filter rules of a destination. What is refused is refused by name; what is
// accepted answers for any event, and does not look at content unless it says so.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pipeline/filter_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto rules = pipeline::FilterRules::parse(text);
  if (!rules) {
    GANTRY_ASSERT(rules.error().code == Code::InvalidArgument &&
                      rules.error().message.starts_with("filter_rules"),
                  "a refusal names its place");
    return 0;
  }
  const std::array<pipeline::EventFields, 3> events = {{
      {},
      {.model = "", .session_id = text, .total_cost = 0, .total_tokens = 1e300},
      {.model = "openai/gpt-4o",
       .provider = "OpenAI",
       .user_id = text.substr(size / 2),
       .total_cost = 0.004,
       .prompt_tokens = 100},
  }};
  for (pipeline::EventFields event : events) {
    const bool without_content = rules->matches(event);
    event.input = text;
    event.output = "Done.";
    GANTRY_ASSERT(rules->matches(event) == without_content || rules->reads_content(),
                  "rules that read content say so");
  }
  return 0;
}
