#include "traceql/subset_group.h"

#include <array>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gantry::traceql {
namespace {

constexpr std::uint32_t kGone = std::numeric_limits<std::uint32_t>::max();

/// Which rows of one table stay, and what they are called then.
struct Renumbering {
  std::vector<std::uint32_t> kept;     ///< Old rows, ascending.
  std::vector<std::uint32_t> numbers;  ///< By old row: the new one, or kGone.

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(kept.size()); }
};

/// Of the rows 0 … count - 1 those for which `stays`.
template <class Predicate>
Renumbering renumber(std::uint32_t count, Predicate&& stays) {
  Renumbering out;
  out.numbers.assign(count, kGone);
  for (std::uint32_t row = 0; row < count; ++row) {
    if (!stays(row)) continue;
    out.numbers[row] = out.size();
    out.kept.push_back(row);
  }
  return out;
}

/// Those that one of the kept spans refers to.
Renumbering renumber_referenced(std::uint32_t count, std::span<const std::uint32_t> references,
                                const Renumbering& spans) {
  RowSet referenced(count);
  for (const std::uint32_t span : spans.kept) referenced.add(references[span]);
  return renumber(count, [&](std::uint32_t row) { return referenced.contains(row); });
}

/// A dictionary without the texts that nothing refers to any more; `ids` are changed to match.
std::vector<std::string_view> compact_dictionary(std::span<const std::string_view> dictionary,
                                                 std::vector<std::uint32_t>& ids) {
  std::vector<std::uint32_t> numbers(dictionary.size(), kGone);
  std::vector<std::string_view> texts;
  for (std::uint32_t& id : ids) {
    std::uint32_t& number = numbers[id];
    if (number == kGone) {
      number = static_cast<std::uint32_t>(texts.size());
      texts.push_back(dictionary[id]);
    }
    id = number;
  }
  return texts;
}

template <class T>
std::vector<T> gather(std::span<const T> values, std::span<const std::uint32_t> rows) {
  std::vector<T> out;
  out.reserve(rows.size());
  for (const std::uint32_t row : rows) out.push_back(values[row]);
  return out;
}

template <class T>
using Kept = std::optional<std::vector<T>>;

struct KeptText {
  std::vector<std::uint32_t> ids;
  std::vector<std::string_view> dictionary;
};

struct KeptColumn {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> ids;
  std::vector<std::int64_t> ints;
  std::vector<double> doubles;
  std::vector<std::uint8_t> bools;
  std::vector<std::string_view> dictionary;
};

class SubsetGroup final : public SpanGroup {
 public:
  explicit SubsetGroup(std::unique_ptr<SpanGroup> group) : group_(std::move(group)) {}

  Result<void> choose(const RowSet& rows) {
    const GroupCounts& all = group_->counts();
    spans_ = renumber(all.spans, [&](std::uint32_t row) { return rows.contains(row); });
    GANTRY_TRY(const auto traces, group_->traces());
    traces_ = renumber_referenced(all.traces, traces, spans_);
    GANTRY_TRY(const auto resources, group_->resources());
    resources_ = renumber_referenced(all.resources, resources, spans_);
    GANTRY_TRY(const auto scopes, group_->scopes());
    scopes_ = renumber_referenced(all.scopes, scopes, spans_);
    GANTRY_TRY(const auto events, group_->event_spans());
    events_ = renumber(all.events,
                       [&](std::uint32_t row) { return spans_.numbers[events[row]] != kGone; });
    GANTRY_TRY(const auto links, group_->link_spans());
    links_ =
        renumber(all.links, [&](std::uint32_t row) { return spans_.numbers[links[row]] != kGone; });
    counts_ = {.spans = spans_.size(),
               .traces = traces_.size(),
               .resources = resources_.size(),
               .scopes = scopes_.size(),
               .events = events_.size(),
               .links = links_.size()};
    return {};
  }

  [[nodiscard]] const GroupCounts& counts() const override { return counts_; }

  Result<std::span<const std::uint32_t>> traces() override {
    return references(trace_column_, group_->traces(), spans_, traces_);
  }

  Result<std::span<const telemetry::SpanId>> span_ids() override {
    return values(span_ids_, group_->span_ids(), spans_);
  }

  Result<std::span<const telemetry::SpanId>> parent_ids() override {
    return values(parent_ids_, group_->parent_ids(), spans_);
  }

  Result<std::span<const std::int64_t>> starts_ns() override {
    return values(starts_, group_->starts_ns(), spans_);
  }

  Result<std::span<const std::int64_t>> durations_ns() override {
    return values(durations_, group_->durations_ns(), spans_);
  }

  Result<std::span<const std::uint8_t>> kinds() override {
    return values(kinds_, group_->kinds(), spans_);
  }

  Result<std::span<const std::uint8_t>> statuses() override {
    return values(statuses_, group_->statuses(), spans_);
  }

  Result<TextColumn> names() override { return texts(names_, group_->names(), spans_); }

  Result<TextColumn> status_messages() override {
    return texts(status_messages_, group_->status_messages(), spans_);
  }

  Result<TextColumn> trace_states() override {
    return texts(trace_states_, group_->trace_states(), spans_);
  }

  Result<std::span<const std::uint32_t>> resources() override {
    return references(resource_column_, group_->resources(), spans_, resources_);
  }

  Result<std::span<const std::uint32_t>> scopes() override {
    return references(scope_column_, group_->scopes(), spans_, scopes_);
  }

  Result<std::span<const telemetry::TraceId>> trace_ids() override {
    return values(trace_ids_, group_->trace_ids(), traces_);
  }

  Result<TextColumn> scope_names() override {
    return texts(scope_names_, group_->scope_names(), scopes_);
  }

  Result<TextColumn> scope_versions() override {
    return texts(scope_versions_, group_->scope_versions(), scopes_);
  }

  Result<std::span<const std::uint32_t>> event_spans() override {
    return references(event_spans_, group_->event_spans(), events_, spans_);
  }

  Result<std::span<const std::int64_t>> event_times_ns() override {
    return values(event_times_, group_->event_times_ns(), events_);
  }

  Result<TextColumn> event_names() override {
    return texts(event_names_, group_->event_names(), events_);
  }

  Result<std::span<const std::uint32_t>> link_spans() override {
    return references(link_spans_, group_->link_spans(), links_, spans_);
  }

  Result<std::span<const telemetry::TraceId>> link_trace_ids() override {
    return values(link_trace_ids_, group_->link_trace_ids(), links_);
  }

  Result<std::span<const telemetry::SpanId>> link_span_ids() override {
    return values(link_span_ids_, group_->link_span_ids(), links_);
  }

  /// A name is as telling as a value: only those that a row still has.
  Result<std::span<const std::string_view>> keys(Table table) override {
    Kept<std::string_view>& keys = keys_[static_cast<std::size_t>(table)];
    if (!keys) {
      GANTRY_TRY(const auto all, group_->keys(table));
      std::vector<std::string_view> present;
      for (const std::string_view key : all) {
        GANTRY_TRY(const auto found, columns({.table = table, .key = key}));
        if (!found.empty()) present.push_back(key);
      }
      keys = std::move(present);
    }
    return std::span<const std::string_view>(*keys);
  }

  Result<std::span<const Column>> columns(const ColumnKey& key) override {
    auto& table = columns_[static_cast<std::size_t>(key.table)];
    auto found = table.find(key.key);
    if (found == table.end()) {
      GANTRY_TRY(const auto all, group_->columns(key));
      std::vector<Column> kept;
      for (const Column& column : all) {
        if (const auto rest = subset(column, renumbering(key.table))) kept.push_back(*rest);
      }
      found = table.emplace(std::string(key.key), std::move(kept)).first;
    }
    return std::span<const Column>(found->second);
  }

  [[nodiscard]] std::uint64_t bytes_read() const override { return group_->bytes_read(); }

 private:
  [[nodiscard]] const Renumbering& renumbering(Table table) const {
    switch (table) {
      case Table::Span:
        return spans_;
      case Table::Resource:
        return resources_;
      case Table::Event:
        return events_;
      case Table::Link:
        return links_;
      case Table::Instrumentation:
        return scopes_;
    }
    return spans_;
  }

  template <class T>
  static Result<std::span<const T>> values(Kept<T>& kept, Result<std::span<const T>> all,
                                           const Renumbering& rows) {
    if (!all) return std::unexpected(all.error());
    if (!kept) kept = gather(*all, rows.kept);
    return std::span<const T>(*kept);
  }

  /// A column that names rows of `target`.
  static Result<std::span<const std::uint32_t>> references(
      Kept<std::uint32_t>& kept, Result<std::span<const std::uint32_t>> all,
      const Renumbering& rows, const Renumbering& target) {
    if (!all) return std::unexpected(all.error());
    if (!kept) {
      kept = gather(*all, rows.kept);
      for (std::uint32_t& row : *kept) row = target.numbers[row];
    }
    return std::span<const std::uint32_t>(*kept);
  }

  static Result<TextColumn> texts(std::optional<KeptText>& kept, Result<TextColumn> all,
                                  const Renumbering& rows) {
    if (!all) return std::unexpected(all.error());
    if (!kept) {
      kept.emplace();
      kept->ids = gather(all->ids, rows.kept);
      kept->dictionary = compact_dictionary(all->dictionary, kept->ids);
    }
    return TextColumn{.ids = kept->ids, .dictionary = kept->dictionary};
  }

  /// Nothing when no kept row has a value.
  std::optional<Column> subset(const Column& column, const Renumbering& rows) {
    KeptColumn kept;
    const auto keep = [&](std::size_t position, std::uint32_t row) {
      kept.rows.push_back(row);
      switch (column.type) {
        case ColumnType::String:
        case ColumnType::Encoded:
          kept.ids.push_back(column.ids[position]);
          break;
        case ColumnType::Int:
          kept.ints.push_back(column.ints[position]);
          break;
        case ColumnType::Double:
          kept.doubles.push_back(column.doubles[position]);
          break;
        case ColumnType::Bool:
          kept.bools.push_back(column.bools[position]);
          break;
      }
    };
    if (column.is_dense) {
      for (std::uint32_t row = 0; row < rows.size(); ++row) keep(rows.kept[row], row);
    } else {
      for (std::size_t i = 0; i < column.rows.size(); ++i) {
        const std::uint32_t row = rows.numbers[column.rows[i]];
        if (row != kGone) keep(i, row);
      }
    }
    if (kept.rows.empty()) return std::nullopt;
    kept.dictionary = compact_dictionary(column.dictionary, kept.ids);
    const KeptColumn& stored = stored_.emplace_back(std::move(kept));
    return Column{.type = column.type,
                  .rows = stored.rows,
                  .ids = stored.ids,
                  .ints = stored.ints,
                  .doubles = stored.doubles,
                  .bools = stored.bools,
                  .dictionary = stored.dictionary};
  }

  std::unique_ptr<SpanGroup> group_;
  GroupCounts counts_;
  Renumbering spans_;
  Renumbering traces_;
  Renumbering resources_;
  Renumbering scopes_;
  Renumbering events_;
  Renumbering links_;

  Kept<std::uint32_t> trace_column_;
  Kept<telemetry::SpanId> span_ids_;
  Kept<telemetry::SpanId> parent_ids_;
  Kept<std::int64_t> starts_;
  Kept<std::int64_t> durations_;
  Kept<std::uint8_t> kinds_;
  Kept<std::uint8_t> statuses_;
  std::optional<KeptText> names_;
  std::optional<KeptText> status_messages_;
  std::optional<KeptText> trace_states_;
  Kept<std::uint32_t> resource_column_;
  Kept<std::uint32_t> scope_column_;
  Kept<telemetry::TraceId> trace_ids_;
  std::optional<KeptText> scope_names_;
  std::optional<KeptText> scope_versions_;
  Kept<std::uint32_t> event_spans_;
  Kept<std::int64_t> event_times_;
  std::optional<KeptText> event_names_;
  Kept<std::uint32_t> link_spans_;
  Kept<telemetry::TraceId> link_trace_ids_;
  Kept<telemetry::SpanId> link_span_ids_;
  std::array<Kept<std::string_view>, kTableCount> keys_;
  std::array<std::map<std::string, std::vector<Column>, std::less<>>, kTableCount> columns_;
  std::deque<KeptColumn> stored_;  ///< Addresses stay.
};

}  // namespace

Result<std::unique_ptr<SpanGroup>> make_subset_group(std::unique_ptr<SpanGroup> group,
                                                     const RowSet& rows) {
  auto subset = std::make_unique<SubsetGroup>(std::move(group));
  GANTRY_CHECK(subset->choose(rows));
  return subset;
}

}  // namespace gantry::traceql
