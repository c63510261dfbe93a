// Requests of model clients: whatever is accepted stays inside its limits, reads the same again,
// and becomes spans that our own decoder takes without a complaint. The first byte chooses the API.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "codec/otlp_traces.h"
#include "codec/otlp_traces_encoder.h"
#include "gateway/content.h"
#include "gateway/generation_trace.h"
#include "gateway/request_context.h"

namespace {

using namespace gantry;

void check_limits(const gateway::RequestContext& context) {
  const auto& metadata = context.trace.metadata;
  GANTRY_ASSERT(metadata.size() <= 2 * 64, "values and the marks of those that were cut");
  for (const gateway::Metadata& entry : metadata) {
    GANTRY_ASSERT(entry.text.size() <= 8192, "values are cut");
    GANTRY_ASSERT(std::ranges::count(metadata, entry.key, &gateway::Metadata::key) == 1,
                  "a key occurs once");
  }
  const auto& ignored = context.trace.ignored_keys;
  GANTRY_ASSERT(std::ranges::is_sorted(ignored) && ignored.size() <= 64, "a short sorted list");
  GANTRY_ASSERT(context.prompt.json.size() <= gateway::kContentBytesMax, "prompts are cut");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto api = static_cast<gateway::Api>(data[0] % 5);
  std::string body;
  body.reserve(size + 64);
  body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  const gateway::ContextHeaders headers{.session_id = std::string_view(body).substr(0, 40),
                                        .traceparent = std::string_view(body).substr(0, 55)};
  auto context = gateway::read_request_context(api, body, headers, "gantry");
  if (!context) return 0;
  check_limits(*context);
  const auto again = gateway::read_request_context(api, body, headers, "gantry");
  GANTRY_ASSERT(again && again->trace.metadata == context->trace.metadata &&
                    again->prompt.json == context->prompt.json,
                "reading has no memory");

  gateway::Generation generation;
  generation.id = "gen-1-a";
  generation.api = api;
  generation.is_ok = true;
  generation.requested_model = std::move(context->model);
  generation.context = std::move(context->trace);
  generation.parameters = std::move(context->parameters);
  generation.prompt = std::move(context->prompt);
  static telemetry::SpanBatch batch;
  const gateway::TraceOptions options;
  gateway::build_trace(generation, options, {.identity = true}, batch);
  const std::string request = codec::encode_otlp_traces(batch);
  static codec::OtlpTracesDecoder decoder;
  GANTRY_ASSERT(decoder.decode_protobuf(request, codec::kNoOtlpTracesLimits).has_value(),
                "spans are OTLP");
  GANTRY_ASSERT(decoder.outcome().message().empty(), "nothing of them is refused");
  return 0;
}
