// Answers of model providers: whatever is accepted counts no tokens below zero and records no more
// content than may be kept. The first byte chooses the API.

#include <cstddef>
#include <cstdint>
#include <string>

#include "gateway/answer_reader.h"
#include "gateway/content.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const auto api = static_cast<gateway::Api>(data[0] % 3);
  std::string body;
  body.reserve(size + 64);
  body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto answer = gateway::read_answer(api, body);
  if (!answer) return 0;
  gateway::Prices prices;
  prices.input = prices.output = {.value = 1'000'000};
  prices.cache_write_1h = prices.audio = gateway::PicoUsd{2'000'000};
  prices.audio_output = prices.reasoning = prices.image = gateway::PicoUsd{3'000'000};
  if (const auto& usage = answer->usage) {
    GANTRY_ASSERT(usage->input >= 0 && usage->output >= 0 && usage->cached.value_or(0) >= 0,
                  "tokens are counts");
    GANTRY_ASSERT(gateway::compute_cost(*usage, prices, 2).total.value >= 0,
                  "costs do not overflow");
  }
  GANTRY_ASSERT(answer->completion.json.size() <= gateway::kContentBytesMax, "content is cut");
  GANTRY_ASSERT(api == gateway::Api::Embeddings || !answer->completion.json.empty(),
                "what was answered is recorded");
  return 0;
}
