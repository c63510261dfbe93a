#include "access/visible_series.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <fmt/core.h>

#include "core/log.h"

namespace gantry::access {
namespace {

using promql::LabelStrings;
using promql::LabelSymbols;
using promql::Matcher;
using promql::SeriesSet;

constexpr std::size_t kCancelInterval = 4096;

std::vector<Matcher> with(std::span<const Matcher> matchers, const std::vector<Matcher>& more) {
  std::vector<Matcher> all(matchers.begin(), matchers.end());
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

class NoSeries final : public SeriesSet {
 public:
  [[nodiscard]] std::size_t size() const override { return 0; }

  [[nodiscard]] std::span<const LabelSymbols> labels(std::size_t) const override { return {}; }

  [[nodiscard]] std::string_view symbol(std::uint32_t) const override { return {}; }

  Result<void> read(std::size_t, std::int64_t, std::int64_t,
                    promql::SampleColumns&) const override {
    return fail(Code::OutOfRange, "the set has no series");
  }
};

/// Some series of another set, in its order.
class SubSet final : public SeriesSet {
 public:
  SubSet(std::unique_ptr<SeriesSet> all, std::vector<std::size_t> kept, bool is_truncated)
      : all_(std::move(all)), kept_(std::move(kept)), is_truncated_(is_truncated) {}

  [[nodiscard]] std::size_t size() const override { return kept_.size(); }

  [[nodiscard]] std::span<const LabelSymbols> labels(std::size_t series) const override {
    return all_->labels(kept_[series]);
  }

  [[nodiscard]] std::string_view symbol(std::uint32_t id) const override {
    return all_->symbol(id);
  }

  Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                    promql::SampleColumns& out) const override {
    return all_->read(kept_[series], start_ms, end_ms, out);
  }

  [[nodiscard]] bool is_truncated() const override { return is_truncated_; }

  [[nodiscard]] std::vector<std::string> warnings() const override { return all_->warnings(); }

 private:
  std::unique_ptr<SeriesSet> all_;
  std::vector<std::size_t> kept_;
  bool is_truncated_;
};

/// LabelPolicySet::shows for the series of one set: a matcher is asked once per value, and label
/// names are compared once per symbol.
class SeriesFilter {
 public:
  SeriesFilter(const LabelPolicySet& policies, const SeriesSet& set) : set_(set) {
    for (const LabelPolicy& policy : policies.policies()) {
      std::vector<std::uint32_t>& conditions = policies_.emplace_back();
      for (const Matcher& matcher : policy.matchers()) conditions.push_back(condition_of(matcher));
    }
    values_.resize(names_.size());
  }

  bool shows(std::size_t series) {
    std::ranges::fill(values_, kAbsent);
    for (const LabelSymbols& label : set_.labels(series)) {
      const std::uint32_t slot = slot_of(label.name);
      if (slot != kNoSlot) values_[slot] = label.value;
    }
    return std::ranges::any_of(policies_, [&](const std::vector<std::uint32_t>& conditions) {
      return std::ranges::all_of(conditions,
                                 [&](std::uint32_t i) { return holds(conditions_[i]); });
    });
  }

 private:
  static constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint32_t kNoSlot = std::numeric_limits<std::uint32_t>::max();

  struct Condition {
    const Matcher* matcher = nullptr;
    std::uint32_t slot = 0;
    boost::unordered_flat_map<std::uint32_t, bool> known;  ///< By the value's symbol.
  };

  std::uint32_t condition_of(const Matcher& matcher) {
    const auto [same, is_new] = index_.try_emplace({matcher.name(), matcher.op(), matcher.value()},
                                                   static_cast<std::uint32_t>(conditions_.size()));
    if (!is_new) return same->second;
    auto name = std::ranges::find(names_, matcher.name());
    if (name == names_.end()) name = names_.insert(names_.end(), matcher.name());
    conditions_.push_back(
        {.matcher = &matcher, .slot = static_cast<std::uint32_t>(name - names_.begin())});
    return same->second;
  }

  std::uint32_t slot_of(std::uint32_t name) {
    const auto [entry, is_new] = slots_.try_emplace(name, kNoSlot);
    if (is_new) {
      const auto found = std::ranges::find(names_, set_.symbol(name));
      if (found != names_.end()) entry->second = static_cast<std::uint32_t>(found - names_.begin());
    }
    return entry->second;
  }

  bool holds(Condition& condition) const {
    const std::uint32_t value = values_[condition.slot];
    const auto [entry, is_new] = condition.known.try_emplace(value, false);
    if (is_new)
      entry->second =
          condition.matcher->matches(value == kAbsent ? std::string_view() : set_.symbol(value));
    return entry->second;
  }

  const SeriesSet& set_;
  std::vector<std::string_view> names_;
  std::vector<Condition> conditions_;
  std::map<std::tuple<std::string_view, promql::MatchOp, std::string_view>, std::uint32_t> index_;
  std::vector<std::vector<std::uint32_t>> policies_;
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> slots_;  ///< By the name's symbol.
  std::vector<std::uint32_t> values_;                              ///< Of one series, by slot.
};

/// The texts of symbols that occur in a set, as a label look-up answers.
LabelStrings sorted_texts(const SeriesSet& set,
                          const boost::unordered_flat_set<std::uint32_t>& symbols,
                          std::size_t limit) {
  LabelStrings out;
  for (const std::uint32_t symbol : symbols) out.values.emplace_back(set.symbol(symbol));
  std::ranges::sort(out.values);
  out.is_truncated = limit > 0 && out.values.size() > limit;
  if (out.is_truncated) out.values.resize(limit);
  out.warnings = set.warnings();
  return out;
}

}  // namespace

VisibleSeries::VisibleSeries(const promql::SeriesSource& source,
                             std::shared_ptr<const LabelPolicySet> policies, Options options)
    : source_(source), policies_(std::move(policies)), options_(options) {
  GANTRY_ASSERT(policies_ != nullptr, "a restriction needs its policies");
}

bool VisibleSeries::trusts_prefilter() const {
  return policies_->prefilter().is_exact && !options_.rechecks;
}

std::unexpected<Error> VisibleSeries::leak() const {
  log::error("lbac.policy_error", {{"error", "a hidden series was about to leave"}});
  if (options_.leaks != nullptr) options_.leaks->add();
  return fail(Code::Internal, "the answer was withheld: a check of access failed");
}

Result<void> VisibleSeries::recheck(const SeriesSet& set) const {
  std::vector<telemetry::LabelView> labels;
  for (std::size_t i = 0; i < set.size(); ++i) {
    labels.clear();
    for (const LabelSymbols& label : set.labels(i))
      labels.push_back({.name = set.symbol(label.name), .value = set.symbol(label.value)});
    if (!policies_->shows(labels)) return leak();
  }
  return {};
}

Result<std::unique_ptr<SeriesSet>> VisibleSeries::select(const promql::SelectRequest& request,
                                                         const CancelToken& cancel) const {
  if (policies_->is_empty()) return std::make_unique<NoSeries>();
  const std::vector<Matcher> matchers = with(request.matchers, policies_->prefilter().matchers);
  promql::SelectRequest narrowed = request;
  narrowed.matchers = matchers;
  const bool is_exact = policies_->prefilter().is_exact;
  if (!is_exact) {
    // The limit is for what is visible: the source below must not count the others.
    narrowed.series_limit = 0;
    narrowed.truncate = false;
  }
  GANTRY_TRY(std::unique_ptr<SeriesSet> all, source_.select(narrowed, cancel));
  if (!is_exact) {
    SeriesFilter filter(*policies_, *all);
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < all->size(); ++i) {
      if (i % kCancelInterval == 0) GANTRY_CHECK(cancel.check());
      if (filter.shows(i)) kept.push_back(i);
    }
    const bool is_over = request.series_limit > 0 && kept.size() > request.series_limit;
    if (is_over && !request.truncate)
      return fail(Code::ResourceExhausted,
                  fmt::format("the selector matches {} series, the limit is {}", kept.size(),
                              request.series_limit));
    if (is_over) kept.resize(request.series_limit);
    all = std::make_unique<SubSet>(std::move(all), std::move(kept), is_over);
  }
  if (options_.rechecks) GANTRY_CHECK(recheck(*all));
  return all;
}

Result<LabelStrings> VisibleSeries::label_names(std::span<const Matcher> matchers,
                                                std::int64_t start_ms, std::int64_t end_ms,
                                                std::size_t limit,
                                                const CancelToken& cancel) const {
  if (policies_->is_empty()) return LabelStrings{};
  if (trusts_prefilter())
    return source_.label_names(with(matchers, policies_->prefilter().matchers), start_ms, end_ms,
                               limit, cancel);
  const promql::SelectRequest request{.matchers = matchers,
                                      .start_ms = start_ms,
                                      .end_ms = end_ms,
                                      .hints = {.function = "series"}};
  GANTRY_TRY(const std::unique_ptr<SeriesSet> set, select(request, cancel));
  boost::unordered_flat_set<std::uint32_t> names;
  for (std::size_t i = 0; i < set->size(); ++i)
    for (const LabelSymbols& label : set->labels(i)) names.insert(label.name);
  return sorted_texts(*set, names, limit);
}

Result<LabelStrings> VisibleSeries::label_values(std::string_view name,
                                                 std::span<const Matcher> matchers,
                                                 std::int64_t start_ms, std::int64_t end_ms,
                                                 std::size_t limit,
                                                 const CancelToken& cancel) const {
  if (policies_->is_empty()) return LabelStrings{};
  if (trusts_prefilter())
    return source_.label_values(name, with(matchers, policies_->prefilter().matchers), start_ms,
                                end_ms, limit, cancel);
  GANTRY_TRY(const Matcher has_label,
             Matcher::make(promql::MatchOp::NotEqual, std::string(name), ""));
  const std::vector<Matcher> all = with(matchers, {has_label});
  const promql::SelectRequest request{
      .matchers = all, .start_ms = start_ms, .end_ms = end_ms, .hints = {.function = "series"}};
  GANTRY_TRY(const std::unique_ptr<SeriesSet> set, select(request, cancel));
  boost::unordered_flat_set<std::uint32_t> values;
  std::optional<std::uint32_t> name_symbol;
  for (std::size_t i = 0; i < set->size(); ++i) {
    for (const LabelSymbols& label : set->labels(i)) {
      if (name_symbol ? label.name != *name_symbol : set->symbol(label.name) != name) continue;
      name_symbol = label.name;
      values.insert(label.value);
    }
  }
  return sorted_texts(*set, values, limit);
}

Result<std::vector<promql::ExemplarSeries>> VisibleSeries::exemplars(
    std::span<const std::vector<Matcher>> selectors, std::int64_t start_ms, std::int64_t end_ms,
    const CancelToken& cancel) const {
  if (policies_->is_empty()) return std::vector<promql::ExemplarSeries>();
  std::vector<std::vector<Matcher>> narrowed;
  narrowed.reserve(selectors.size());
  for (const std::vector<Matcher>& matchers : selectors)
    narrowed.push_back(with(matchers, policies_->prefilter().matchers));
  GANTRY_TRY(std::vector<promql::ExemplarSeries> found,
             source_.exemplars(narrowed, start_ms, end_ms, cancel));
  if (trusts_prefilter()) return found;
  std::vector<telemetry::LabelView> labels;
  const auto is_hidden = [&](const promql::ExemplarSeries& series) {
    labels.clear();
    for (const auto& [name, value] : series.labels)
      labels.push_back({.name = name, .value = value});
    return !policies_->shows(labels);
  };
  const std::size_t hidden_count = std::erase_if(found, is_hidden);
  if (policies_->prefilter().is_exact && hidden_count > 0) return leak();
  return found;
}

}  // namespace gantry::access
