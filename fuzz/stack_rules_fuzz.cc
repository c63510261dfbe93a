// Any text as the rules of a stack. What is refused is refused by its code; what is accepted is
// shown as something that is accepted again and shown in the same way.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "pipeline/stack_rules.h"

namespace {

using namespace gantry;

std::string show(const pipeline::StackRules& rules) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_object();
  pipeline::write_stack_rules(json, rules);
  json.end_object();
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto body = pipeline::StackRulesBody::parse(text);
  if (!body) {
    GANTRY_ASSERT(body.error().code == Code::InvalidArgument, "a refusal is the sender's affair");
    return 0;
  }
  static_cast<void>(body->version());
  static_cast<void>(body->workspace_id());
  const auto rules = body->apply({});
  if (!rules) {
    GANTRY_ASSERT(!rules.error().fields.empty(), "a refusal names its fields");
    return 0;
  }
  const std::string shown = show(*rules);
  const auto again = pipeline::StackRulesBody::parse(shown);
  GANTRY_ASSERT(again.has_value(), "what is shown can be sent back");
  const auto same = again->apply({});
  GANTRY_ASSERT(same.has_value() && show(*same) == shown, "and means the same");
  telemetry::Labels labels = {{.name = "__name__", .value = "up"}, {.name = "job", .value = "a"}};
  static_cast<void>(rules->metric_relabel.apply(labels));
  return 0;
}
