#include "metrics/head/sealed_block.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "metrics/encoding/histogram_block.h"
#include "metrics/encoding/value_block.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {

EncodedBlock SealedBlock::encoded() const {
  const auto* const bytes = reinterpret_cast<const std::byte*>(this + 1);
  return {.kind = kind,
          .sample_count = sample_count,
          .time_ms_min = time_ms_min,
          .time_ms_max = time_ms_max,
          .times = {bytes, time_bytes},
          .values = {bytes + time_bytes, value_bytes},
          .start_timestamps = {bytes + time_bytes + value_bytes, start_bytes}};
}

void seal(SeriesRecord& record, HeadContext& context, const SealSource& source) {
  if (source.times.empty()) return;
  const bool is_float = source.histograms.empty();
  context.time_bytes.clear();
  context.value_bytes.clear();
  context.start_bytes.clear();
  storage::encode_timestamps(source.times, context.time_bytes);
  if (is_float) {
    encode_values(source.values, context.value_bytes);
  } else {
    encode_histograms(source.histograms, context.value_bytes);
  }
  if (std::ranges::any_of(source.starts, [](std::int64_t start) { return start != 0; })) {
    storage::encode_integers(source.starts, context.start_bytes);
  }

  const std::size_t size = sizeof(SealedBlock) + context.time_bytes.size() +
                           context.value_bytes.size() + context.start_bytes.size();
  auto* const block = new (::operator new(size))
      SealedBlock{.next = record.sealed,
                  .time_ms_min = source.times.front(),
                  .time_ms_max = source.times.back(),
                  .generation = source.generation,
                  .value_bytes = static_cast<std::uint32_t>(context.value_bytes.size()),
                  .time_bytes = static_cast<std::uint16_t>(context.time_bytes.size()),
                  .start_bytes = static_cast<std::uint16_t>(context.start_bytes.size()),
                  .sample_count = static_cast<std::uint16_t>(source.times.size()),
                  .kind = is_float ? BlockKind::Float : BlockKind::Histogram,
                  .is_late = source.is_late};
  auto* out = reinterpret_cast<std::byte*>(block + 1);
  for (const std::vector<std::byte>* bytes :
       {&context.time_bytes, &context.value_bytes, &context.start_bytes}) {
    if (!bytes->empty()) std::memcpy(out, bytes->data(), bytes->size());
    out += bytes->size();
  }
  record.sealed = block;
  context.sealed_bytes += block->allocated_bytes();
  ++context.sealed_count;
}

void free_block(SealedBlock* block, HeadContext& context) {
  context.sealed_bytes -= block->allocated_bytes();
  --context.sealed_count;
  ::operator delete(block);
}

}  // namespace gantry::metrics
