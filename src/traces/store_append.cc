// The write path of the store: check, log, wait, store.

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "codec/otlp_traces_encoder.h"
#include "storage/disk_guard.h"
#include "traces/log/log_record.h"
#include "traces/query/trace_lookup.h"
#include "traces/store_impl.h"

namespace gantry::traces {
namespace {

using telemetry::SpanAppendResult;
using telemetry::SpanBatch;
using telemetry::SpanRejectReason;

/// While seals fail, the live segment may grow to so many times its size.
constexpr std::uint64_t kLiveOverflow = 4;

/// The request that has just these spans; a view of the batch or of `buffer`.
std::string_view otlp_of(const SpanBatch& batch, std::span<const std::uint32_t> spans,
                         std::string& buffer) {
  const bool is_whole = spans.size() == batch.spans.size();
  if (is_whole && !batch.otlp.empty()) return batch.otlp;
  if (is_whole) {
    buffer = codec::encode_otlp_traces(batch);
    return buffer;
  }
  SpanBatch chosen;
  for (const std::uint32_t span : spans) chosen.spans.push_back(batch.spans[span]);
  chosen.resources = batch.resources;
  chosen.scopes = batch.scopes;
  chosen.events = batch.events;
  chosen.links = batch.links;
  chosen.attributes = batch.attributes;
  buffer = codec::encode_otlp_traces(chosen);
  return buffer;
}

}  // namespace

Result<SpanAppendResult> StoreImpl::append(const SpanBatch& batch) {
  const std::int64_t started_ns = monotonic_ns();
  const std::shared_ptr<const StoreOptions> settings = options();
  auto result = try_append(batch, *settings);
  if (!result) {
    metrics_.append_failures.add();
    return result;
  }
  count_result(*result);
  metrics_.append_seconds.observe(seconds_since(started_ns));
  return result;
}

Result<void> StoreImpl::check_append(const SpanBatch& batch, const StoreOptions& settings) {
  const std::uint64_t spans_max = settings.limits.spans_per_request_max;
  if (spans_max > 0 && batch.spans.size() > spans_max) {
    return fail(Code::ResourceExhausted, fmt::format("the request has {} spans, the limit is {} "
                                                     "(limits.spans_per_request_max)",
                                                     batch.spans.size(), spans_max));
  }
  if (environment_.disk_guard != nullptr) return environment_.disk_guard->check();
  return {};
}

Result<void> StoreImpl::check_room(const StoreOptions& settings) const {
  const std::shared_ptr<const Segment> live = state_->live();
  const std::uint64_t bytes = live->table().memory_bytes();
  const traceql::GroupCounts counts = live->table().mark().counts;
  constexpr std::uint32_t kRowsMax = SpanTable::kRowsMax / 2;  // and as much for what is pending
  const bool has_rows =
      counts.spans < kRowsMax && counts.events < kRowsMax && counts.links < kRowsMax;
  if (has_rows && bytes <= kLiveOverflow * settings.live_bytes_max) return {};
  return fail(Code::Unavailable,
              fmt::format("the live segment has {} bytes and waits to be made a block "
                          "(traces.live_bytes_max is {})",
                          bytes, settings.live_bytes_max));
}

DurationMs StoreImpl::until_seal(const StoreOptions& settings) const {
  const std::int64_t passed_ms = environment_.clock.now().since_epoch - last_seal_ms_.load();
  return {std::max<std::int64_t>(1000, settings.seal_interval.count - passed_ms)};
}

/// Wakes the background thread, once for each live segment.
void StoreImpl::ask_for_seal(const StoreOptions& settings) {
  const std::shared_ptr<const Segment> live = state_->live();
  if (live->table().memory_bytes() < settings.live_bytes_max) return;
  if (full_segment_.exchange(live.get()) == live.get()) return;
  const core::Lock lock(wake_mutex_);
  is_seal_wanted_ = true;
  wake_.notify_all();
}

Result<SpanAppendResult> StoreImpl::try_append(const SpanBatch& batch,
                                               const StoreOptions& settings) {
  GANTRY_CHECK(check_append(batch, settings));
  const storage::InsideGate inside(gate_);
  if (!inside.is_inside()) return fail(Code::Unavailable, "the trace store is closing");
  GANTRY_CHECK(check_room(settings));

  SpanAppendResult result;
  const std::uint64_t rate_max = settings.limits.span_bytes_per_second_max;
  if (const auto wait = rate_.take(batch.body_bytes, rate_max, environment_.clock.now())) {
    result.rejected_counts[static_cast<std::size_t>(SpanRejectReason::RateLimited)] =
        batch.spans.size();
    result.retry_after = *wait;
    result.messages.push_back(
        fmt::format("the request has {} bytes, the limit is {} bytes a second "
                    "(limits.span_bytes_per_second_max)",
                    batch.body_bytes, rate_max));
    return result;
  }
  const std::vector<std::uint32_t> spans = budget_.admit(batch, settings.limits, result);
  if (result.rejected_counts[static_cast<std::size_t>(SpanRejectReason::LiveTraces)] > 0) {
    result.retry_after = until_seal(settings);
  }
  if (spans.empty()) return result;
  ask_for_seal(settings);
  if (auto stored = store_spans(batch, spans, result); !stored) {
    budget_.give_back(batch, spans);
    rate_.give_back(batch.body_bytes);
    return std::unexpected(std::move(stored).error());
  }
  return result;
}

Result<void> StoreImpl::store_spans(const SpanBatch& batch, std::span<const std::uint32_t> spans,
                                    SpanAppendResult& result) {
  SpanBatch older;
  if (auto read = read_older(batch, spans, older); !read) {
    return fail(Code::Unavailable,
                "earlier spans of a trace could not be read: " + read.error().message);
  }
  std::string buffer;
  std::vector<std::byte> record;
  encode_spans_record(otlp_of(batch, spans, buffer), record);
  PendingAppend pending{.batch = &batch, .spans = spans, .older = &older};
  GANTRY_CHECK(enqueue(record, pending));
  static_cast<void>(log_->wait(pending.ticket));
  apply_until(pending);
  GANTRY_CHECK(pending.outcome);
  result.spans_written = spans.size();
  result.spans_repeated = spans.size() - pending.new_spans;
  return {};
}

/// Spans that the sealing segment and the blocks have of traces that the live one does not.
Result<void> StoreImpl::read_older(const SpanBatch& batch, std::span<const std::uint32_t> spans,
                                   SpanBatch& older) {
  const StoreMoment moment = state_->moment();
  if (!moment.sealing.segment && moment.view->blocks.empty()) return {};
  TraceLookup lookup(moment);
  std::unordered_set<telemetry::TraceId, TraceIdHash> seen;
  const telemetry::TraceId* last = nullptr;
  for (const std::uint32_t span : spans) {
    const telemetry::TraceId& id = batch.spans[span].trace_id;
    if (last != nullptr && *last == id) continue;
    last = &id;
    if (!seen.insert(id).second || moment.live.segment->has_appended(id)) continue;
    GANTRY_CHECK(lookup.find(id));
  }
  return lookup.read(CancelToken(), older);
}

Result<void> StoreImpl::enqueue(std::span<const std::byte> record, PendingAppend& pending) {
  const core::Lock lock(order_mutex_);
  auto ticket = log_->enqueue(kSpansRecord, record);
  if (!ticket) return std::unexpected(log_error(ticket.error()));
  pending.ticket = *ticket;
  pending_.push_back(&pending);
  return {};
}

/// Stores, in the order of the log, everything that came before `last` and `last` itself: when its
/// fate is known, theirs is too. Whoever comes first does it for all.
void StoreImpl::apply_until(PendingAppend& last) {
  const core::Lock lock(apply_mutex_);
  if (last.is_done) return;
  const std::shared_ptr<Segment> live = state_->live();
  while (!last.is_done) {
    PendingAppend* next = nullptr;
    {
      const core::Lock order(order_mutex_);
      next = pending_.front();
      pending_.pop_front();
    }
    apply(*next, *live);
    next->is_done = true;
  }
  live->publish();
}

void StoreImpl::apply(PendingAppend& pending, Segment& live) {
  if (auto logged = log_->wait(pending.ticket); !logged) {
    const bool is_disk_full = logged.error().code == Code::ResourceExhausted;
    if (is_disk_full && environment_.disk_guard != nullptr) {
      environment_.disk_guard->note_disk_full();
    }
    pending.outcome = is_disk_full ? fail(Code::Unavailable, "disk full: " + logged.error().message)
                                   : std::unexpected(log_error(logged.error()));
    return;
  }
  if (!pending.older->spans.empty()) {
    const std::vector<std::uint32_t> adopted = live.adopt(*pending.older);
    budget_.charge(*pending.older, adopted);
    metrics_.spans_adopted.add(adopted.size());
  }
  pending.new_spans = live.append(*pending.batch, pending.spans);
}

Error StoreImpl::log_error(const Error& error) const {
  // The sender's data may be fine: it should come again, whatever failed here. A record that is too
  // large stays too large.
  const Code code = error.code == Code::TooLarge ? Code::ResourceExhausted : Code::Unavailable;
  return {.code = code, .message = "the write-ahead log refused the request: " + error.message};
}

void StoreImpl::count_result(const SpanAppendResult& result) {
  metrics_.spans_appended.add(result.spans_written);
  metrics_.spans_repeated.add(result.spans_repeated);
  for (std::size_t i = 0; i < metrics_.rejected.size(); ++i) {
    if (result.rejected_counts[i] > 0) metrics_.rejected[i]->add(result.rejected_counts[i]);
  }
}

}  // namespace gantry::traces
