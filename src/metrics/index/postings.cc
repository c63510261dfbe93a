#include "metrics/index/postings.h"

#include <boost/unordered/unordered_flat_map.hpp>

#include "metrics/index/posting_list.h"

namespace gantry::metrics {

struct Postings::Impl {
  struct Name {
    boost::unordered_flat_map<std::uint32_t, PostingList> values;
    std::uint64_t generation = 0;
    std::uint64_t series_count = 0;
  };

  [[nodiscard]] const Name* find(std::uint32_t name) const {
    const auto found = names.find(name);
    return found == names.end() ? nullptr : found->second.get();
  }

  boost::unordered_flat_map<std::uint32_t, std::unique_ptr<Name>> names;
  std::uint64_t next_generation = 1;
  std::size_t heap_bytes = 0;
};

Postings::Postings() : impl_(std::make_unique<Impl>()) {}

Postings::~Postings() = default;

void Postings::add(std::uint32_t series, std::span<const promql::LabelSymbols> labels) {
  for (const promql::LabelSymbols& label : labels) {
    std::unique_ptr<Impl::Name>& slot = impl_->names[label.name];
    if (!slot) slot = std::make_unique<Impl::Name>();
    const auto [entry, is_new] = slot->values.try_emplace(label.value);
    if (is_new) {
      slot->generation = impl_->next_generation++;
      ++pair_count_;
    }
    impl_->heap_bytes -= entry->second.heap_bytes();
    entry->second.append(series);
    impl_->heap_bytes += entry->second.heap_bytes();
    ++slot->series_count;
  }
}

std::span<const std::uint32_t> Postings::find(std::uint32_t name, std::uint32_t value) const {
  const Impl::Name* const entry = impl_->find(name);
  if (entry == nullptr) return {};
  const auto found = entry->values.find(value);
  return found == entry->values.end() ? std::span<const std::uint32_t>() : found->second.ids();
}

void Postings::for_each_value(
    std::uint32_t name,
    const std::function<void(std::uint32_t, std::span<const std::uint32_t>)>& visit) const {
  const Impl::Name* const entry = impl_->find(name);
  if (entry == nullptr) return;
  for (const auto& [value, list] : entry->values) visit(value, list.ids());
}

void Postings::for_each_name(const std::function<void(const LabelNameStatistics&)>& visit) const {
  for (const auto& [name, entry] : impl_->names) {
    visit({.name = name,
           .value_count = entry->values.size(),
           .pair_series_count = entry->series_count});
  }
}

std::size_t Postings::value_count(std::uint32_t name) const {
  const Impl::Name* const entry = impl_->find(name);
  return entry == nullptr ? 0 : entry->values.size();
}

std::uint64_t Postings::generation(std::uint32_t name) const {
  const Impl::Name* const entry = impl_->find(name);
  return entry == nullptr ? 0 : entry->generation;
}

void Postings::remove(const std::function<bool(std::uint32_t)>& is_dead) {
  boost::unordered::erase_if(impl_->names, [&](auto& name_entry) {
    Impl::Name& name = *name_entry.second;
    const std::size_t values_before = name.values.size();
    boost::unordered::erase_if(name.values, [&](auto& value_entry) {
      PostingList& list = value_entry.second;
      const std::size_t size_before = list.size();
      impl_->heap_bytes -= list.heap_bytes();
      list.filter([&](std::uint32_t series) { return !is_dead(series); });
      impl_->heap_bytes += list.heap_bytes();
      name.series_count -= size_before - list.size();
      if (list.size() > 0) return false;
      --pair_count_;
      return true;
    });
    if (name.values.size() != values_before) name.generation = impl_->next_generation++;
    return name.values.empty();
  });
}

std::size_t Postings::allocated_bytes() const {
  std::size_t bytes = impl_->heap_bytes;
  for (const auto& [name, entry] : impl_->names) {
    // A slot of the flat map: the pair, and 16 bytes of metadata for each group of 15.
    bytes += sizeof(Impl::Name) +
             entry->values.bucket_count() * (sizeof(std::pair<std::uint32_t, PostingList>) + 1);
  }
  return bytes;
}

}  // namespace gantry::metrics
