#include "traces/append/append_limits.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

namespace gantry::traces {
namespace {

using telemetry::BatchSpan;
using telemetry::SpanAppendResult;
using telemetry::SpanBatch;
using telemetry::SpanRejectReason;
using telemetry::TraceId;

/// What a span's numbers take, about; and an attribute's, event's or link's.
constexpr std::uint64_t kSpanBytes = 96;
constexpr std::uint64_t kItemBytes = 16;
constexpr double kBurstSeconds = 2;

std::uint64_t attribute_bytes(const SpanBatch& batch, telemetry::BatchSlice slice) {
  std::uint64_t bytes = 0;
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(slice)) {
    bytes += kItemBytes + attribute.key.size() + attribute.value.text.size();
  }
  return bytes;
}

std::uint64_t span_bytes(const SpanBatch& batch, const BatchSpan& span) {
  std::uint64_t bytes = kSpanBytes + span.name.size() + span.status_message.size() +
                        span.trace_state.size() + attribute_bytes(batch, span.attributes);
  for (const telemetry::BatchEvent& event : batch.events_of(span)) {
    bytes += kItemBytes + event.name.size() + attribute_bytes(batch, event.attributes);
  }
  for (const telemetry::BatchLink& link : batch.links_of(span)) {
    bytes += 2 * kItemBytes + link.trace_state.size() + attribute_bytes(batch, link.attributes);
  }
  return bytes;
}

std::string hex(const TraceId& id) {
  std::string out;
  for (const std::uint8_t byte : id.bytes) out += fmt::format("{:02x}", byte);
  return out;
}

template <class Message>
void refuse(SpanAppendResult& result, SpanRejectReason reason, const Message& message) {
  ++result.rejected_counts[static_cast<std::size_t>(reason)];
  if (result.messages.size() < SpanAppendResult::kMessagesKept)
    result.messages.push_back(message());
}

}  // namespace

std::vector<std::uint32_t> TraceBudget::admit(const SpanBatch& batch, const Limits& limits,
                                              SpanAppendResult& result) {
  std::vector<std::uint32_t> admitted;
  admitted.reserve(batch.spans.size());
  const core::Lock lock(mutex_);
  for (std::uint32_t i = 0; i < batch.spans.size(); ++i) {
    const BatchSpan& span = batch.spans[i];
    if (span.trace_id == TraceId() || span.span_id == 0) {
      refuse(result, SpanRejectReason::InvalidId,
             [] { return std::string("a trace id or span id is all zero"); });
      continue;
    }
    auto trace = bytes_.find(span.trace_id);
    if (trace == bytes_.end() && limits.live_traces_max > 0 &&
        bytes_.size() >= limits.live_traces_max) {
      refuse(result, SpanRejectReason::LiveTraces, [&] {
        return fmt::format("trace {} is one too many: the limit is {} (limits.live_traces_max)",
                           hex(span.trace_id), limits.live_traces_max);
      });
      continue;
    }
    const std::uint64_t bytes = span_bytes(batch, span);
    if (trace == bytes_.end()) trace = bytes_.try_emplace(span.trace_id).first;
    if (limits.bytes_per_trace_max > 0 && trace->second + bytes > limits.bytes_per_trace_max) {
      refuse(result, SpanRejectReason::TraceTooLarge, [&] {
        return fmt::format(
            "trace {} has {} bytes and a span more would make it {}, the limit is "
            "{} (limits.bytes_per_trace_max)",
            hex(span.trace_id), trace->second, trace->second + bytes, limits.bytes_per_trace_max);
      });
      continue;
    }
    trace->second += bytes;
    admitted.push_back(i);
  }
  return admitted;
}

void TraceBudget::charge(const SpanBatch& batch, std::span<const std::uint32_t> spans) {
  const core::Lock lock(mutex_);
  for (const std::uint32_t i : spans) {
    bytes_[batch.spans[i].trace_id] += span_bytes(batch, batch.spans[i]);
  }
}

void TraceBudget::give_back(const SpanBatch& batch, std::span<const std::uint32_t> spans) {
  const core::Lock lock(mutex_);
  for (const std::uint32_t i : spans) {
    const auto trace = bytes_.find(batch.spans[i].trace_id);
    if (trace == bytes_.end()) continue;
    trace->second -= std::min(trace->second, span_bytes(batch, batch.spans[i]));
    if (trace->second == 0) bytes_.erase(trace);
  }
}

void TraceBudget::clear() {
  const core::Lock lock(mutex_);
  bytes_ = {};
}

std::optional<DurationMs> ByteRate::take(std::uint64_t bytes, std::uint64_t per_second_max,
                                         TimestampMs now) {
  if (per_second_max == 0) return std::nullopt;
  const auto rate = static_cast<double>(per_second_max);
  const double burst = rate * kBurstSeconds;
  const core::Lock lock(mutex_);
  // A clock that steps back drains nothing.
  const double seconds = std::max(0.0, static_cast<double>((now - drained_at_).count) / 1000);
  drained_at_ = now;
  used_bytes_ = std::max(0.0, used_bytes_ - seconds * rate);
  const double wanted = std::min(static_cast<double>(bytes), burst);
  if (used_bytes_ + wanted <= burst) {
    used_bytes_ += static_cast<double>(bytes);
    return std::nullopt;
  }
  return DurationMs{
      static_cast<std::int64_t>(std::ceil((used_bytes_ + wanted - burst) / rate * 1000))};
}

void ByteRate::give_back(std::uint64_t bytes) {
  const core::Lock lock(mutex_);
  used_bytes_ = std::max(0.0, used_bytes_ - static_cast<double>(bytes));
}

}  // namespace gantry::traces
