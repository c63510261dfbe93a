#include "traces/block/block_merge.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "traces/block/block_format.h"
#include "traces/span_table.h"

namespace gantry::traces {
namespace {

using telemetry::TraceId;

/// Spans that are copied at a time.
constexpr std::size_t kCopySpans = 2048;
/// A group is cut earlier when it takes this much memory: long texts, many events.
constexpr std::uint64_t kGroupMemoryBytesMax = 64ULL << 20;
constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();

struct TraceIdHash {
  using is_avalanching = void;

  std::size_t operator()(const TraceId& id) const { return hash_trace_id(id); }
};

/// The output's group at hand.
class GroupBuilder {
 public:
  GroupBuilder(const BlockMergeOptions& options, BlockWriter& writer)
      : options_(options), writer_(writer) {}

  /// Copies the spans, those that are there already not.
  Result<void> add(StoredGroup& group, std::span<const std::uint32_t> rows) {
    if (!table_ && !rows.empty()) table_ = std::make_unique<SpanTable>();
    while (!rows.empty()) {
      const auto piece = rows.first(std::min(rows.size(), kCopySpans));
      rows = rows.subspan(piece.size());
      batch_.clear();
      GANTRY_CHECK(read_spans(group, piece, batch_));
      if (!table_->has_room_for(batch_)) {
        return fail(Code::ResourceExhausted, "a trace has more spans than a group can hold");
      }
      order_.resize(batch_.spans.size());
      std::iota(order_.begin(), order_.end(), 0U);
      spans_ += table_->append(batch_, order_);
    }
    return {};
  }

  [[nodiscard]] std::size_t spans() const { return spans_; }

  [[nodiscard]] bool is_full() const {
    return spans_ >= options_.group_spans ||
           (table_ && table_->memory_bytes() >= kGroupMemoryBytesMax);
  }

  Result<void> write() {
    GANTRY_CHECK(options_.cancel.check());
    if (!table_) return {};
    table_->publish();
    GANTRY_CHECK(writer_.add_group(*table_->snapshot()));
    table_.reset();
    spans_ = 0;
    if (options_.progress) options_.progress(writer_.size_bytes());
    return {};
  }

 private:
  const BlockMergeOptions& options_;
  BlockWriter& writer_;
  std::unique_ptr<SpanTable> table_;
  std::size_t spans_ = 0;  ///< In the table.
  telemetry::SpanBatch batch_;
  std::vector<std::uint32_t> order_;  ///< 0, 1, 2, … for the batch.
};

/// The traces of one group, by start.
class OrderedGroup {
 public:
  static Result<OrderedGroup> make(StoredGroup& group) {
    OrderedGroup out;
    out.group_ = &group;
    GANTRY_TRY(out.rows_, group.trace_rows());
    GANTRY_TRY(out.ids_, group.trace_ids());
    GANTRY_TRY(const auto starts, group.starts_ns());
    out.order_.reserve(group.counts().traces);
    for (std::uint32_t trace = 0; trace < group.counts().traces; ++trace) {
      std::int64_t start = std::numeric_limits<std::int64_t>::max();
      for (const std::uint32_t row : out.rows_.of(trace)) start = std::min(start, starts[row]);
      out.order_.emplace_back(start, trace);
    }
    std::ranges::sort(out.order_);
    return out;
  }

  [[nodiscard]] bool at_end() const { return at_ == order_.size(); }

  void next() { ++at_; }

  [[nodiscard]] StoredGroup& group() const { return *group_; }

  [[nodiscard]] std::int64_t start_ns() const { return order_[at_].first; }

  [[nodiscard]] const TraceId& id() const { return ids_[order_[at_].second]; }

  [[nodiscard]] std::span<const std::uint32_t> rows() const { return rows_.of(order_[at_].second); }

 private:
  StoredGroup* group_ = nullptr;
  traceql::SpanGroup::TraceRows rows_;
  std::span<const TraceId> ids_;
  std::vector<std::pair<std::int64_t, std::uint32_t>> order_;
  std::size_t at_ = 0;
};

/// Rows of one group that are chosen for the output's group at hand, copied many at a time.
class PendingRows {
 public:
  void add(std::span<const std::uint32_t> rows) {
    rows_.insert(rows_.end(), rows.begin(), rows.end());
  }

  [[nodiscard]] std::size_t size() const { return rows_.size(); }

  Result<void> copy(StoredGroup& group, GroupBuilder& builder) {
    GANTRY_CHECK(builder.add(group, rows_));
    rows_.clear();
    return {};
  }

 private:
  std::vector<std::uint32_t> rows_;
};

/// Walks the traces of one block, about by start.
struct Input {
  const BlockReader* block = nullptr;
  std::size_t next_group = 0;
  std::unique_ptr<StoredGroup> group;
  std::optional<OrderedGroup> traces;  ///< Of `group`; none at the end.
  PendingRows pending;                 ///< Of `group`.
  // Another group, with parts of traces that other inputs have too.
  std::unique_ptr<StoredGroup> side;
  std::uint32_t side_number = 0;

  Result<StoredGroup*> open_side(std::uint32_t number) {
    if (!side || side_number != number) {
      GANTRY_TRY(side, block->open_group(number));
      side_number = number;
    }
    return side.get();
  }
};

/// Walks the trace index of one block.
class HashCursor {
 public:
  explicit HashCursor(const BlockReader& block) : block_(&block) {}

  /// Before the first use and after `next`: makes `hash` valid or says that there is none.
  Result<bool> settle() {
    while (at_ == entries_.size()) {
      if (page_ == block_->trace_page_count()) return false;
      GANTRY_TRY(entries_, block_->trace_page(page_++));
      at_ = 0;
    }
    return true;
  }

  [[nodiscard]] std::uint64_t hash() const { return entries_[at_].id_hash; }

  void next() { ++at_; }

 private:
  const BlockReader* block_;
  std::size_t page_ = 0;
  std::vector<TraceEntry> entries_;
  std::size_t at_ = 0;
};

/// The hashes that ids of several inputs have, ascending.
Result<std::vector<std::uint64_t>> find_shared(std::span<const BlockReader* const> blocks,
                                               const CancelToken& cancel) {
  std::vector<HashCursor> cursors;
  for (const BlockReader* block : blocks) cursors.emplace_back(*block);
  std::vector<std::uint64_t> shared;
  std::size_t steps = 0;
  while (true) {
    if (steps++ % kTracePageEntries == 0) GANTRY_CHECK(cancel.check());
    std::optional<std::uint64_t> least;
    for (HashCursor& cursor : cursors) {
      GANTRY_TRY(const bool has_hash, cursor.settle());
      if (has_hash && (!least || cursor.hash() < *least)) least = cursor.hash();
    }
    if (!least) return shared;
    std::size_t holders = 0;
    for (HashCursor& cursor : cursors) {
      GANTRY_TRY(bool has_hash, cursor.settle());
      if (!has_hash || cursor.hash() != *least) continue;
      ++holders;
      while (has_hash && cursor.hash() == *least) {
        cursor.next();
        GANTRY_TRY(has_hash, cursor.settle());
      }
    }
    if (holders > 1) shared.push_back(*least);
  }
}

class Merge {
 public:
  Merge(std::span<const BlockReader* const> blocks, const BlockMergeOptions& options,
        BlockWriter& writer)
      : options_(options), builder_(options, writer) {
    for (const BlockReader* block : blocks) inputs_.emplace_back().block = block;
  }

  Result<void> run(std::vector<std::uint64_t> shared_hashes) {
    shared_hashes_ = std::move(shared_hashes);
    while (true) {
      GANTRY_TRY(const std::size_t input, find_next());
      if (input == kNobody) break;
      OrderedGroup& traces = *inputs_[input].traces;
      const bool is_shared = std::ranges::binary_search(shared_hashes_, hash_trace_id(traces.id()));
      if (is_shared) {
        GANTRY_CHECK(take_shared(traces.id(), input));
      } else {
        GANTRY_CHECK(take(input));
      }
      traces.next();
      if (builder_.is_full() || spans_chosen() >= options_.group_spans) GANTRY_CHECK(write());
    }
    return write();
  }

 private:
  /// The input whose next trace starts first.
  Result<std::size_t> find_next() {
    std::size_t best = kNobody;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      Input& input = inputs_[i];
      GANTRY_CHECK(open_next_group(input));
      if (!input.traces) continue;
      if (best == kNobody || input.traces->start_ns() < inputs_[best].traces->start_ns()) best = i;
    }
    return best;
  }

  /// If the group at hand is at its end.
  Result<void> open_next_group(Input& input) {
    while (!input.traces || input.traces->at_end()) {
      if (input.traces) GANTRY_CHECK(input.pending.copy(*input.group, builder_));
      input.traces.reset();
      input.group.reset();
      if (input.next_group == input.block->groups().size()) return {};
      GANTRY_CHECK(options_.cancel.check());
      GANTRY_TRY(input.group, input.block->open_group(input.next_group++));
      GANTRY_TRY(input.traces, OrderedGroup::make(*input.group));
    }
    return {};
  }

  [[nodiscard]] bool is_deleted(const TraceId& id, std::size_t input) const {
    return options_.is_deleted && options_.is_deleted(id, input);
  }

  Result<void> take(std::size_t number) {
    Input& input = inputs_[number];
    const auto rows = input.traces->rows();
    if (is_deleted(input.traces->id(), number)) return {};
    if (rows.size() >= options_.group_spans) GANTRY_CHECK(write());
    input.pending.add(rows);
    return input.pending.size() < kCopySpans ? Result<void>()
                                             : input.pending.copy(*input.group, builder_);
  }

  /// All inputs' spans of the trace, oldest input first. `from` is known to have it.
  Result<void> take_shared(const TraceId& id, std::size_t from) {
    if (!taken_.insert(id).second) return {};
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      Input& input = inputs_[i];
      if (is_deleted(id, i)) continue;
      GANTRY_TRY(const std::optional<TracePlace> place, input.block->find_trace(id));
      if (!place && i == from) {
        return fail(Code::DataLoss, "the trace index of a block misses a trace");
      }
      if (!place) continue;
      GANTRY_TRY(StoredGroup* const group, input.open_side(place->group));
      GANTRY_TRY(const auto traces, group->trace_rows());
      GANTRY_CHECK(builder_.add(*group, traces.of(place->trace)));
    }
    return {};
  }

  [[nodiscard]] std::size_t spans_chosen() const {
    std::size_t spans = builder_.spans();
    for (const Input& input : inputs_) spans += input.pending.size();
    return spans;
  }

  Result<void> write() {
    for (Input& input : inputs_) {
      if (input.pending.size() > 0) GANTRY_CHECK(input.pending.copy(*input.group, builder_));
    }
    return builder_.write();
  }

  const BlockMergeOptions& options_;
  GroupBuilder builder_;
  std::vector<Input> inputs_;
  std::vector<std::uint64_t> shared_hashes_;
  boost::unordered_flat_set<TraceId, TraceIdHash> taken_;  ///< Of the shared ones.
};

}  // namespace

Result<void> merge_blocks(std::span<const BlockReader* const> inputs,
                          const BlockMergeOptions& options, BlockWriter& writer) {
  GANTRY_TRY(auto shared, find_shared(inputs, options.cancel));
  return Merge(inputs, options, writer).run(std::move(shared));
}

Result<void> write_traces(StoredGroup& group, const BlockMergeOptions& options,
                          BlockWriter& writer) {
  GroupBuilder builder(options, writer);
  PendingRows pending;
  GANTRY_TRY(OrderedGroup traces, OrderedGroup::make(group));
  for (; !traces.at_end(); traces.next()) {
    const auto rows = traces.rows();
    if (options.is_deleted && options.is_deleted(traces.id(), 0)) continue;
    const bool is_large = rows.size() >= options.group_spans;
    if (is_large || builder.is_full() || builder.spans() + pending.size() >= options.group_spans) {
      GANTRY_CHECK(pending.copy(group, builder));
      GANTRY_CHECK(builder.write());
    }
    pending.add(rows);
    if (pending.size() >= kCopySpans) GANTRY_CHECK(pending.copy(group, builder));
  }
  GANTRY_CHECK(pending.copy(group, builder));
  return builder.write();
}

}  // namespace gantry::traces
