#pragma once

// The labels of one query: every text is interned once to a symbol, every label set once to an id.
// Matching, grouping and name dropping are then comparisons and table look-ups of integers.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/arena.h"
#include "promql/engine.h"
#include "promql/series_source.h"

namespace gantry::promql::eval {

/// A text of this query; equal texts have equal symbols. 0 is "".
using Symbol = std::uint32_t;

/// A label set of this query; equal sets have equal ids. 0 is {}.
using LabelSetId = std::uint32_t;

inline constexpr Symbol kEmptySymbol = 0;
inline constexpr LabelSetId kEmptyLabels = 0;

struct LabelPair {
  Symbol name = kEmptySymbol;
  Symbol value = kEmptySymbol;

  friend bool operator==(const LabelPair&, const LabelPair&) = default;
};

/// Not thread-safe: labels are worked out on the query's own thread, samples on the workers.
class LabelTable {
 public:
  LabelTable();

  [[nodiscard]] Symbol intern(std::string_view text);

  [[nodiscard]] std::string_view text(Symbol symbol) const { return texts_[symbol]; }

  /// `pairs` must be sorted by the text of their names, with unique names and no empty values.
  [[nodiscard]] LabelSetId intern_set(std::span<const LabelPair> pairs);

  /// Valid until the next set is interned.
  [[nodiscard]] std::span<const LabelPair> labels(LabelSetId set) const {
    return std::span(pairs_).subspan(sets_[set].first, sets_[set].count);
  }

  /// kEmptySymbol when the set has no such label.
  [[nodiscard]] Symbol value(LabelSetId set, Symbol name) const;

  /// `set` with `name` set to `value`, or without it when the value is empty.
  [[nodiscard]] LabelSetId with(LabelSetId set, Symbol name, Symbol value);

  /// Without __name__, __type__ and __unit__: what dropping the metric name means.
  [[nodiscard]] LabelSetId without_metadata(LabelSetId set);

  [[nodiscard]] bool is_metadata(Symbol name) const {
    return name == metric_name_ || name == type_ || name == unit_;
  }

  [[nodiscard]] Symbol metric_name() const { return metric_name_; }

  /// The metric name, "" when there is none.
  [[nodiscard]] std::string_view name_of(LabelSetId set) const {
    return text(value(set, metric_name_));
  }

  /// The value of `__type__`, "" when there is none.
  [[nodiscard]] std::string_view type_of(LabelSetId set) const { return text(value(set, type_)); }

  /// Prometheus order: pairwise by name, then value, bytewise; a prefix is smaller.
  [[nodiscard]] int compare(LabelSetId a, LabelSetId b) const;

  [[nodiscard]] LabelPairs to_pairs(LabelSetId set) const;

  /// {__name__="up", job="x"}
  [[nodiscard]] std::string format(LabelSetId set) const;

  [[nodiscard]] std::size_t set_count() const { return sets_.size(); }

 private:
  struct Set {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint64_t hash = 0;
  };

  void grow_texts();
  void grow_sets();

  core::Arena arena_;
  std::vector<std::string_view> texts_;
  std::vector<std::uint64_t> text_hashes_;
  std::vector<std::uint32_t> text_slots_;  ///< Open addressing; symbol + 1, 0: free.
  std::vector<LabelPair> pairs_;
  std::vector<Set> sets_;
  std::vector<std::uint32_t> set_slots_;
  std::vector<LabelSetId> without_metadata_;  ///< Memo by set; kUnknown: not yet.
  std::vector<LabelPair> scratch_;
  Symbol metric_name_ = 0;
  Symbol type_ = 0;
  Symbol unit_ = 0;
};

/// Keeps or removes named labels: grouping and matching keys. Results are remembered by set.
class Projection {
 public:
  enum class Mode : std::uint8_t { Keep, Remove };

  Projection(Mode mode, std::vector<Symbol> names) : mode_(mode), names_(std::move(names)) {}

  [[nodiscard]] bool keeps(Symbol name) const {
    for (const Symbol listed : names_) {
      if (listed == name) return mode_ == Mode::Keep;
    }
    return mode_ == Mode::Remove;
  }

  /// Whether __name__, __type__ and __unit__ are left out by this projection anyway.
  [[nodiscard]] bool ignores_metadata(const LabelTable& table) const;

  [[nodiscard]] LabelSetId apply(LabelTable& table, LabelSetId set);

 private:
  Mode mode_;
  std::vector<Symbol> names_;
  std::vector<LabelSetId> memo_;
  std::vector<LabelPair> scratch_;
};

/// The labels of a source's series, brought into a query's table on demand.
class SourceLabels {
 public:
  /// Both must outlive this object.
  SourceLabels(LabelTable& table, const SeriesSet& set);

  [[nodiscard]] LabelSetId import(std::size_t series);

  /// projection.apply(import(series)) without interning the labels that fall away.
  [[nodiscard]] LabelSetId project(std::size_t series, const Projection& projection);

  /// Whether any series has __type__ or __unit__: then dropping a name may make two series equal.
  [[nodiscard]] bool has_type_or_unit();

 private:
  [[nodiscard]] Symbol local(std::uint32_t source_symbol);
  void grow();

  struct Slot {
    std::uint32_t source = 0;
    Symbol symbol = 0;
    bool is_used = false;
  };

  LabelTable& table_;
  const SeriesSet& set_;
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  std::vector<LabelPair> scratch_;
  // Neighbouring series mostly have the same label names: what the last one's were, and which of
  // them the projection of `kept_for_` keeps.
  std::vector<std::uint32_t> last_names_;
  std::vector<std::uint32_t> kept_positions_;
  std::vector<Symbol> kept_names_;
  const Projection* kept_for_ = nullptr;
};

}  // namespace gantry::promql::eval
