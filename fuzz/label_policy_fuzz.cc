// Any text as a label policy's selector and as the header X-Prom-Label-Policy. What is accepted has
// a canonical text that parses to the same policy; a header never widens.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "access/label_policy.h"
#include "access/label_policy_header.h"

namespace gantry::access {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_selector(const std::string& text) {
  const auto policy = LabelPolicy::parse(text);
  if (!policy) {
    require(policy.error().code == Code::InvalidArgument);
    return;
  }
  require(!policy->matchers().empty());
  const auto again = LabelPolicy::parse(policy->text());
  // Escapes may make the canonical text longer than a selector may be.
  if (!again) require(policy->text().size() > kLabelSelectorBytesMax);
  if (again) require(again->text() == policy->text());
  const auto set = LabelPolicySet::parse(std::vector{text, std::string(R"({ns="a"})")});
  require(set.has_value());
  const std::vector<telemetry::LabelView> labels = {{.name = "ns", .value = "a"}};
  require(set->shows(labels));
}

void check_header(const std::string& text) {
  const Visibility own = read_visibility(std::vector<std::string>{R"({ns="a"})"}, "fuzz");
  const std::vector<std::string> values = {text};
  const auto narrowed =
      narrow_by_header(own, R"({"acceptLabelPolicyHeader":true})", StackId(1), values);
  require(narrowed ? is_within(*narrowed, own) : narrowed.error().status == 400);
}

}  // namespace
}  // namespace gantry::access

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  gantry::access::check_selector(text);
  gantry::access::check_header(text);
  return 0;
}
