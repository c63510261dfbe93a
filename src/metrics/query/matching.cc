#include "metrics/query/matching.h"

#include <algorithm>
#include <list>
#include <string>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include "core/mutex.h"

namespace gantry::metrics {
namespace {

using promql::Matcher;
using promql::MatchOp;

constexpr std::size_t kRegexCacheEntries = 256;
constexpr std::size_t kCancelInterval = 65536;

/// A matcher seen against the symbols there are.
struct Condition {
  std::uint32_t name = SymbolTable::kNone;
  /// Values that match, or with `is_exclusion` those that do not; ascending.
  std::shared_ptr<const std::vector<std::uint32_t>> values;
  bool is_exclusion = false;
  bool accepts_absent = false;
  std::size_t posting_size = 0;  ///< Of all values, when it can be answered from postings.

  [[nodiscard]] bool is_positive() const { return !is_exclusion && !accepts_absent; }

  [[nodiscard]] bool accepts(std::uint32_t value) const {
    const bool is_listed =
        values->size() == 1 ? values->front() == value : std::ranges::binary_search(*values, value);
    return is_listed != is_exclusion;
  }
};

std::shared_ptr<const std::vector<std::uint32_t>> one_value(std::uint32_t value) {
  auto values = std::make_shared<std::vector<std::uint32_t>>();
  if (value != SymbolTable::kNone) values->push_back(value);
  return values;
}

Condition bind(const SeriesRegistry::Reader& registry, RegexCache& cache, const Matcher& matcher) {
  Condition condition;
  condition.name = registry.symbols().find(matcher.name());
  condition.accepts_absent = matcher.matches_empty();
  if (condition.name == SymbolTable::kNone) {
    condition.values = one_value(SymbolTable::kNone);
    return condition;
  }
  const bool is_negative = matcher.op() == MatchOp::NotEqual || matcher.op() == MatchOp::NotRegex;
  condition.is_exclusion = is_negative;
  if (matcher.op() == MatchOp::Equal || matcher.op() == MatchOp::NotEqual) {
    // An empty value is an absent label: no symbol of a series is empty.
    condition.values = one_value(
        matcher.value().empty() ? SymbolTable::kNone : registry.symbols().find(matcher.value()));
  } else {
    condition.values = cache.find(registry, condition.name, matcher);
  }
  if (condition.is_positive()) {
    for (const std::uint32_t value : *condition.values) {
      condition.posting_size += registry.postings().find(condition.name, value).size();
    }
  }
  return condition;
}

bool passes(const Condition& condition, std::span<const promql::LabelSymbols> labels) {
  for (const promql::LabelSymbols& label : labels) {
    if (label.name == condition.name) return condition.accepts(label.value);
  }
  return condition.accepts_absent;
}

/// Series with one of the condition's values. The lists are disjoint: a series has one value.
std::vector<std::uint32_t> collect(const SeriesRegistry::Reader& registry,
                                   const Condition& condition) {
  std::vector<std::uint32_t> series;
  series.reserve(condition.posting_size);
  for (const std::uint32_t value : *condition.values) {
    const std::span<const std::uint32_t> ids = registry.postings().find(condition.name, value);
    series.insert(series.end(), ids.begin(), ids.end());
  }
  if (condition.values->size() <= 1 || std::ranges::is_sorted(series)) return series;
  const std::uint32_t id_count = registry.registry().id_count();
  if (series.size() < id_count / 64) {
    std::ranges::sort(series);
    return series;
  }
  // Many ids: marking them and walking the marks is cheaper than sorting.
  std::vector<std::uint64_t> marks(id_count / 64 + 1);
  for (const std::uint32_t id : series) marks[id >> 6] |= std::uint64_t{1} << (id & 63);
  series.clear();
  for (std::size_t word = 0; word < marks.size(); ++word) {
    for (std::uint64_t bits = marks[word]; bits != 0; bits &= bits - 1) {
      series.push_back(static_cast<std::uint32_t>(word * 64) +
                       static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }
  return series;
}

void intersect(std::vector<std::uint32_t>& series, std::span<const std::uint32_t> ids) {
  std::size_t kept = 0;
  auto at = ids.begin();
  for (const std::uint32_t id : series) {
    // Gallop: the other list may be much longer.
    std::ptrdiff_t step = 1;
    while (ids.end() - at > step && at[step] < id) step *= 2;
    at = std::lower_bound(at + step / 2, ids.end() - at > step ? at + step + 1 : ids.end(), id);
    if (at == ids.end()) break;
    if (*at == id) series[kept++] = id;
  }
  series.resize(kept);
}

std::vector<std::uint32_t> all_series(const SeriesRegistry& registry) {
  std::vector<std::uint32_t> series;
  const std::uint32_t count = registry.id_count();
  series.reserve(count);
  for (std::uint32_t id = 0; id < count; ++id) {
    if (registry.record(id).label_count > 0) series.push_back(id);
  }
  return series;
}

}  // namespace

struct RegexCache::Impl {
  struct Key {
    std::uint32_t name = 0;
    std::string expression;

    friend bool operator==(const Key&, const Key&) = default;

    friend std::size_t hash_value(const Key& key) {
      return std::hash<std::string>()(key.expression) ^ (std::size_t{key.name} << 20);
    }
  };

  struct Entry {
    Key key;
    std::uint64_t generation = 0;
    std::shared_ptr<const std::vector<std::uint32_t>> values;
  };

  core::Mutex mutex;
  std::list<Entry> recent GANTRY_GUARDED_BY(mutex);  ///< Most recently used first.
  boost::unordered_flat_map<Key, std::list<Entry>::iterator> index GANTRY_GUARDED_BY(mutex);
};

RegexCache::RegexCache() : impl_(std::make_unique<Impl>()) {}

RegexCache::~RegexCache() = default;

namespace {

std::vector<std::uint32_t> evaluate(const SeriesRegistry::Reader& registry, std::uint32_t name,
                                    const Matcher& matcher) {
  std::vector<std::uint32_t> values;
  if (const std::vector<std::string>* alternatives = matcher.literal_alternatives()) {
    for (const std::string& text : *alternatives) {
      const std::uint32_t value = registry.symbols().find(text);
      if (value != SymbolTable::kNone && !registry.postings().find(name, value).empty()) {
        values.push_back(value);
      }
    }
    std::ranges::sort(values);
    return values;
  }
  const std::string_view prefix = matcher.literal_prefix();
  const bool is_negative = matcher.op() == MatchOp::NotRegex;
  registry.postings().for_each_value(name,
                                     [&](std::uint32_t value, std::span<const std::uint32_t>) {
                                       const std::string_view text = registry.symbols().text(value);
                                       if (!text.starts_with(prefix)) return;
                                       if (matcher.matches(text) != is_negative)
                                         values.push_back(value);
                                     });
  std::ranges::sort(values);
  return values;
}

}  // namespace

std::shared_ptr<const std::vector<std::uint32_t>> RegexCache::find(
    const SeriesRegistry::Reader& registry, std::uint32_t name, const Matcher& matcher) {
  const std::uint64_t generation = registry.postings().generation(name);
  Impl::Key key{.name = name, .expression = matcher.value()};
  {
    const core::Lock lock(impl_->mutex);
    const auto found = impl_->index.find(key);
    if (found != impl_->index.end() && found->second->generation == generation) {
      impl_->recent.splice(impl_->recent.begin(), impl_->recent, found->second);
      return found->second->values;
    }
  }
  auto values =
      std::make_shared<const std::vector<std::uint32_t>>(evaluate(registry, name, matcher));
  const core::Lock lock(impl_->mutex);
  if (const auto found = impl_->index.find(key); found != impl_->index.end()) {
    impl_->recent.erase(found->second);
    impl_->index.erase(found);
  }
  impl_->recent.push_front({.key = key, .generation = generation, .values = values});
  impl_->index.emplace(std::move(key), impl_->recent.begin());
  if (impl_->recent.size() > kRegexCacheEntries) {
    impl_->index.erase(impl_->recent.back().key);
    impl_->recent.pop_back();
  }
  return values;
}

Result<std::vector<std::uint32_t>> match_series(const SeriesRegistry::Reader& registry,
                                                RegexCache& cache,
                                                std::span<const Matcher> matchers,
                                                const CancelToken& cancel) {
  std::vector<Condition> positive;
  std::vector<Condition> tested;
  for (const Matcher& matcher : matchers) {
    GANTRY_CHECK(cancel.check());
    Condition condition = bind(registry, cache, matcher);
    if (condition.is_positive()) {
      if (condition.posting_size == 0) return std::vector<std::uint32_t>();
      positive.push_back(std::move(condition));
    } else if (condition.name != SymbolTable::kNone || !condition.accepts_absent) {
      tested.push_back(std::move(condition));
    }
  }
  std::ranges::sort(positive, {}, &Condition::posting_size);

  std::vector<std::uint32_t> series =
      positive.empty() ? all_series(registry.registry()) : collect(registry, positive.front());
  for (std::size_t i = 1; i < positive.size(); ++i) {
    // A look at a series' labels costs about as much as passing 16 ids of a list.
    if (positive[i].values->size() == 1 && positive[i].posting_size / 16 < series.size()) {
      intersect(series, registry.postings().find(positive[i].name, positive[i].values->front()));
    } else {
      tested.push_back(std::move(positive[i]));
    }
  }
  if (tested.empty()) return series;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (i % kCancelInterval == 0) GANTRY_CHECK(cancel.check());
    const std::span<const promql::LabelSymbols> labels =
        registry.registry().record(series[i]).label_span();
    const bool matches = std::ranges::all_of(
        tested, [&](const Condition& condition) { return passes(condition, labels); });
    if (matches) series[kept++] = series[i];
  }
  series.resize(kept);
  return series;
}

}  // namespace gantry::metrics
