#pragma once

// Changes to a text that leave every other byte as it is.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/json_reader.h"

namespace gantry::gateway {

/// Edits of one text, given in any order. They must not overlap; insertions at one place keep the
/// order in which they were given, and come before a replacement that begins there.
class ByteEdits {
 public:
  void replace(ByteRange range, std::string text) {
    edits_.push_back({.range = range, .text = std::move(text)});
  }

  void insert(std::size_t at, std::string text) { replace({at, at}, std::move(text)); }

  void remove(ByteRange range) { replace(range, {}); }

  /// Appends `source` with the edits made.
  void apply(std::string_view source, std::string& out) const;

  /// The same without a copy: views of `source` and of this object, none of them empty.
  [[nodiscard]] std::vector<std::string_view> pieces(std::string_view source) const;

 private:
  struct Edit {
    ByteRange range;
    std::string text;
  };

  [[nodiscard]] std::vector<const Edit*> in_order() const;

  std::vector<Edit> edits_;
};

enum class EarlierMembers : bool { AllRemoved, SomeKept };

/// What to cut so that an object stays well-formed without `member`, whose value ends at
/// `value_end`: the comma before it, or the one after it where no member before it is kept.
/// Cutting several of an object works if each is told of those before it. The text behind the
/// value need not be checked yet.
[[nodiscard]] ByteRange member_range(std::string_view text, const JsonMember& member,
                                     std::size_t value_end, EarlierMembers earlier);

/// `text` as a JSON string with quotes.
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace gantry::gateway
