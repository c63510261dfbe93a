#include "broadcast/span_views.h"

#include <algorithm>
#include <string_view>

#include "codec/otlp_traces_encoder.h"
#include "pipeline/span_size.h"

namespace gantry::broadcast {
namespace {

using telemetry::AttributeValue;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;

/// Collects spans until there are enough for an item.
class ItemBuilder {
 public:
  ItemBuilder(const SpanBatch& batch, std::size_t bytes_max, const ItemSink& sink)
      : batch_(batch), bytes_max_(bytes_max), sink_(sink) {
    share_parts(batch, item_);
  }

  void add(std::uint32_t index) {
    const telemetry::BatchSpan& span = batch_.spans[index];
    const std::uint64_t size = pipeline::span_size_bytes(batch_, span);
    if (!item_.spans.empty() && bytes_ + size > bytes_max_) flush();
    item_.spans.push_back(span);
    bytes_ += size;
  }

  /// Makes room for spans that are to stay together.
  void begin_group(std::uint64_t bytes) {
    if (!item_.spans.empty() && bytes_ + bytes > bytes_max_) flush();
  }

  void flush() {
    if (item_.spans.empty()) return;
    sink_(codec::encode_otlp_traces(item_), static_cast<std::uint32_t>(item_.spans.size()));
    item_.spans.clear();
    bytes_ = 0;
  }

 private:
  const SpanBatch& batch_;
  const std::size_t bytes_max_;
  const ItemSink& sink_;
  SpanBatch item_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

void set_sampling_rate(SpanBatch& batch, double rate) {
  const SpanAttribute attribute{.key = kSamplingRateKey,
                                .value = {.kind = AttributeValue::Kind::Double, .number = rate}};
  for (telemetry::BatchResource& resource : batch.resources) {
    const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
    for (std::uint32_t i = 0; i < resource.attributes.count; ++i) {
      // A copy: the array may move when it grows.
      const SpanAttribute kept = batch.attributes[resource.attributes.begin + i];
      if (kept.key != kSamplingRateKey) batch.attributes.push_back(kept);
    }
    batch.attributes.push_back(attribute);
    resource.attributes = {.begin = begin,
                           .count = static_cast<std::uint32_t>(batch.attributes.size()) - begin};
  }
}

void encode_items(const SpanBatch& batch, std::span<const TraceGroup> groups,
                  const std::vector<bool>& kept, std::size_t bytes_max, const ItemSink& sink) {
  const bool is_whole = std::ranges::all_of(kept, [](bool is_kept) { return is_kept; });
  if (is_whole && !batch.otlp.empty() && batch.otlp.size() <= bytes_max) {
    sink(batch.otlp, static_cast<std::uint32_t>(batch.spans.size()));
    return;
  }
  ItemBuilder builder(batch, bytes_max, sink);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!kept[i]) continue;
    std::uint64_t bytes = 0;
    for (const std::uint32_t index : groups[i].spans)
      bytes += pipeline::span_size_bytes(batch, batch.spans[index]);
    builder.begin_group(bytes);
    for (const std::uint32_t index : groups[i].spans) builder.add(index);
  }
  builder.flush();
}

}  // namespace gantry::broadcast
