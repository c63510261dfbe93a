// The `provider` object of requests: whatever clients write there is read or refused by name.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "gateway/provider_preferences.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto preferences = gantry::gateway::parse_provider_preferences(json);
  if (!preferences) {
    GANTRY_ASSERT(preferences.error().message.starts_with("provider"), "an error names its place");
    return 0;
  }
  const auto& caps = preferences->max_price;
  GANTRY_ASSERT(!caps.prompt || caps.prompt->value >= 0, "a cap is a price");
  GANTRY_ASSERT(preferences->order.size() <= gantry::gateway::kPreferredProvidersMax,
                "lists are bounded");
  return 0;
}
