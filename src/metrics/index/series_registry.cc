#include "metrics/index/series_registry.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/hash.h"

namespace gantry::metrics {
namespace {

std::uint64_t hash_labels(std::span<const promql::LabelSymbols> labels) {
  return core::hash64({reinterpret_cast<const char*>(labels.data()), labels.size_bytes()});
}

}  // namespace

SeriesRegistry::SeriesRegistry()
    : label_arena_(std::make_unique<core::Arena>()), epoch_(std::make_shared<Epoch>()) {}

SeriesRegistry::~SeriesRegistry() = default;

std::uint32_t SeriesRegistry::find_set(std::uint64_t hash,
                                       std::span<const promql::LabelSymbols> labels) const {
  return label_sets_.find(hash, [&](std::uint32_t id) {
    return std::ranges::equal(records_[id].label_span(), labels);
  });
}

std::uint32_t SeriesRegistry::insert(std::uint64_t hash,
                                     std::span<const promql::LabelSymbols> labels) {
  auto* const copy =
      reinterpret_cast<promql::LabelSymbols*>(label_arena_->allocate(labels.size_bytes()));
  std::uninitialized_copy(labels.begin(), labels.end(), copy);
  for (const promql::LabelSymbols& label : labels) {
    symbols_.add_reference(label.name);
    symbols_.add_reference(label.value);
  }
  live_label_count_ += labels.size();
  const std::uint32_t id = records_.add();
  records_[id].labels = copy;
  records_[id].label_count = static_cast<std::uint16_t>(labels.size());
  records_.publish();
  label_sets_.insert(hash, id);
  postings_.add(id, labels);
  return id;
}

void SeriesRegistry::find(std::span<Lookup> lookups) const {
  const std::shared_lock lock(mutex_);
  std::vector<promql::LabelSymbols> labels;
  for (Lookup& lookup : lookups) {
    labels.clear();
    for (const telemetry::LabelView& label : lookup.labels) {
      labels.push_back({.name = symbols_.find(label.name), .value = symbols_.find(label.value)});
      if (labels.back().name == kNone || labels.back().value == kNone) break;
    }
    lookup.series =
        labels.size() == lookup.labels.size() ? find_set(hash_labels(labels), labels) : kNone;
  }
}

std::size_t SeriesRegistry::add(std::span<Lookup> lookups) {
  const std::unique_lock lock(mutex_);
  std::size_t added = 0;
  std::vector<promql::LabelSymbols> labels;
  for (Lookup& lookup : lookups) {
    labels.clear();
    for (const telemetry::LabelView& label : lookup.labels) {
      labels.push_back(
          {.name = symbols_.intern(label.name), .value = symbols_.intern(label.value)});
    }
    const std::uint64_t hash = hash_labels(labels);
    lookup.series = find_set(hash, labels);
    if (lookup.series != kNone) continue;
    lookup.series = insert(hash, labels);
    ++added;
  }
  return added;
}

void SeriesRegistry::intern(std::span<const std::string_view> texts,
                            std::span<std::uint32_t> symbols) {
  const std::unique_lock lock(mutex_);
  for (std::size_t i = 0; i < texts.size(); ++i) symbols[i] = symbols_.intern(texts[i]);
}

std::size_t SeriesRegistry::add(std::span<SymbolLookup> lookups) {
  const std::unique_lock lock(mutex_);
  std::size_t added = 0;
  for (SymbolLookup& lookup : lookups) {
    const std::uint64_t hash = hash_labels(lookup.labels);
    lookup.series = find_set(hash, lookup.labels);
    if (lookup.series != kNone) continue;
    lookup.series = insert(hash, lookup.labels);
    ++added;
  }
  return added;
}

std::string SeriesRegistry::format(std::uint32_t series) const {
  telemetry::Labels labels;
  for (const promql::LabelSymbols& label : records_[series].label_span()) {
    labels.push_back(
        {.name = std::string(text(label.name)), .value = std::string(text(label.value))});
  }
  return telemetry::format_series(labels);
}

bool SeriesRegistry::is_less(std::uint32_t a, std::uint32_t b) const {
  const std::span<const promql::LabelSymbols> left = records_[a].label_span();
  const std::span<const promql::LabelSymbols> right = records_[b].label_span();
  const std::size_t common = std::min(left.size(), right.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (left[i].name != right[i].name) return text(left[i].name) < text(right[i].name);
    if (left[i].value != right[i].value) return text(left[i].value) < text(right[i].value);
  }
  return left.size() < right.size();
}

void SeriesRegistry::labels_of(std::uint32_t series, std::vector<telemetry::LabelView>& out) const {
  out.clear();
  for (const promql::LabelSymbols& label : records_[series].label_span()) {
    out.push_back({.name = text(label.name), .value = text(label.value)});
  }
}

void SeriesRegistry::collect(std::span<const std::uint32_t> dead) {
  if (dead.empty()) return;
  const std::unique_lock lock(mutex_);
  for (const std::uint32_t series : dead) records_[series].set(kSeriesIsDead);
  postings_.remove([&](std::uint32_t series) { return records_[series].has(kSeriesIsDead); });
  for (const std::uint32_t series : dead) {
    SeriesRecord& record = records_[series];
    label_sets_.erase(hash_labels(record.label_span()), series);
    for (const promql::LabelSymbols& label : record.label_span()) {
      symbols_.drop_reference(label.name);
      symbols_.drop_reference(label.value);
    }
    live_label_count_ -= record.label_count;
    record.labels = nullptr;
    record.label_count = 0;
  }
  compact();
}

void SeriesRegistry::compact() {
  constexpr std::size_t kCompactBytesMin = 1 << 20;
  const std::size_t live_bytes = live_label_count_ * sizeof(promql::LabelSymbols);
  if (label_arena_->allocated_bytes() > kCompactBytesMin + 2 * live_bytes) {
    auto fresh = std::make_unique<core::Arena>();
    for (std::uint32_t series = 0; series < records_.size(); ++series) {
      SeriesRecord& record = records_[series];
      if (record.label_count == 0) continue;
      const std::span<const promql::LabelSymbols> labels = record.label_span();
      char* const copy = fresh->allocate(labels.size_bytes());
      std::memcpy(copy, labels.data(), labels.size_bytes());
      record.labels = reinterpret_cast<const promql::LabelSymbols*>(copy);
    }
    std::swap(label_arena_, fresh);
    Epoch::retire(epoch_, std::move(fresh));
  }
  if (symbols_.arena_bytes() > kCompactBytesMin + 2 * symbols_.live_text_bytes()) {
    Epoch::retire(epoch_, symbols_.compact());
  }
}

SeriesRegistry::Memory SeriesRegistry::memory() const {
  const std::shared_lock lock(mutex_);
  return {.records = records_.allocated_bytes(),
          .labels = label_arena_->allocated_bytes(),
          .symbols = symbols_.allocated_bytes(),
          .postings = postings_.allocated_bytes(),
          .label_sets = label_sets_.allocated_bytes()};
}

}  // namespace gantry::metrics
