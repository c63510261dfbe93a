// A client's request body: the first byte chooses the API and the provider's shape. What is spliced
// must be a request again, and its splice the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/request_splice.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::gateway;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto api = static_cast<Api>((data[0] & 7U) % 5U);
  const UpstreamShape shape{
      .model = "gpt-4o",
      .usage = (data[0] & 8U) != 0 ? StreamUsage::Ask : StreamUsage::AsClientSaid,
      .fields = (data[0] & 16U) != 0 ? GatewayFields::Keep : GatewayFields::Remove};
  const auto request = RequestBody::parse(body, api);
  // Two members may be added; a body at the limit cannot be read again.
  if (!request || request->fields().passed_keys.size() + 16 > RequestBody::kMembersMax) return 0;
  const std::string spliced = request->splice(shape);
  const auto again = RequestBody::parse(spliced, api);
  if (!again || again->splice(shape) != spliced) std::abort();
  return 0;
}
