#include "gateway/byte_edits.h"

#include <algorithm>

#include "core/error.h"
#include "core/json_writer.h"

namespace gantry::gateway {

std::vector<const ByteEdits::Edit*> ByteEdits::in_order() const {
  std::vector<const Edit*> order;
  order.reserve(edits_.size());
  for (const Edit& edit : edits_) order.push_back(&edit);
  std::ranges::stable_sort(order, [](const Edit* a, const Edit* b) {
    if (a->range.begin != b->range.begin) return a->range.begin < b->range.begin;
    return a->range.end < b->range.end;
  });
  return order;
}

std::vector<std::string_view> ByteEdits::pieces(std::string_view source) const {
  std::vector<std::string_view> pieces;
  pieces.reserve(edits_.size() * 2 + 1);
  const auto add = [&](std::string_view piece) {
    if (!piece.empty()) pieces.push_back(piece);
  };
  std::size_t copied = 0;
  for (const Edit* edit : in_order()) {
    GANTRY_ASSERT(edit->range.begin >= copied, "edits do not overlap");
    add(source.substr(copied, edit->range.begin - copied));
    add(edit->text);
    copied = edit->range.end;
  }
  add(source.substr(copied));
  return pieces;
}

void ByteEdits::apply(std::string_view source, std::string& out) const {
  for (const std::string_view piece : pieces(source)) out.append(piece);
}

ByteRange member_range(std::string_view text, const JsonMember& member, std::size_t value_end,
                       EarlierMembers earlier) {
  if (member.comma_before && earlier == EarlierMembers::SomeKept) {
    return {*member.comma_before, value_end};
  }
  const std::size_t next = text.find_first_not_of(" \t\r\n", value_end);
  const bool is_followed = next != std::string_view::npos && text[next] == ',';
  return {member.key_begin, is_followed ? next + 1 : value_end};
}

std::string json_string(std::string_view text) {
  std::string out;
  core::append_json_string(out, text);
  return out;
}

}  // namespace gantry::gateway
