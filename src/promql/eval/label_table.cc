#include "promql/eval/label_table.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "core/hash.h"
#include "telemetry/labels.h"
#include "telemetry/metadata_labels.h"

namespace gantry::promql::eval {
namespace {

constexpr std::uint32_t kUnknown = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kFirstSlotCount = 1024;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value;
  hash *= 0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 29);
}

std::uint64_t hash_pairs(std::span<const LabelPair> pairs) {
  std::uint64_t hash = 0x51ed270b0129ULL + pairs.size();
  for (const LabelPair pair : pairs) {
    hash = mix(hash, (static_cast<std::uint64_t>(pair.name) << 32) | pair.value);
  }
  return hash;
}

}  // namespace

LabelTable::LabelTable() : text_slots_(kFirstSlotCount), set_slots_(kFirstSlotCount) {
  static_cast<void>(intern(""));
  static_cast<void>(intern_set({}));
  metric_name_ = intern("__name__");
  type_ = intern(telemetry::kTypeLabel);
  unit_ = intern(telemetry::kUnitLabel);
}

Symbol LabelTable::intern(std::string_view text) {
  const std::uint64_t hash = core::hash64(text);
  std::size_t slot = hash & (text_slots_.size() - 1);
  while (text_slots_[slot] != 0) {
    const Symbol symbol = text_slots_[slot] - 1;
    if (text_hashes_[symbol] == hash && texts_[symbol] == text) return symbol;
    slot = (slot + 1) & (text_slots_.size() - 1);
  }
  const auto symbol = static_cast<Symbol>(texts_.size());
  texts_.push_back(arena_.copy(text));
  text_hashes_.push_back(hash);
  text_slots_[slot] = symbol + 1;
  if (texts_.size() * 2 > text_slots_.size()) grow_texts();
  return symbol;
}

void LabelTable::grow_texts() {
  text_slots_.assign(text_slots_.size() * 2, 0);
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    std::size_t slot = text_hashes_[i] & (text_slots_.size() - 1);
    while (text_slots_[slot] != 0) slot = (slot + 1) & (text_slots_.size() - 1);
    text_slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

LabelSetId LabelTable::intern_set(std::span<const LabelPair> pairs) {
  const std::uint64_t hash = hash_pairs(pairs);
  std::size_t slot = hash & (set_slots_.size() - 1);
  while (set_slots_[slot] != 0) {
    const LabelSetId id = set_slots_[slot] - 1;
    if (sets_[id].hash == hash && std::ranges::equal(labels(id), pairs)) return id;
    slot = (slot + 1) & (set_slots_.size() - 1);
  }
  const auto id = static_cast<LabelSetId>(sets_.size());
  sets_.push_back({.first = static_cast<std::uint32_t>(pairs_.size()),
                   .count = static_cast<std::uint32_t>(pairs.size()),
                   .hash = hash});
  pairs_.insert(pairs_.end(), pairs.begin(), pairs.end());
  set_slots_[slot] = id + 1;
  if (sets_.size() * 2 > set_slots_.size()) grow_sets();
  return id;
}

void LabelTable::grow_sets() {
  set_slots_.assign(set_slots_.size() * 2, 0);
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    std::size_t slot = sets_[i].hash & (set_slots_.size() - 1);
    while (set_slots_[slot] != 0) slot = (slot + 1) & (set_slots_.size() - 1);
    set_slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

Symbol LabelTable::value(LabelSetId set, Symbol name) const {
  for (const LabelPair pair : labels(set)) {
    if (pair.name == name) return pair.value;
  }
  return kEmptySymbol;
}

LabelSetId LabelTable::with(LabelSetId set, Symbol name, Symbol value) {
  scratch_.clear();
  bool is_placed = value == kEmptySymbol;
  const std::string_view name_text = text(name);
  for (const LabelPair pair : labels(set)) {
    if (pair.name == name) continue;
    if (!is_placed && name_text < text(pair.name)) {
      scratch_.push_back({.name = name, .value = value});
      is_placed = true;
    }
    scratch_.push_back(pair);
  }
  if (!is_placed) scratch_.push_back({.name = name, .value = value});
  return intern_set(scratch_);
}

LabelSetId LabelTable::without_metadata(LabelSetId set) {
  if (without_metadata_.size() <= set) without_metadata_.resize(sets_.size(), kUnknown);
  if (without_metadata_[set] != kUnknown) return without_metadata_[set];
  scratch_.clear();
  for (const LabelPair pair : labels(set)) {
    if (!is_metadata(pair.name)) scratch_.push_back(pair);
  }
  const LabelSetId result = intern_set(scratch_);
  without_metadata_[set] = result;
  return result;
}

int LabelTable::compare(LabelSetId a, LabelSetId b) const {
  if (a == b) return 0;
  const std::span<const LabelPair> left = labels(a);
  const std::span<const LabelPair> right = labels(b);
  const std::size_t common = std::min(left.size(), right.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (left[i].name != right[i].name) return text(left[i].name).compare(text(right[i].name));
    if (left[i].value != right[i].value) return text(left[i].value).compare(text(right[i].value));
  }
  return left.size() < right.size() ? -1 : 1;
}

LabelPairs LabelTable::to_pairs(LabelSetId set) const {
  LabelPairs result;
  result.reserve(labels(set).size());
  for (const LabelPair pair : labels(set)) result.emplace_back(text(pair.name), text(pair.value));
  return result;
}

std::string LabelTable::format(LabelSetId set) const {
  telemetry::Labels result;
  for (const LabelPair pair : labels(set)) {
    result.push_back(
        {.name = std::string(text(pair.name)), .value = std::string(text(pair.value))});
  }
  return telemetry::format_labels(result);
}

bool Projection::ignores_metadata(const LabelTable& table) const {
  if (mode_ == Mode::Remove) return false;
  return std::ranges::none_of(names_, [&](Symbol name) { return table.is_metadata(name); });
}

LabelSetId Projection::apply(LabelTable& table, LabelSetId set) {
  if (memo_.size() <= set) memo_.resize(table.set_count(), kUnknown);
  if (memo_[set] != kUnknown) return memo_[set];
  scratch_.clear();
  for (const LabelPair pair : table.labels(set)) {
    if (keeps(pair.name)) scratch_.push_back(pair);
  }
  const LabelSetId result = table.intern_set(scratch_);
  memo_[set] = result;
  return result;
}

SourceLabels::SourceLabels(LabelTable& table, const SeriesSet& set)
    : table_(table), set_(set), slots_(kFirstSlotCount) {}

Symbol SourceLabels::local(std::uint32_t source_symbol) {
  const std::uint64_t hash = source_symbol * 0x9e3779b97f4a7c15ULL;
  std::size_t slot = (hash >> 32) & (slots_.size() - 1);
  while (slots_[slot].is_used) {
    if (slots_[slot].source == source_symbol) return slots_[slot].symbol;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  const Symbol symbol = table_.intern(set_.symbol(source_symbol));
  slots_[slot] = {.source = source_symbol, .symbol = symbol, .is_used = true};
  if (++used_ * 2 > slots_.size()) grow();
  return symbol;
}

void SourceLabels::grow() {
  std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  for (const Slot& entry : old) {
    if (!entry.is_used) continue;
    const std::uint64_t hash = entry.source * 0x9e3779b97f4a7c15ULL;
    std::size_t slot = (hash >> 32) & (slots_.size() - 1);
    while (slots_[slot].is_used) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = entry;
  }
}

LabelSetId SourceLabels::import(std::size_t series) {
  scratch_.clear();
  for (const LabelSymbols label : set_.labels(series)) {
    scratch_.push_back({.name = local(label.name), .value = local(label.value)});
  }
  return table_.intern_set(scratch_);
}

LabelSetId SourceLabels::project(std::size_t series, const Projection& projection) {
  const std::span<const LabelSymbols> labels = set_.labels(series);
  const bool has_same_names =
      kept_for_ == &projection &&
      std::ranges::equal(labels, last_names_, {}, [](const LabelSymbols& l) { return l.name; });
  if (!has_same_names) {
    kept_for_ = &projection;
    last_names_.clear();
    kept_positions_.clear();
    kept_names_.clear();
    for (std::size_t i = 0; i < labels.size(); ++i) {
      last_names_.push_back(labels[i].name);
      const Symbol name = local(labels[i].name);
      if (!projection.keeps(name)) continue;
      kept_positions_.push_back(static_cast<std::uint32_t>(i));
      kept_names_.push_back(name);
    }
  }
  scratch_.clear();
  for (std::size_t i = 0; i < kept_positions_.size(); ++i) {
    scratch_.push_back({.name = kept_names_[i], .value = local(labels[kept_positions_[i]].value)});
  }
  return table_.intern_set(scratch_);
}

bool SourceLabels::has_type_or_unit() {
  kept_for_ = nullptr;
  last_names_.clear();
  for (std::size_t series = 0; series < set_.size(); ++series) {
    const std::span<const LabelSymbols> labels = set_.labels(series);
    if (std::ranges::equal(labels, last_names_, {}, [](const LabelSymbols& l) { return l.name; })) {
      continue;
    }
    last_names_.clear();
    for (const LabelSymbols label : labels) {
      last_names_.push_back(label.name);
      const Symbol name = local(label.name);
      if (name != table_.metric_name() && table_.is_metadata(name)) return true;
    }
  }
  return false;
}

}  // namespace gantry::promql::eval
