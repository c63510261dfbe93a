// A provider's error answer: the first bytes are its status, a byte divides Retry-After from the
// body.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/error_answer.h"
#include "gateway/json_reader.h"
#include "gateway/token_estimate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::gateway;
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t header_bytes = text.find('\n');
  const std::string_view body =
      header_bytes == std::string_view::npos ? text : text.substr(header_bytes + 1);
  TypedError error = classify_upstream({.status = 200 + data[0] + data[1],
                                        .body = body,
                                        .retry_after = text.substr(0, header_bytes),
                                        .now_unix_s = 1'700'000'000});
  name_moderator(error, "P", "a/b");
  for (const std::string& answer : {openai_error_body(error), anthropic_error_body(error, "gen-1"),
                                    error_body(Api::Responses, error, "gen-1"),
                                    openai_error_body(classify_stream_error(body))}) {
    JsonReader json(answer);
    json.skip();
    if (!json.finish()) std::abort();
  }
  if (estimate_input_tokens(static_cast<Api>(data[0] % 5U), body) < 1) std::abort();
  return 0;
}
