// Any text as attribute rules. What is refused is refused by name; what is accepted edits a batch
// without touching it, to a batch that can be encoded.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codec/otlp_traces_encoder.h"
#include "core/error.h"
#include "pipeline/attribute_rules.h"

namespace {

using namespace gantry;
using Kind = telemetry::AttributeValue::Kind;

telemetry::BatchSlice add(telemetry::SpanBatch& batch) {
  const std::array<telemetry::SpanAttribute, 5> attributes = {{
      {"a", {.kind = Kind::String, .text = "GET /users/7?x=1"}},
      {"service.name", {.kind = Kind::String, .text = "checkout"}},
      {"n", {.kind = Kind::Int, .integer = -1}},
      {"d", {.kind = Kind::Double, .number = 1e300}},
      {"e", {.kind = Kind::Encoded, .text = "\x2a\x02\x0a\x00"}},
  }};
  const telemetry::BatchSlice slice{.begin = static_cast<std::uint32_t>(batch.attributes.size()),
                                    .count = static_cast<std::uint32_t>(attributes.size())};
  batch.attributes.insert(batch.attributes.end(), attributes.begin(), attributes.end());
  return slice;
}

telemetry::SpanBatch make_batch() {
  telemetry::SpanBatch batch;
  batch.resources.push_back({.attributes = add(batch)});
  batch.scopes.push_back({});
  batch.events.push_back({.name = "exception", .attributes = add(batch)});
  telemetry::BatchSpan span;
  span.span_id = 1;
  span.name = "GET";
  span.attributes = add(batch);
  span.events = {.begin = 0, .count = 1};
  batch.spans.push_back(span);
  return batch;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto rules = pipeline::AttributeRules::parse({reinterpret_cast<const char*>(data), size});
  if (!rules) {
    GANTRY_ASSERT(rules.error().code == Code::InvalidArgument &&
                      rules.error().message.starts_with("attribute_rules"),
                  "a refusal names its place");
    return 0;
  }
  static const telemetry::SpanBatch batch = make_batch();
  static const std::string before = codec::encode_otlp_traces(batch);
  telemetry::SpanBatch edited;
  rules->apply(batch, edited);
  const std::string after = codec::encode_otlp_traces(edited);
  GANTRY_ASSERT(codec::encode_otlp_traces(batch) == before, "rules edit a copy");
  GANTRY_ASSERT(!rules->empty() || after == before, "no rules change nothing");
  return 0;
}
