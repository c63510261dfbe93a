#pragma once

// Evaluates field expressions: which spans an expression holds for, and its value at one span.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/error.h"
#include "traceql/eval/field_domain_internal.h"
#include "traceql/eval/field_program_internal.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/eval/row_set.h"

namespace gantry::traceql {

/// One thread; `table` must outlive it. Errors: those of the group, ResourceExhausted
/// (FieldDomain::of_parts).
class FieldEvaluator {
 public:
  explicit FieldEvaluator(FieldTable& table) : table_(table) {}

  /// The spans in `within` for which the expression is true, with some one event and link.
  Result<RowSet> spans(const FieldNode& node, const RowSet& within);

  /// The expression's value for a span, with the first event and link that have what is asked for.
  /// Nil where there is none or it cannot be computed.
  Result<Static> value(const FieldNode& node, std::uint32_t span);

 private:
  using Nodes = std::vector<const FieldNode*>;

  /// Where values are looked up: a row of a domain.
  struct Place {
    std::uint32_t span = 0;
    std::uint32_t event = kNoRow;
    std::uint32_t link = kNoRow;
    bool is_first_part = false;  ///< Take the first event and link that have a value instead.
  };

  Result<RowSet> spans_of_all(const Nodes& conjuncts, const RowSet& within);
  Result<RowSet> spans_with_parts(const Nodes& conjuncts, const RowSet& within);

  // Rows of the domain, among `within`, for which the node is the bool `wanted`.
  Result<RowSet> rows(const FieldNode& node, const FieldDomain& domain, const RowSet& within,
                      bool wanted);
  Result<RowSet> rows_of_all(const Nodes& conjuncts, const FieldDomain& domain,
                             const RowSet& within);
  Result<RowSet> rows_of_any(const FieldNode& node, const FieldDomain& domain,
                             const RowSet& within);
  Result<RowSet> rows_one_by_one(const FieldNode& node, const FieldDomain& domain,
                                 const RowSet& within, bool wanted);

  /// Rows where the first field that has a value meets `match`, which gives rows of the field.
  template <class Match>
  Result<RowSet> rows_of_lookup(const Fields& fields, const FieldDomain& domain,
                                const RowSet& within, Match&& match);

  Result<void> load_references();
  [[nodiscard]] Static look_up(const Fields& fields, const Place& place) const;
  [[nodiscard]] Static look_up_part(const Field& field, const Place& place) const;
  /// Nothing: it cannot be computed.
  [[nodiscard]] std::optional<Static> compute(const FieldNode& node, const Place& place) const;

  FieldTable& table_;

  // By span; for lookups one by one.
  bool has_references_ = false;
  std::span<const std::uint32_t> resources_;
  std::span<const std::uint32_t> scopes_;
  std::span<const std::uint32_t> traces_;
  std::span<const std::uint32_t> event_begins_;
  std::span<const std::uint32_t> link_begins_;
};

}  // namespace gantry::traceql
