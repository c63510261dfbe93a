// Bodies that start a replay: whatever is accepted has a range that can be counted in nanoseconds,
// or none.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/destinations_internal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  const auto range =
      api::parse_replay_body(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!range) return 0;
  const TimestampMs now{1'790'000'000'000};
  const auto checked = broadcast::checked_range(*range, now);
  if (!checked) return 0;
  const std::int64_t start_ns = broadcast::first_position(*checked).start_ns;
  GANTRY_ASSERT(start_ns >= 0 && start_ns < broadcast::end_ns(*checked), "it is not empty");
  GANTRY_ASSERT(checked->end <= now, "it is in the past");
  return 0;
}
