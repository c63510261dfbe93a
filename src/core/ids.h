#pragma once

// Strong ids: a StackId is not a SeriesId, and neither is a number.

#include <compare>
#include <concepts>
#include <cstdint>

namespace gantry {

template <class Tag, std::integral Rep>
class Id {
 public:
  constexpr Id() = default;

  explicit constexpr Id(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }

  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Rep value_{};
};

/// The numeric instance id of a stack, the user name of its Basic credentials. The first one is
/// 1000000.
using StackId = Id<struct StackIdTag, std::uint32_t>;

/// A series inside one metrics store. Dense, never reused while the process lives.
using SeriesId = Id<struct SeriesIdTag, std::uint32_t>;

/// A string inside one symbol table.
using SymbolId = Id<struct SymbolIdTag, std::uint32_t>;

}  // namespace gantry
