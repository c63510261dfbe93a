#include "traces/trace_pages.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "traces/query/without_traces.h"
#include "traces/stored_group.h"

namespace gantry::traces {
namespace {

using traceql::GroupBounds;
using traceql::SpanSnapshot;

/// Read at once, so that they share their resources; the page's size is looked at in between.
constexpr std::size_t kRunSpans = 64;

/// About what a span takes beside its texts when it is sent.
constexpr std::size_t kSpanBytes = 96;

/// A trace that may be on the page.
struct Candidate {
  TracePosition position;
  std::size_t group = 0;
  std::uint32_t trace = 0;  ///< Its number there.

  friend bool operator<(const Candidate& a, const Candidate& b) { return a.position < b.position; }
};

class PageReader {
 public:
  PageReader(const SpanSnapshot& snapshot, const TracePageRequest& request,
             const CancelToken& cancel)
      : snapshot_(snapshot), request_(request), cancel_(cancel) {}

  /// Finds the first traces_max traces.
  Result<void> choose();

  /// Reads of them what fits.
  Result<TracePage> read(telemetry::SpanBatch& batch);

 private:
  [[nodiscard]] bool is_full() const { return chosen_.size() >= request_.traces_max; }

  Result<void> choose_from(std::size_t group);
  void offer(const Candidate& candidate);
  Result<std::vector<std::uint32_t>> take_run(std::size_t first);

  const SpanSnapshot& snapshot_;
  const TracePageRequest& request_;
  const CancelToken& cancel_;
  std::vector<std::unique_ptr<traceql::SpanGroup>> groups_;  ///< By index; null: not opened.
  std::vector<Candidate> chosen_;  ///< A heap with the last trace on top; sorted when all are in.
  bool has_more_ = false;
};

void PageReader::offer(const Candidate& candidate) {
  if (is_full()) {
    has_more_ = true;
    if (!(candidate < chosen_.front())) return;
    std::ranges::pop_heap(chosen_, std::less<>());
    chosen_.pop_back();
  }
  chosen_.push_back(candidate);
  std::ranges::push_heap(chosen_, std::less<>());
}

Result<void> PageReader::choose_from(std::size_t group) {
  GANTRY_TRY(groups_[group], snapshot_.open(group));
  traceql::SpanGroup& opened = *groups_[group];
  GANTRY_TRY(const auto traces, opened.traces());
  GANTRY_TRY(const auto starts_ns, opened.starts_ns());
  GANTRY_TRY(const auto ids, opened.trace_ids());
  std::vector<std::int64_t> first_ns(opened.counts().traces,
                                     std::numeric_limits<std::int64_t>::max());
  for (std::size_t row = 0; row < traces.size(); ++row)
    first_ns[traces[row]] = std::min(first_ns[traces[row]], starts_ns[row]);
  for (std::uint32_t trace = 0; trace < first_ns.size(); ++trace) {
    const TracePosition position{.start_ns = first_ns[trace], .trace = ids[trace]};
    if (position > request_.after && position.start_ns < request_.end_ns)
      offer({.position = position, .group = group, .trace = trace});
  }
  return {};
}

Result<void> PageReader::choose() {
  const std::span<const GroupBounds> bounds = snapshot_.groups();
  groups_.resize(bounds.size());
  std::vector<std::size_t> order;
  for (std::size_t group = 0; group < bounds.size(); ++group)
    if (bounds[group].trace_start_ns_max >= request_.after.start_ns) order.push_back(group);
  // The earliest first: what only later groups have needs not be looked at when the page is full.
  std::ranges::sort(order, std::less<>(),
                    [&](std::size_t group) { return bounds[group].start_ns_min; });
  for (const std::size_t group : order) {
    if (bounds[group].start_ns_min >= request_.end_ns) break;
    if (is_full() && bounds[group].start_ns_min > chosen_.front().position.start_ns) {
      has_more_ = true;
      break;
    }
    GANTRY_CHECK(cancel_.check());
    GANTRY_CHECK(choose_from(group));
  }
  std::ranges::sort_heap(chosen_, std::less<>());
  return {};
}

/// The numbers, ascending, of the traces from chosen_[first] on that are neighbours in one group.
Result<std::vector<std::uint32_t>> PageReader::take_run(std::size_t first) {
  const std::size_t group = chosen_[first].group;
  GANTRY_TRY(const auto rows, groups_[group]->trace_rows());
  std::vector<std::uint32_t> run;
  std::size_t spans = 0;
  for (std::size_t i = first; i < chosen_.size() && chosen_[i].group == group; ++i) {
    spans += rows.of(chosen_[i].trace).size();
    if (!run.empty() && spans > kRunSpans) break;
    run.push_back(chosen_[i].trace);
  }
  std::ranges::sort(run);
  return run;
}

/// Of the spans and attributes from these on.
std::size_t text_bytes(const telemetry::SpanBatch& batch, std::size_t first_span,
                       std::size_t first_attribute) {
  std::size_t bytes = (batch.spans.size() - first_span) * kSpanBytes;
  for (const auto& attribute : std::span(batch.attributes).subspan(first_attribute))
    bytes += attribute.key.size() + attribute.value.text.size();
  return bytes;
}

Result<TracePage> PageReader::read(telemetry::SpanBatch& batch) {
  TracePage page{.last = request_.after};
  std::size_t bytes = 0;
  while (page.traces < chosen_.size() && bytes < request_.bytes_max) {
    GANTRY_CHECK(cancel_.check());
    auto* const group = dynamic_cast<StoredGroup*>(groups_[chosen_[page.traces].group].get());
    if (group == nullptr)
      return fail(Code::Unimplemented, "whole traces are read from stores of this program only");
    const std::size_t first_span = batch.spans.size();
    const std::size_t first_attribute = batch.attributes.size();
    GANTRY_TRY(const std::vector<std::uint32_t> run, take_run(page.traces));
    GANTRY_TRY(const std::vector<std::uint32_t> rows, rows_of_traces(*group, run));
    GANTRY_CHECK(read_spans(*group, rows, batch));
    bytes += text_bytes(batch, first_span, first_attribute);
    page.traces += run.size();
    page.last = chosen_[page.traces - 1].position;
  }
  page.is_last = page.traces == chosen_.size() && !has_more_;
  return page;
}

}  // namespace

Result<TracePage> read_trace_page(const traceql::SpanSource& source,
                                  const TracePageRequest& request, const CancelToken& cancel,
                                  telemetry::SpanBatch& batch) {
  batch.clear();
  GANTRY_TRY(const std::unique_ptr<SpanSnapshot> snapshot,
             source.open({.start_ns = request.after.start_ns, .end_ns = request.end_ns}, cancel));
  PageReader reader(*snapshot, request, cancel);
  GANTRY_CHECK(reader.choose());
  return reader.read(batch);
}

}  // namespace gantry::traces
