#pragma once

// What a field expression is evaluated on. Without events and links that is a span. An expression
// on events holds for a span if it holds with some one event, so it is evaluated on pairs of a span
// and an event; a span without events stands there once, with none. Likewise for links.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/error.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/eval/row_set.h"

namespace gantry::traceql {

/// A list of (span, event, link). Spans ascending.
class FieldDomain {
 public:
  /// Every span once.
  static FieldDomain of_spans(std::uint32_t spans);

  /// The spans in `within` with each of their events, with each of their links, or with each pair
  /// of these. Errors: ResourceExhausted (more than kRowsMax), those of the group.
  static Result<FieldDomain> of_parts(FieldTable& table, const RowSet& within, bool has_events,
                                      bool has_links);

  static constexpr std::uint32_t kRowsMax = 1U << 24;

  [[nodiscard]] std::uint32_t size() const { return size_; }

  [[nodiscard]] bool is_spans() const { return spans_.empty() && !has_events_ && !has_links_; }

  [[nodiscard]] std::uint32_t span(std::uint32_t row) const {
    return is_spans() ? row : spans_[row];
  }

  [[nodiscard]] std::uint32_t event(std::uint32_t row) const {
    return has_events_ ? events_[row] : kNoRow;
  }

  [[nodiscard]] std::uint32_t link(std::uint32_t row) const {
    return has_links_ ? links_[row] : kNoRow;
  }

  [[nodiscard]] bool has_events() const { return has_events_; }

  [[nodiscard]] bool has_links() const { return has_links_; }

  /// Rows of the domain whose row of `level` is in `of_level`.
  Result<RowSet> spread(FieldTable& table, Level level, const RowSet& of_level) const;

  /// The spans of the rows.
  [[nodiscard]] RowSet fold(const RowSet& rows, std::uint32_t spans) const;

 private:
  void add(std::uint32_t span, std::uint32_t event, std::uint32_t link);

  std::uint32_t size_ = 0;
  bool has_events_ = false;
  bool has_links_ = false;
  std::vector<std::uint32_t> spans_;
  std::vector<std::uint32_t> events_;
  std::vector<std::uint32_t> links_;
};

}  // namespace gantry::traceql
