// Bodies of the control API: whatever is accepted is an object of bounded depth, and reading it as
// a policy's realms and a stack's settings ends.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "access/stacks.h"
#include "api/cloud_internal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  const auto body =
      api::parse_cloud_body(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!body) return 0;
  GANTRY_ASSERT(body->is_object(), "a body is an object");
  const std::string text = body->dump();
  const auto again = api::parse_cloud_body(text);
  GANTRY_ASSERT(again && *again == *body, "what was accepted is accepted again");
  std::vector<access::FieldProblem> problems;
  api::BodyReader reader(*body, "", problems);
  static_cast<void>(reader.required_text("name"));
  static_cast<void>(reader.texts("scopes"));
  static_cast<void>(reader.time("expiresAt"));
  static_cast<void>(reader.boolean("deleteProtection"));
  static_cast<void>(reader.object("labels"));
  if (const auto settings = access::parse_stack_settings(text, "settings")) {
    const auto back =
        access::parse_stack_settings(access::format_stack_settings(*settings), "settings");
    GANTRY_ASSERT(back && *back == *settings, "settings read back");
  }
  return 0;
}
