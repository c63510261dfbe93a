// Look-ups of attribute names and values, for completion.

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>

#include "core/byte_size.h"
#include "core/mutex.h"
#include "traceql/engine.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/eval/group_evaluator.h"
#include "traceql/eval/static_operations.h"
#include "traceql/eval/static_table.h"
#include "traceql/group_queue_internal.h"
#include "traceql/required_text.h"

namespace gantry::traceql {

namespace {

/// In the order of answers.
constexpr std::array<std::pair<AttributeScope, Table>, kTableCount> kScopes = {{
    {AttributeScope::Resource, Table::Resource},
    {AttributeScope::Span, Table::Span},
    {AttributeScope::Event, Table::Event},
    {AttributeScope::Link, Table::Link},
    {AttributeScope::Instrumentation, Table::Instrumentation},
}};

/// Which spans a look-up is about.
struct Selection {
  const FieldExpr* filter = nullptr;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;

  [[nodiscard]] bool wants(const GroupBounds& group) const {
    return group.start_ns_min <= end_ns && group.end_ns_max >= start_ns;
  }

  /// Spans of traces that overlap the range, as far as the filter holds for them.
  Result<RowSet> rows(GroupEvaluator& evaluator) const {
    GANTRY_TRY(const TraceFacts* facts, evaluator.trace_facts());
    RowSet traces(evaluator.group().counts().traces);
    for (std::uint32_t trace = 0; trace < traces.size(); ++trace) {
      const std::int64_t start = facts->starts_ns[trace];
      if (start <= end_ns && start + facts->durations_ns[trace] >= start_ns) traces.add(trace);
    }
    GANTRY_TRY(RowSet rows, evaluator.rows_of_traces(traces));
    if (filter != nullptr && !rows.is_empty()) {
      GANTRY_TRY(const RowSet matching, evaluator.filter(*filter));
      rows &= matching;
    }
    return rows;
  }
};

/// How many of the selected spans refer to each row of a level.
Result<std::vector<std::uint32_t>> count_references(SpanGroup& group, Level level,
                                                    const RowSet& rows) {
  const GroupCounts& counts = group.counts();
  std::vector<std::uint32_t> references;
  const auto count_targets = [&](std::uint32_t size, std::span<const std::uint32_t> of_span) {
    references.assign(size, 0);
    rows.for_each([&](std::uint32_t row) { ++references[of_span[row]]; });
  };
  const auto count_owned = [&](std::span<const std::uint32_t> owners) {
    for (const std::uint32_t span : owners) references.push_back(rows.contains(span) ? 1 : 0);
  };
  switch (level) {
    case Level::Span:
      references.assign(counts.spans, 0);
      rows.for_each([&](std::uint32_t row) { references[row] = 1; });
      break;
    case Level::Resource: {
      GANTRY_TRY(const auto of_span, group.resources());
      count_targets(counts.resources, of_span);
      break;
    }
    case Level::Scope: {
      GANTRY_TRY(const auto of_span, group.scopes());
      count_targets(counts.scopes, of_span);
      break;
    }
    case Level::Trace: {
      GANTRY_TRY(const auto of_span, group.traces());
      count_targets(counts.traces, of_span);
      break;
    }
    case Level::Event: {
      GANTRY_TRY(const auto owners, group.event_spans());
      count_owned(owners);
      break;
    }
    case Level::Link: {
      GANTRY_TRY(const auto owners, group.link_spans());
      count_owned(owners);
      break;
    }
  }
  return references;
}

/// Distinct things that threads gather together, up to a limit of memory. Thread-safe.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// Errors: ResourceExhausted.
  Result<void> take(std::uint64_t bytes) {
    if (taken_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max_) return {};
    return fail(Code::ResourceExhausted,
                fmt::format("the look-up takes more than {} of memory (query.memory_bytes_max)",
                            core::format_byte_size(bytes_max_)));
  }

 private:
  std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> taken_ = 0;
};

// About what an entry of a map takes beside its content.
constexpr std::uint64_t kEntryBytes = 64;

class NameLookup {
 public:
  NameLookup(const TagNamesRequest& request, std::uint64_t memory_bytes_max)
      : request_(request),
        selection_{
            .filter = request.filter, .start_ns = request.start_ns, .end_ns = request.end_ns},
        memory_(memory_bytes_max) {}

  [[nodiscard]] const Selection& selection() const { return selection_; }

  Result<void> visit(SpanGroup& group) {
    GroupEvaluator evaluator(group);
    GANTRY_TRY(const RowSet rows, selection_.rows(evaluator));
    if (rows.is_empty()) return {};
    for (std::size_t scope = 0; scope < kScopes.size(); ++scope) {
      if (request_.scope && *request_.scope != kScopes[scope].first) continue;
      GANTRY_CHECK(visit_scope(group, scope, rows));
    }
    return {};
  }

  [[nodiscard]] TagNamesAnswer take() {
    TagNamesAnswer answer;
    const core::Lock lock(mutex_);
    for (std::size_t scope = 0; scope < kScopes.size(); ++scope) {
      if (names_[scope].empty()) continue;
      auto& [of, names] =
          answer.scopes.emplace_back(kScopes[scope].first, std::vector<std::string>());
      for (const std::string& name : names_[scope]) {
        if (request_.limit != 0 && names.size() == request_.limit) break;
        names.push_back(name);
      }
    }
    return answer;
  }

 private:
  Result<void> visit_scope(SpanGroup& group, std::size_t scope, const RowSet& rows) {
    const Table table = kScopes[scope].second;
    GANTRY_TRY(const auto keys, group.keys(table));
    GANTRY_TRY(const auto references, count_references(group, level_of(table), rows));
    for (const std::string_view key : keys) {
      // Most names are the same in every group: their columns need not be read again.
      if (is_known(scope, key)) continue;
      GANTRY_TRY(const auto columns, group.columns({.table = table, .key = key}));
      const bool is_used = std::ranges::any_of(
          columns, [&](const Column& column) { return has_reference(column, references); });
      if (!is_used) continue;
      GANTRY_CHECK(memory_.take(key.size() + kEntryBytes));
      const core::Lock lock(mutex_);
      names_[scope].emplace(key);
    }
    return {};
  }

  static bool has_reference(const Column& column, std::span<const std::uint32_t> references) {
    const auto is_referenced = [&](std::uint32_t row) { return references[row] != 0; };
    if (!column.is_dense) return std::ranges::any_of(column.rows, is_referenced);
    return std::ranges::any_of(references, [](std::uint32_t count) { return count != 0; });
  }

  [[nodiscard]] bool is_known(std::size_t scope, std::string_view key) const {
    const core::Lock lock(mutex_);
    return names_[scope].contains(key);
  }

  const TagNamesRequest& request_;
  Selection selection_;
  MemoryLimit memory_;
  mutable core::Mutex mutex_;
  std::array<std::set<std::string, std::less<>>, kTableCount> names_ GANTRY_GUARDED_BY(mutex_);
};

using ValueCounts = std::unordered_map<Static, std::uint64_t, StaticHash>;

/// Arrays are their elements. There is nothing to complete with an empty text, which is also what
/// stands for a missing name.
void count_value(const Static& value, std::uint64_t count, ValueCounts& counts) {
  if (value.type == StaticType::Nil) return;
  if (value.type == StaticType::String && value.text.empty()) return;
  if (!is_array(value.type)) {
    counts[value] += count;
    return;
  }
  for (const Static& element : value.elements) count_value(element, count, counts);
}

void count_column(const FieldColumn& column, std::span<const std::uint32_t> references,
                  ValueCounts& counts) {
  const auto* held = std::get_if<DictionaryValues>(&column.values);
  if (held == nullptr) {
    for (std::size_t i = 0; i < column.size(); ++i) {
      const std::uint32_t count = references[column.row(i)];
      if (count != 0) count_value(column.at(i), count, counts);
    }
    return;
  }
  // Once for each text, not for each row.
  std::vector<std::uint64_t> of_text(held->texts.size(), 0);
  for (std::size_t i = 0; i < held->ids.size(); ++i) {
    of_text[held->ids[i]] += references[column.row(i)];
  }
  for (std::size_t id = 0; id < of_text.size(); ++id) {
    if (of_text[id] == 0) continue;
    count_value(held->decoded != nullptr ? (*held->decoded)[id]
                                         : Static::of_string(std::string(held->texts[id])),
                of_text[id], counts);
  }
}

class ValueLookup {
 public:
  ValueLookup(const TagValuesRequest& request, std::uint64_t memory_bytes_max)
      : request_(request),
        selection_{
            .filter = request.filter, .start_ns = request.start_ns, .end_ns = request.end_ns},
        memory_(memory_bytes_max) {}

  [[nodiscard]] const Selection& selection() const { return selection_; }

  Result<void> visit(SpanGroup& group) {
    GroupEvaluator evaluator(group);
    GANTRY_TRY(const RowSet rows, selection_.rows(evaluator));
    if (rows.is_empty()) return {};
    FieldTable table(group);
    GANTRY_TRY(const Fields* fields, table.find(*request_.attribute));
    ValueCounts counts;
    for (const Field* field : *fields) {
      GANTRY_TRY(const auto references, count_references(group, field->level, rows));
      for (const FieldColumn& column : field->columns) count_column(column, references, counts);
    }
    return merge(counts);
  }

  [[nodiscard]] std::vector<Static> take() {
    struct Entry {
      std::uint64_t count = 0;
      std::string text;
      const Static* value = nullptr;
    };

    std::vector<Entry> entries;
    const core::Lock lock(mutex_);
    for (const auto& [value, count] : counts_) {
      entries.push_back({.count = count, .text = text_of(value), .value = &value});
    }
    std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
      if (a.count != b.count) return a.count > b.count;
      return a.text != b.text ? a.text < b.text : a.value->type < b.value->type;
    });
    std::vector<Static> values;
    std::uint64_t bytes = 0;
    for (const Entry& entry : entries) {
      bytes += entry.text.size();
      if (bytes > request_.value_bytes_max) break;
      if (request_.limit != 0 && values.size() == request_.limit) break;
      values.push_back(*entry.value);
    }
    return values;
  }

 private:
  static std::string text_of(const Static& value) {
    return value.type == StaticType::String ? value.text : format_static(value);
  }

  Result<void> merge(const ValueCounts& counts) {
    std::uint64_t bytes = 0;
    {
      const core::Lock lock(mutex_);
      for (const auto& [value, count] : counts) {
        const auto [at, is_new] = counts_.try_emplace(value, 0);
        at->second += count;
        if (is_new) bytes += memory_bytes(value) + kEntryBytes;
      }
    }
    return memory_.take(bytes);
  }

  const TagValuesRequest& request_;
  Selection selection_;
  MemoryLimit memory_;
  core::Mutex mutex_;
  ValueCounts counts_ GANTRY_GUARDED_BY(mutex_);
};

/// Runs a look-up over the source's groups.
template <class Lookup>
Result<SearchStatistics> run(Lookup& lookup, const EngineOptions& options, const SpanSource& source,
                             const CancelToken& cancel) {
  const Selection& selection = lookup.selection();
  std::vector<RequiredText> required;
  if (selection.filter != nullptr) required = required_texts(*selection.filter);
  GANTRY_TRY(const std::unique_ptr<SpanSnapshot> snapshot,
             source.open(
                 {.start_ns = selection.start_ns, .end_ns = selection.end_ns, .required = required},
                 cancel));
  GroupQueue queue(*snapshot, options.workers, cancel);
  GANTRY_CHECK(queue.run([&](const GroupBounds& group) { return selection.wants(group); },
                         [&](SpanGroup& group) { return lookup.visit(group); }));
  return queue.statistics();
}

}  // namespace

Result<TagNamesAnswer> Engine::tag_names(const TagNamesRequest& request, const SpanSource& source,
                                         const CancelToken& cancel) const {
  NameLookup lookup(request, options_.memory_bytes_max);
  GANTRY_TRY(const SearchStatistics statistics, run(lookup, options_, source, cancel));
  TagNamesAnswer answer = lookup.take();
  answer.statistics = statistics;
  return answer;
}

Result<TagValuesAnswer> Engine::tag_values(const TagValuesRequest& request,
                                           const SpanSource& source,
                                           const CancelToken& cancel) const {
  GANTRY_ASSERT(request.attribute != nullptr, "values are of an attribute");
  ValueLookup lookup(request, options_.memory_bytes_max);
  GANTRY_TRY(const SearchStatistics statistics, run(lookup, options_, source, cancel));
  return TagValuesAnswer{.values = lookup.take(), .statistics = statistics};
}

}  // namespace gantry::traceql
