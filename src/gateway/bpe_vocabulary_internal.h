#pragma once

// The tokens of an encoding and their ranks, from a file of tiktoken's.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "core/error.h"
#include "core/hash.h"

namespace gantry::gateway {

struct BpeVocabulary {
  struct Hash {
    using is_avalanching = void;

    std::size_t operator()(std::string_view token) const { return core::hash64(token); }
  };

  /// Nothing if `piece` is no token.
  [[nodiscard]] std::optional<std::uint32_t> find_rank(std::string_view piece) const {
    if (piece.size() > token_bytes_max) return std::nullopt;
    const auto found = ranks.find(piece);
    if (found == ranks.end()) return std::nullopt;
    return found->second;
  }

  std::string bytes;  ///< Of all tokens, one after the other.
  boost::unordered_flat_map<std::string_view, std::uint32_t, Hash> ranks;  ///< Views into `bytes`.
  std::size_t token_bytes_max = 0;                                         ///< Of the longest.
};

}  // namespace gantry::gateway
