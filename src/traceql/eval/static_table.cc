#include "traceql/eval/static_table.h"

#include <bit>
#include <cmath>
#include <utility>

#include "core/hash.h"

namespace gantry::traceql {

namespace {

/// Equal values have equal bits here.
std::uint64_t canonical_bits(double number) {
  if (number == 0) return 0;
  return std::isnan(number) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(number);
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return (a ^ (b + 0x9E3779B97F4A7C15ULL + (a << 6) + (a >> 2))) * 0xFF51AFD7ED558CCDULL;
}

}  // namespace

std::size_t StaticHash::operator()(const Static& value) const {
  std::uint64_t hash = static_cast<std::uint64_t>(value.type);
  switch (value.type) {
    case StaticType::Nil:
      break;
    case StaticType::Float:
      hash = mix(hash, canonical_bits(value.number));
      break;
    case StaticType::String:
      hash = core::hash64(value.text, core::process_hash_seed());
      break;
    case StaticType::Bool:
      hash = mix(hash, value.boolean ? 1 : 0);
      break;
    case StaticType::Int:
    case StaticType::Duration:
    case StaticType::Status:
    case StaticType::Kind:
      hash = mix(hash ^ core::process_hash_seed(), static_cast<std::uint64_t>(value.integer));
      break;
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray:
      for (const Static& element : value.elements) hash = mix(hash, (*this)(element));
      break;
  }
  return hash;
}

std::uint32_t StaticTable::add(const Static& value) {
  const auto [at, is_new] = numbers_.try_emplace(value, static_cast<std::uint32_t>(values_.size()));
  if (is_new) values_.push_back(value);
  return at->second;
}

std::vector<Static> StaticTable::take() {
  numbers_.clear();
  return std::exchange(values_, {});
}

std::uint64_t memory_bytes(const Static& value) {
  std::uint64_t bytes = sizeof(Static) + value.text.size();
  for (const Static& element : value.elements) bytes += memory_bytes(element);
  return bytes;
}

}  // namespace gantry::traceql
