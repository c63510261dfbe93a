// Whole answers of Responses and Messages, as providers send them, and requests with media in their
// content: the first byte chooses the API. What is recorded of an answer is JSON within its limit.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gateway/content.h"
#include "gateway/json_reader.h"
#include "gateway/passthrough_answer.h"
#include "gateway/request_modalities.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::gateway;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto api = static_cast<Api>(data[0] % 5U);
  if (find_input_media(api, body).modalities.size() > 4) std::abort();
  const auto answer =
      read_passthrough_answer(data[0] % 2U == 0 ? Api::Responses : Api::Messages, body);
  if (!answer || answer->completion.json.empty()) return 0;
  if (answer->completion.json.size() > kContentBytesMax) std::abort();
  JsonReader json(answer->completion.json);
  json.skip();
  if (!answer->completion.is_cut && !json.finish()) std::abort();
  return 0;
}
