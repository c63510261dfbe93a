#include "access/stored_text.h"

#include "core/utf8.h"

namespace gantry::access {
namespace {

constexpr char32_t kReplacement = 0xfffd;

}  // namespace

std::string stored_text(std::string_view text, std::size_t bytes_max) {
  std::string out;
  std::size_t position = 0;
  while (position < text.size()) {
    const char32_t code_point = core::next_code_point(text, position);
    const std::size_t before = out.size();
    core::append_utf8(out, code_point == 0 ? kReplacement : code_point);
    if (out.size() <= bytes_max) continue;
    out.resize(before);
    break;
  }
  return out;
}

}  // namespace gantry::access
