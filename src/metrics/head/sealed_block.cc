#include "metrics/head/sealed_block.h"

#include <algorithm>
#include <array>
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

namespace {

SealedBlock* make_block(HeadContext& context, const SealSource& source) {
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
      SealedBlock{.time_ms_min = source.times.front(),
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
  context.sealed_bytes += block->allocated_bytes();
  ++context.sealed_count;
  return block;
}

bool is_mergeable(const SealedBlock& block, std::uint32_t generation) {
  return block.generation == generation && !block.is_late && block.kind == BlockKind::Float &&
         block.sample_count <= kOpenSamplesMax;
}

}  // namespace

void seal(SeriesRecord& record, HeadContext& context, const SealSource& source) {
  if (source.times.empty()) return;
  SealedBlock* const block = make_block(context, source);
  block->next = record.sealed;
  record.sealed = block;
}

void merge_sealed(SeriesRecord& record, HeadContext& context) {
  const std::size_t phase = reinterpret_cast<std::uintptr_t>(&record) / sizeof(SeriesRecord);
  if ((++record.seal_count + phase) % kMergedBlocks != 0) return;
  SealedBlock** link = &record.sealed;
  for (std::size_t i = 0; i < kFreshBlocks && *link != nullptr; ++i) link = &(*link)->next;

  // Newest first. Blocks of an older generation may be in use by a flush.
  std::array<SealedBlock*, kMergedBlocks> blocks{};
  std::size_t count = 0;
  SealedBlock* rest = *link;
  for (; rest != nullptr && count < kMergedBlocks && is_mergeable(*rest, record.generation);
       rest = rest->next) {
    if (count > 0 && rest->time_ms_max >= blocks[count - 1]->time_ms_min) break;
    blocks[count++] = rest;
  }
  if (count < 2) return;

  SeriesColumns& columns = context.lossless;
  columns.clear();
  for (std::size_t i = count; i-- > 0;) {
    // What cannot be decoded stays what it is: reads report it.
    if (!decode_block(blocks[i]->encoded(), columns.floats, columns.histograms)) return;
  }
  SealedBlock* const merged = make_block(context, {.times = columns.floats.timestamps_ms,
                                                   .values = columns.floats.values,
                                                   .starts = columns.floats.start_timestamps_ms,
                                                   .generation = record.generation});
  merged->next = rest;
  *link = merged;
  for (std::size_t i = 0; i < count; ++i) free_block(blocks[i], context);
}

void free_block(SealedBlock* block, HeadContext& context) {
  context.sealed_bytes -= block->allocated_bytes();
  --context.sealed_count;
  ::operator delete(block);
}

}  // namespace gantry::metrics
