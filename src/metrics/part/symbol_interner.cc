#include "metrics/part/symbol_interner.h"

#include <boost/unordered/unordered_flat_map.hpp>

#include "core/arena.h"
#include "core/hash.h"
#include "storage/byte_cursor.h"

namespace gantry::metrics {
namespace {

struct TextHash {
  using is_avalanching = void;

  std::size_t operator()(std::string_view text) const { return core::hash64(text); }
};

}  // namespace

struct SymbolInterner::Impl {
  core::Arena arena;
  std::vector<std::string_view> symbols;
  boost::unordered_flat_map<std::string_view, std::uint32_t, TextHash> numbers;
};

SymbolInterner::SymbolInterner() : impl_(std::make_unique<Impl>()) {}

SymbolInterner::~SymbolInterner() = default;

std::uint32_t SymbolInterner::intern(std::string_view text) {
  if (const auto found = impl_->numbers.find(text); found != impl_->numbers.end()) {
    return found->second;
  }
  const auto number = static_cast<std::uint32_t>(impl_->symbols.size());
  const std::string_view kept = impl_->arena.copy(text);
  impl_->symbols.push_back(kept);
  impl_->numbers.emplace(kept, number);
  return number;
}

Result<std::vector<SymbolGroup>> SymbolInterner::write(storage::FrameWriter& file,
                                                       int compression_level) const {
  std::vector<SymbolGroup> groups;
  std::vector<std::byte> frame;
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < impl_->symbols.size(); ++i) {
    storage::ByteWriter(frame).string(impl_->symbols[i]);
    ++count;
    if (frame.size() < storage::kFrameBytesTarget && i + 1 < impl_->symbols.size()) continue;
    GANTRY_TRY(const std::uint32_t number, file.add(frame, compression_level));
    groups.push_back({.symbol_count = count, .frame = number});
    frame.clear();
    count = 0;
  }
  return groups;
}

}  // namespace gantry::metrics
