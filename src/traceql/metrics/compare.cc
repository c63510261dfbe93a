// compare(): how the values of every attribute spread over a selection of the spans and the rest
// (grafana/tempo, pkg/traceql/engine_metrics_compare.go).

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "traceql/metrics/aggregation.h"
#include "traceql/metrics/row_keys.h"

namespace gantry::traceql::metrics {

namespace {

/// Values that are remembered per attribute and side while groups come in: of an attribute with
/// more, the most frequent so far. Far more than answers show, so that only attributes without any
/// frequent value are inexact.
constexpr std::size_t kTrackedValuesMax = 10'000;
constexpr std::uint64_t kValueOverheadBytes = 256;

enum Side : std::uint8_t { kBaseline = 0, kSelection = 1 };

constexpr std::array<std::string_view, 2> kSideTexts = {"baseline", "selection"};
constexpr std::array<std::string_view, 2> kSideTotalTexts = {"baseline_total", "selection_total"};

/// A count per side and interval, indexed by side * intervals + interval.
using SideCounts = std::vector<std::uint64_t>;

struct CompareCell {
  std::uint32_t value = 0;  ///< Index into AttributePart::values.
  std::uint32_t column = 0;
  std::uint64_t count = 0;
};

struct AttributePart {
  std::string text;
  std::vector<Static> values;
  std::vector<CompareCell> cells;
};

struct ComparePart final : Aggregation::Part {
  std::vector<AttributePart> attributes;
};

struct ValueCounts {
  Static value;
  std::array<std::uint64_t, 2> totals{};
  SideCounts counts;
};

struct AttributeCounts {
  std::unordered_map<std::string, ValueCounts> values;  ///< By append_key.
  SideCounts totals;
};

/// Intrinsics with few values. Ids, durations and positions in the tree tell nothing here.
constexpr std::array kComparedIntrinsics = {
    Intrinsic::Name,
    Intrinsic::Kind,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::RootName,
    Intrinsic::RootServiceName,
    Intrinsic::ChildCount,
    Intrinsic::InstrumentationName,
    Intrinsic::InstrumentationVersion,
    Intrinsic::EventName,
    Intrinsic::LinkTraceId,
    Intrinsic::LinkSpanId,
};

Result<std::vector<Attribute>> compared_attributes(SpanGroup& group) {
  constexpr std::array<std::pair<Table, AttributeScope>, kTableCount> kScopes = {{
      {Table::Span, AttributeScope::Span},
      {Table::Resource, AttributeScope::Resource},
      {Table::Event, AttributeScope::Event},
      {Table::Link, AttributeScope::Link},
      {Table::Instrumentation, AttributeScope::Instrumentation},
  }};
  std::vector<Attribute> attributes;
  for (const Intrinsic intrinsic : kComparedIntrinsics) {
    attributes.push_back(make_intrinsic(intrinsic));
  }
  // Every span has a service, if only "": also in a group where no resource names one.
  constexpr std::string_view kService = "service.name";
  attributes.push_back(make_attribute(AttributeScope::Resource, std::string(kService)));
  for (const auto& [table, scope] : kScopes) {
    GANTRY_TRY(const std::span<const std::string_view> keys, group.keys(table));
    for (const std::string_view key : keys) {
      if (table == Table::Resource && key == kService) continue;
      attributes.push_back(make_attribute(scope, std::string(key)));
    }
  }
  return attributes;
}

/// By value: whether it is among the `keep_max` most frequent of either side. Equal counts: the
/// earlier in `order` first.
std::vector<std::uint8_t> most_frequent(std::span<const std::array<std::uint64_t, 2>> totals,
                                        std::span<const std::uint32_t> order,
                                        std::size_t keep_max) {
  std::vector<std::uint8_t> is_kept(totals.size(), 0);
  for (const std::size_t side : {std::size_t{kBaseline}, std::size_t{kSelection}}) {
    std::vector<std::uint32_t> ranked(order.begin(), order.end());
    std::ranges::stable_sort(ranked, std::ranges::greater{},
                             [&](std::uint32_t value) { return totals[value][side]; });
    for (std::size_t i = 0; i < std::min(keep_max, ranked.size()); ++i) {
      if (totals[ranked[i]][side] != 0) is_kept[ranked[i]] = 1;
    }
  }
  return is_kept;
}

/// Positions of `values` by text: an order that does not depend on how they were found.
std::vector<std::uint32_t> order_by_text(std::span<const Static* const> values) {
  std::vector<std::string> texts(values.size());
  std::vector<std::uint32_t> order(values.size());
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    texts[i] = label_text(*values[i]);
    order[i] = i;
  }
  std::ranges::stable_sort(order, {},
                           [&](std::uint32_t i) -> const std::string& { return texts[i]; });
  return order;
}

class CompareAggregation final : public Aggregation {
 public:
  CompareAggregation(const MetricsPipeline& pipeline, const AggregationOptions& options)
      : pipeline_(pipeline), intervals_(options.intervals) {}

  Result<std::unique_ptr<Part>> observe(GroupEvaluator& evaluator) const override;
  Result<void> merge(std::unique_ptr<Part> part, MemoryAccount& memory) override;
  Result<SeriesTable> finish(MemoryAccount& memory) override;

 private:
  [[nodiscard]] std::size_t column_count() const { return std::size_t{2} * intervals_.count; }

  [[nodiscard]] std::uint64_t value_bytes() const {
    return (std::uint64_t{8} * column_count()) + kValueOverheadBytes;
  }

  Result<std::vector<std::uint32_t>> columns_of(GroupEvaluator& evaluator,
                                                const SelectedSpans& spans) const;
  Result<AttributePart> count_values(GroupEvaluator& evaluator, const SelectedSpans& spans,
                                     std::span<const std::uint32_t> columns,
                                     const Attribute& attribute) const;
  void forget_rare(AttributeCounts& counts, MemoryAccount& memory) const;
  void add_values(const std::string& text, const AttributeCounts& counts, std::size_t side,
                  SeriesTable& table) const;
  void add_total(const std::string& text, const AttributeCounts& counts, std::size_t side,
                 SeriesTable& table) const;
  [[nodiscard]] Series make_series(std::string_view meta_type, const std::string& text,
                                   Static value, const SideCounts& counts, std::size_t side) const;

  const MetricsPipeline& pipeline_;
  Intervals intervals_;
  std::map<std::string, AttributeCounts> attributes_;
};

/// By position: the side and the interval of the span as one number.
Result<std::vector<std::uint32_t>> CompareAggregation::columns_of(
    GroupEvaluator& evaluator, const SelectedSpans& spans) const {
  const MetricsFunction& function = pipeline_.function;
  GANTRY_TRY(const RowSet selected, evaluator.filter(*function.selection));
  GANTRY_TRY(const std::span<const std::int64_t> starts, evaluator.group().starts_ns());
  const bool has_window = function.selection_start_ns != 0 || function.selection_end_ns != 0;
  std::vector<std::uint32_t> columns(spans.rows.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::uint32_t row = spans.rows[i];
    const bool is_in_window = !has_window || (starts[row] > function.selection_start_ns &&
                                              starts[row] <= function.selection_end_ns);
    const bool is_selected = is_in_window && selected.contains(row);
    columns[i] = spans.intervals[i] + (is_selected ? intervals_.count : 0);
  }
  return columns;
}

Result<AttributePart> CompareAggregation::count_values(GroupEvaluator& evaluator,
                                                       const SelectedSpans& spans,
                                                       std::span<const std::uint32_t> columns,
                                                       const Attribute& attribute) const {
  GANTRY_TRY(const DistinctValues distinct, evaluator.distinct_values(attribute, spans.set));
  const auto nil = static_cast<std::uint32_t>(distinct.values.size());
  std::vector<std::uint32_t> ids(spans.rows.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::uint32_t id = distinct.ids[spans.rows[i]];
    ids[i] = id == DistinctValues::kNil ? nil : id;
  }
  RowKeys keys(ids.size());
  keys.add(ids, distinct.values.size() + 1);
  const std::vector<std::uint32_t> value_ids(keys.ids().begin(), keys.ids().end());
  keys.add(columns, column_count());
  std::vector<std::uint64_t> counts(keys.slot_count(), 0);
  for (const std::uint32_t slot : keys.slots()) ++counts[slot];

  AttributePart part{.text = attribute.text, .values = {}, .cells = {}};
  constexpr std::uint32_t kDropped = UINT32_MAX;
  std::vector<std::uint32_t> index_of(value_ids.size(), kDropped);
  for (std::size_t i = 0; i < value_ids.size(); ++i) {
    if (value_ids[i] == nil) continue;
    index_of[i] = static_cast<std::uint32_t>(part.values.size());
    part.values.push_back(to_label_value(distinct.values[value_ids[i]]));
  }
  for (std::size_t slot = 0; slot < counts.size(); ++slot) {
    const std::uint32_t value = index_of[keys.parents()[slot]];
    if (value == kDropped) continue;
    part.cells.push_back({.value = value, .column = keys.ids()[slot], .count = counts[slot]});
  }
  return part;
}

Result<std::unique_ptr<Aggregation::Part>> CompareAggregation::observe(
    GroupEvaluator& evaluator) const {
  auto part = std::make_unique<ComparePart>();
  GANTRY_TRY(const SelectedSpans spans, select_spans(evaluator, pipeline_.pipeline, intervals_));
  if (spans.rows.empty()) return part;
  GANTRY_TRY(const std::vector<std::uint32_t> columns, columns_of(evaluator, spans));
  GANTRY_TRY(const std::vector<Attribute> attributes, compared_attributes(evaluator.group()));
  for (const Attribute& attribute : attributes) {
    GANTRY_TRY(AttributePart counted, count_values(evaluator, spans, columns, attribute));
    if (!counted.cells.empty()) part->attributes.push_back(std::move(counted));
  }
  return part;
}

Result<void> CompareAggregation::merge(std::unique_ptr<Part> part, MemoryAccount& memory) {
  auto& from = static_cast<ComparePart&>(*part);
  for (AttributePart& attribute : from.attributes) {
    const auto [entry, is_new] = attributes_.try_emplace(attribute.text);
    AttributeCounts& into = entry->second;
    if (is_new) {
      GANTRY_CHECK(memory.take(value_bytes(), attributes_.size(), intervals_.count));
      into.totals.assign(column_count(), 0);
    }
    std::vector<ValueCounts*> value_of(attribute.values.size());
    for (std::size_t i = 0; i < attribute.values.size(); ++i) {
      std::string key;
      append_key(key, attribute.values[i]);
      const auto [found, is_new_value] = into.values.try_emplace(std::move(key));
      if (is_new_value) {
        GANTRY_CHECK(memory.take(value_bytes(), into.values.size(), intervals_.count));
        found->second.value = std::move(attribute.values[i]);
        found->second.counts.assign(column_count(), 0);
      }
      value_of[i] = &found->second;
    }
    for (const CompareCell& cell : attribute.cells) {
      ValueCounts& value = *value_of[cell.value];
      value.counts[cell.column] += cell.count;
      value.totals[cell.column < intervals_.count ? kBaseline : kSelection] += cell.count;
      into.totals[cell.column] += cell.count;
    }
    if (into.values.size() > 2 * kTrackedValuesMax) forget_rare(into, memory);
  }
  return {};
}

void CompareAggregation::forget_rare(AttributeCounts& counts, MemoryAccount& memory) const {
  std::vector<const Static*> values;
  std::vector<std::array<std::uint64_t, 2>> totals;
  for (const auto& [key, value] : counts.values) {
    values.push_back(&value.value);
    totals.push_back(value.totals);
  }
  const auto is_kept = most_frequent(totals, order_by_text(values), kTrackedValuesMax);
  std::size_t i = 0;
  std::erase_if(counts.values, [&](const auto& /*entry*/) {
    if (is_kept[i++] != 0) return false;
    memory.give_back(value_bytes());
    return true;
  });
}

Series CompareAggregation::make_series(std::string_view meta_type, const std::string& text,
                                       Static value, const SideCounts& counts,
                                       std::size_t side) const {
  Series series;
  series.labels.push_back(
      {.key = "__meta_type", .value = Static::of_string(std::string(meta_type))});
  series.labels.push_back({.key = text, .value = std::move(value)});
  series.values.resize(intervals_.count);
  for (std::size_t i = 0; i < series.values.size(); ++i) {
    series.values[i] = static_cast<double>(counts[(side * intervals_.count) + i]);
  }
  return series;
}

void CompareAggregation::add_values(const std::string& text, const AttributeCounts& counts,
                                    std::size_t side, SeriesTable& table) const {
  std::vector<const ValueCounts*> present;
  std::vector<const Static*> values;
  for (const auto& [key, value] : counts.values) {
    if (value.totals[side] == 0) continue;
    present.push_back(&value);
    values.push_back(&value.value);
  }
  std::vector<std::uint32_t> ranked = order_by_text(values);
  std::ranges::stable_sort(ranked, std::ranges::greater{},
                           [&](std::uint32_t i) { return present[i]->totals[side]; });
  const auto top = static_cast<std::size_t>(std::max<std::int64_t>(0, pipeline_.function.top_n));
  for (std::size_t i = 0; i < std::min(top, ranked.size()); ++i) {
    const ValueCounts& value = *present[ranked[i]];
    table.push_back(make_series(kSideTexts[side], text, value.value, value.counts, side));
  }
  if (ranked.size() <= top) return;
  Series notice;
  notice.labels.push_back(
      {.key = "__meta_error", .value = Static::of_string("__too_many_values__")});
  notice.labels.push_back({.key = text, .value = Static::of_string("nil")});
  notice.is_notice = true;
  // Once, whichever side has too many.
  const bool is_repeated = std::ranges::any_of(table, [&](const Series& series) {
    return series.is_notice && series.labels.back().key == text;
  });
  if (!is_repeated) table.push_back(std::move(notice));
}

void CompareAggregation::add_total(const std::string& text, const AttributeCounts& counts,
                                   std::size_t side, SeriesTable& table) const {
  const auto begin = counts.totals.begin() + static_cast<std::ptrdiff_t>(side * intervals_.count);
  if (std::all_of(begin, begin + intervals_.count, [](std::uint64_t c) { return c == 0; })) return;
  table.push_back(
      make_series(kSideTotalTexts[side], text, Static::of_string("nil"), counts.totals, side));
}

Result<SeriesTable> CompareAggregation::finish(MemoryAccount& memory) {
  SeriesTable table;
  for (auto entry = attributes_.begin(); entry != attributes_.end();
       entry = attributes_.erase(entry)) {
    const auto& [text, counts] = *entry;
    const std::size_t before = table.size();
    for (const std::size_t side : {std::size_t{kBaseline}, std::size_t{kSelection}}) {
      add_values(text, counts, side, table);
      add_total(text, counts, side, table);
    }
    memory.give_back(value_bytes() * (counts.values.size() + 1));
    GANTRY_CHECK(memory.take(std::uint64_t{8} * intervals_.count * (table.size() - before),
                             table.size(), intervals_.count));
  }
  sort_series(table);
  return table;
}

}  // namespace

std::unique_ptr<Aggregation> make_compare_aggregation(const MetricsPipeline& pipeline,
                                                      const AggregationOptions& options) {
  return std::make_unique<CompareAggregation>(pipeline, options);
}

}  // namespace gantry::traceql::metrics
