#include "access/secrets/sealer.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

namespace gantry::access {
namespace {

constexpr std::size_t kPartBytesMax = 128;

/// The parts hold no separator, so that no two places have the same text.
Result<std::string> bound_to(const SealPlace& place) {
  const std::array parts = {place.table, place.column, place.row};
  const auto is_plain = [](std::string_view part) {
    return !part.empty() && part.size() <= kPartBytesMax && std::ranges::none_of(part, [](char c) {
      return c == '|' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
  };
  if (!std::ranges::all_of(parts, is_plain))
    return fail(Code::InvalidArgument,
                "the place of a secret has names of 1 to 128 bytes without '|' and control "
                "characters");
  return fmt::format("gantry|v1|{}|{}|{}|{}", place.table, place.column, place.row,
                     place.org.value());
}

}  // namespace

Result<SealedValue> Sealer::seal(state::Transaction& tx, const SealPlace& place,
                                 const Secret& clear) const {
  GANTRY_TRY(const std::string bound, bound_to(place));
  GANTRY_TRY(const DataKey key, keys_.take(tx, place.org));
  GANTRY_TRY(const SealedText sealed, make_sealed(key.header, key.bytes, bound, clear));
  return SealedValue{.text = format_sealed(sealed), .data_key = key.header.data_key};
}

Result<Secret> Sealer::open(state::Transaction& tx, const SealPlace& place,
                            std::string_view text) const {
  GANTRY_TRY(const std::string bound, bound_to(place));
  GANTRY_TRY(const SealedText sealed, parse_sealed(text));
  GANTRY_TRY(const DataKey key, keys_.open(tx, place.org, sealed.header.data_key));
  return open_sealed(sealed, key.bytes, bound);
}

}  // namespace gantry::access
