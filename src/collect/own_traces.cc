#include "collect/own_traces.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>

#include <pthread.h>

#include "core/log.h"
#include "core/mutex.h"

namespace gantry::collect {
namespace {

using telemetry::AttributeValue;
using telemetry::SpanBatch;
using telemetry::SpanId;
using telemetry::TraceId;

struct Trace {
  std::vector<core::OwnSpan> spans;
  OwnTraces::Root root;
};

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  return std::nullopt;
}

/// Lower-case hexadecimal only, as the header has it.
bool read_hex(std::string_view text, std::span<std::uint8_t> bytes) {
  if (text.size() != bytes.size() * 2) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto high = hex_digit(text[2 * i]);
    const auto low = hex_digit(text[2 * i + 1]);
    if (!high || !low) return false;
    bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return true;
}

class IdSource {
 public:
  SpanId span_id() {
    SpanId id = 0;
    while (id == 0) id = random_();
    return id;
  }

  TraceId trace_id() {
    TraceId id;
    while (id == TraceId{}) {
      for (std::size_t half = 0; half < 2; ++half) {
        const std::uint64_t bits = random_();
        for (std::size_t i = 0; i < 8; ++i)
          id.bytes[half * 8 + i] = static_cast<std::uint8_t>(bits >> (8 * i));
      }
    }
    return id;
  }

 private:
  std::mt19937_64 random_{std::random_device{}()};
};

AttributeValue to_value(const core::OwnSpanValue& value) {
  AttributeValue out;
  if (const auto* text = std::get_if<std::string>(&value)) {
    out.kind = AttributeValue::Kind::String;
    out.text = *text;
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    out.kind = AttributeValue::Kind::Int;
    out.integer = *integer;
  } else if (const auto* number = std::get_if<double>(&value)) {
    out.kind = AttributeValue::Kind::Double;
    out.number = *number;
  } else {
    out.kind = AttributeValue::Kind::Bool;
    out.boolean = std::get<bool>(value);
  }
  return out;
}

void add_attribute(SpanBatch& batch, telemetry::BatchSlice& slice, std::string_view key,
                   AttributeValue value) {
  const auto present = batch.attributes_of(slice);
  if (std::ranges::find(present, key, &telemetry::SpanAttribute::key) != present.end()) return;
  batch.attributes.push_back({.key = key, .value = value});
  ++slice.count;
}

AttributeValue text_value(std::string_view text) {
  AttributeValue value;
  value.kind = AttributeValue::Kind::String;
  value.text = text;
  return value;
}

/// The views of the batch are into `traces` and `options`.
void fill(SpanBatch& batch, const std::vector<Trace>& traces, const OwnTraces::Options& options,
          IdSource& ids) {
  telemetry::BatchResource resource;
  add_attribute(batch, resource.attributes, "service.name", text_value("gantry"));
  add_attribute(batch, resource.attributes, "service.instance.id", text_value(options.instance));
  add_attribute(batch, resource.attributes, "service.version", text_value(options.version));
  batch.resources.push_back(resource);
  telemetry::BatchScope scope;
  scope.name = "gantry";
  scope.version = options.version;
  batch.scopes.push_back(scope);

  for (const Trace& trace : traces) {
    const TraceId trace_id = trace.root.parent ? trace.root.parent->trace_id : ids.trace_id();
    const std::size_t first = batch.spans.size();
    for (const core::OwnSpan& own : trace.spans) {
      telemetry::BatchSpan span;
      span.trace_id = trace_id;
      span.span_id = ids.span_id();
      if (own.parent != core::OwnSpan::kNoParent) {
        span.parent_id = batch.spans[first + own.parent].span_id;
        span.kind = telemetry::SpanKind::Internal;
      } else {
        span.kind = trace.root.kind;
        if (trace.root.parent) span.parent_id = trace.root.parent->span_id;
      }
      span.name = own.name;
      span.start_ns = static_cast<std::uint64_t>(own.start_ns);
      // A child that was open when its recording was taken ends with it.
      span.end_ns =
          static_cast<std::uint64_t>(own.end_ns != 0 ? own.end_ns : trace.spans.front().end_ns);
      if (own.status == core::OwnSpanStatus::Error) span.status = telemetry::SpanStatus::Error;
      span.status_message = own.status_message;
      span.attributes.begin = static_cast<std::uint32_t>(batch.attributes.size());
      for (const auto& [key, value] : own.attributes)
        add_attribute(batch, span.attributes, key, to_value(value));
      batch.spans.push_back(span);
    }
  }
}

}  // namespace

std::optional<TraceParent> parse_traceparent(std::string_view header) {
  // version(2) - trace id(32) - parent id(16) - flags(2)
  constexpr std::size_t kLength = 55;
  if (header.size() < kLength || header[2] != '-' || header[35] != '-' || header[52] != '-')
    return std::nullopt;
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  std::array<std::uint8_t, 8> span{};
  TraceParent parent;
  if (!read_hex(header.substr(0, 2), version) || version[0] == 0xff) return std::nullopt;
  if (version[0] == 0 ? header.size() != kLength
                      : header.size() > kLength && header[kLength] != '-')
    return std::nullopt;
  if (!read_hex(header.substr(3, 32), parent.trace_id.bytes)) return std::nullopt;
  if (!read_hex(header.substr(36, 16), span)) return std::nullopt;
  if (!read_hex(header.substr(53, 2), flags)) return std::nullopt;
  for (const std::uint8_t byte : span) parent.span_id = parent.span_id << 8 | byte;
  if (parent.trace_id == TraceId{} || parent.span_id == 0) return std::nullopt;
  parent.is_sampled = (flags[0] & 1) != 0;
  return parent;
}

struct OwnTraces::Impl {
  Impl(Options wanted, SpanSink to, core::MetricRegistry& metrics, const Clock& time)
      : options(std::move(wanted)),
        sink(std::move(to)),
        clock(time),
        written(
            metrics.counter("gantry_own_spans_total", "Gantry's own spans that were written.", {})),
        skipped(metrics.counter("gantry_own_traces_skipped_total",
                                "Gantry's own requests beyond self.traces_per_second.", {})),
        dropped_queue(metrics.counter("gantry_own_spans_dropped_total",
                                      "Gantry's own spans that were not written.",
                                      {{"reason", "queue_full"}})),
        dropped_refused(metrics.counter("gantry_own_spans_dropped_total",
                                        "Gantry's own spans that were not written.",
                                        {{"reason", "refused"}})) {}

  const Options options;
  const SpanSink sink;
  const Clock& clock;
  core::Counter& written;
  core::Counter& skipped;
  core::Counter& dropped_queue;
  core::Counter& dropped_refused;

  core::Mutex mutex;
  core::ConditionVariable stopping;
  std::vector<Trace> waiting GANTRY_GUARDED_BY(mutex);
  std::size_t spans_waiting GANTRY_GUARDED_BY(mutex) = 0;
  double allowance GANTRY_GUARDED_BY(mutex) = 0;
  TimestampMs allowance_at GANTRY_GUARDED_BY(mutex);

  IdSource ids;  // of the flushing thread, as are:
  SpanBatch batch;
  bool is_failing = false;
  std::jthread thread;

  /// A token bucket over traces.
  bool admit() GANTRY_REQUIRES(mutex) {
    const double rate = options.traces_per_second;
    const TimestampMs now = clock.now();
    const double passed = static_cast<double>((now - allowance_at).count) / 1000;
    allowance_at = now;
    allowance = std::clamp(allowance + passed * rate, 0.0, 2 * rate);
    if (allowance < 1) return false;
    allowance -= 1;
    return true;
  }

  void flush() GANTRY_EXCLUDES(mutex) {
    std::vector<Trace> traces;
    {
      const core::Lock lock(mutex);
      traces.swap(waiting);
      spans_waiting = 0;
    }
    if (traces.empty()) return;
    batch.clear();
    fill(batch, traces, options, ids);
    const Result<void> done = sink(batch);
    (done ? written : dropped_refused).add(batch.spans.size());
    if (done.has_value() != is_failing) return;
    is_failing = !done.has_value();
    if (is_failing) {
      log::warn("own traces refused", {{"error", done.error().message}});
    } else {
      log::info("own traces written again");
    }
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      {
        core::Lock lock(mutex);
        stopping.wait_for(lock, stop, std::chrono::milliseconds(options.interval.count),
                          [] { return false; });
      }
      flush();
    }
  }
};

OwnTraces::OwnTraces(Options options, SpanSink sink, core::MetricRegistry& metrics,
                     const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(sink), metrics, clock)) {}

OwnTraces::~OwnTraces() {
  stop();
}

bool OwnTraces::wants(const std::optional<TraceParent>& parent) {
  if (parent && !parent->is_sampled) return false;
  const core::Lock lock(impl_->mutex);
  const bool is_admitted = impl_->admit();
  if (!is_admitted) impl_->skipped.add();
  return is_admitted;
}

void OwnTraces::add(std::vector<core::OwnSpan> spans, const Root& root) {
  if (spans.empty()) return;
  Impl& impl = *impl_;
  const core::Lock lock(impl.mutex);
  if (impl.spans_waiting + spans.size() > impl.options.spans_waiting_max) {
    impl.dropped_queue.add(spans.size());
    return;
  }
  impl.spans_waiting += spans.size();
  impl.waiting.push_back({.spans = std::move(spans), .root = root});
}

void OwnTraces::start() {
  impl_->thread =
      std::jthread([impl = impl_.get()](const std::stop_token& stop) { impl->run(stop); });
  pthread_setname_np(impl_->thread.native_handle(), "own-traces");
}

void OwnTraces::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->thread.request_stop();
  impl_->thread.join();
  impl_->flush();
}

void OwnTraces::flush() {
  impl_->flush();
}

}  // namespace gantry::collect
