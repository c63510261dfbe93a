// Answers of destinations: two bytes choose the type and the status, then come a content type and a
// Retry-After value, a line each, and the body. From 128 on the first byte means the end of a gRPC
// call, whose code the second is, and the first line its message. Whatever was said, what we say is
// short, text, and without secrets.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "broadcast/verdict.h"
#include "codec/otlp_answer.h"
#include "core/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  using namespace gantry::broadcast;
  constexpr std::string_view kSecret = "glc_secret";
  if (size < 2) return 0;
  const bool is_rpc = data[0] >= 128;
  Destination destination{.type = static_cast<DestinationType>(data[0] % 6)};
  destination.config = {.url = "https://a.example",
                        .instance_id = "1",
                        .secret = std::string(kSecret),
                        .headers = {{"X-Key", "Bearer header-secret"}}};
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto line = [&] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string text(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return text;
  };
  ExportAnswer answer{.status = 190 + data[1] * 2};
  answer.headers.add("Content-Type", line());
  answer.headers.add("Retry-After", line());
  answer.body = rest;
  if (is_rpc)
    answer.rpc = RpcEnd{.code = static_cast<net::RpcCode>(data[1] % 17),
                        .message = std::string(answer.headers.find("Content-Type")),
                        .retry_delay = codec::decode_retry_delay(rest)};
  const Classified classified =
      classify_answer(destination, answer, TimestampMs{1'790'000'000'000});
  GANTRY_ASSERT(classified.message.size() <= kVerdictMessageBytesMax, "messages are short");
  GANTRY_ASSERT(core::is_valid_utf8(classified.message), "messages are text");
  GANTRY_ASSERT(!classified.message.contains(kSecret), "secrets are not quoted");
  GANTRY_ASSERT(!classified.message.contains("header-secret"), "header values are not quoted");
  GANTRY_ASSERT(!classified.retry_after || (classified.retry_after->count > 0 &&
                                            classified.retry_after->count <= 3'600'000),
                "waits are bounded");
  return 0;
}
