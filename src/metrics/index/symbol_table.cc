#include "metrics/index/symbol_table.h"

#include "core/error.h"
#include "core/hash.h"

namespace gantry::metrics {
namespace {

std::uint64_t hash_text(std::string_view text) {
  return core::hash64(text, core::process_hash_seed());
}

}  // namespace

std::uint32_t SymbolTable::find(std::string_view text) const {
  return index_.find(hash_text(text), [&](std::uint32_t id) { return this->text(id) == text; });
}

std::uint32_t SymbolTable::intern(std::string_view text) {
  const std::uint64_t hash = hash_text(text);
  const std::uint32_t found =
      index_.find(hash, [&](std::uint32_t id) { return this->text(id) == text; });
  if (found != kNone) return found;
  const std::uint32_t id = symbols_.add();
  Symbol& symbol = symbols_[id];
  symbol.data.store(arena_->copy(text).data(), std::memory_order_release);
  symbol.size_bytes = static_cast<std::uint32_t>(text.size());
  symbols_.publish();
  index_.insert(hash, id);
  live_text_bytes_ += text.size();
  return id;
}

void SymbolTable::drop_reference(std::uint32_t symbol) {
  Symbol& entry = symbols_[symbol];
  GANTRY_ASSERT(entry.references > 0, "each reference is dropped once");
  if (--entry.references > 0) return;
  const std::string_view view = text(symbol);
  index_.erase(hash_text(view), symbol);
  live_text_bytes_ -= view.size();
}

std::unique_ptr<core::Arena> SymbolTable::compact() {
  auto fresh = std::make_unique<core::Arena>();
  for (std::uint32_t id = 0; id < symbols_.size(); ++id) {
    Symbol& symbol = symbols_[id];
    if (symbol.references == 0) continue;
    symbol.data.store(fresh->copy(text(id)).data(), std::memory_order_release);
  }
  std::swap(arena_, fresh);
  return fresh;
}

}  // namespace gantry::metrics
