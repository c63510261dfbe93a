#include "core/byte_size.h"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace gantry::core {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};

constexpr std::array<Unit, 9> kUnits = {{
    {"TiB", 1ULL << 40},
    {"GiB", 1ULL << 30},
    {"MiB", 1ULL << 20},
    {"KiB", 1ULL << 10},
    {"TB", 1'000'000'000'000ULL},
    {"GB", 1'000'000'000ULL},
    {"MB", 1'000'000ULL},
    {"KB", 1'000ULL},
    {"B", 1},
}};

}  // namespace

Result<std::uint64_t> parse_byte_size(std::string_view text) {
  const auto invalid = [&] {
    return fail(Code::InvalidArgument,
                fmt::format("not a valid size: \"{}\" (a number with B, KB, MB, GB, TB, KiB, MiB, "
                            "GiB or TiB)",
                            text));
  };
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{}) return invalid();
  const std::string_view unit_name = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit_name.empty()) return count;
  for (const Unit& unit : kUnits) {
    if (unit.name != unit_name) continue;
    if (count > std::numeric_limits<std::uint64_t>::max() / unit.bytes) return invalid();
    return count * unit.bytes;
  }
  return invalid();
}

std::string format_byte_size(std::uint64_t bytes) {
  if (bytes != 0) {
    for (const Unit& unit : kUnits) {
      if (unit.name.contains('i') && bytes % unit.bytes == 0) {
        return fmt::format("{}{}", bytes / unit.bytes, unit.name);
      }
    }
  }
  return fmt::format("{}B", bytes);
}

}  // namespace gantry::core
