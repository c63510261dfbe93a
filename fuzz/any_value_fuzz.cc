// Any bytes as an AnyValue: no read past the end, and arrays hold elements of their own type only.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "traceql/eval/any_value.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gantry::traceql::Static;
  const Static value = gantry::traceql::decode_any_value(
      std::string_view(reinterpret_cast<const char*>(data), size));
  for (const Static& element : value.elements) {
    if (element.type != value.elements.front().type) std::abort();
    if (!element.elements.empty()) std::abort();
  }
  return 0;
}
