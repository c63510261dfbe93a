// Any bytes inside a trace block's frames, with checksums that agree: opening, reading and merging
// must end in spans or in an error. The input is a row of frames, each a length of two bytes and
// that many bytes; the first is the footer.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "storage/checksummed_file.h"
#include "storage/faulty_file_system.h"
#include "storage/item_cache.h"
#include "traces/block/block_format.h"
#include "traces/block/block_merge.h"
#include "traces/block/block_reader.h"
#include "traces/block/block_writer.h"

namespace gantry::traces {
namespace {

using Bytes = std::span<const std::byte>;

/// Tables of more rows are slow and say nothing new.
constexpr std::uint32_t kRowsMax = 4096;

void require(bool condition) {
  if (!condition) std::abort();
}

Bytes take_frame(Bytes& input) {
  if (input.size() < 2) {
    input = {};
    return {};
  }
  const std::size_t wanted =
      std::to_integer<std::size_t>(input[0]) | std::to_integer<std::size_t>(input[1]) << 8;
  input = input.subspan(2);
  const Bytes frame = input.first(std::min(wanted, input.size()));
  input = input.subspan(frame.size());
  return frame;
}

void write_block(storage::FileSystem& files, Bytes input) {
  const Bytes footer = take_frame(input);
  require(files.create_directories("/block").has_value());
  auto file = storage::FrameWriter::create(files, "/block/spans", kBlockFormat);
  require(file.has_value());
  while (!input.empty()) require((*file)->add(take_frame(input), 0).has_value());
  require((*file)->finish(footer).has_value());
}

bool is_small(const traceql::GroupCounts& counts) {
  const std::array rows = {counts.spans,  counts.traces, counts.resources,
                           counts.scopes, counts.events, counts.links};
  return std::ranges::max(rows) <= kRowsMax;
}

/// False: there is a group too large to be worth reading.
bool read_block(const BlockReader& block) {
  for (std::size_t i = 0; i < block.groups().size(); ++i) {
    const auto group = block.open_group(i);
    if (!group) continue;
    if (!is_small((*group)->counts())) return false;
    std::vector<std::uint32_t> rows((*group)->counts().spans);
    std::iota(rows.begin(), rows.end(), 0U);
    telemetry::SpanBatch batch;
    if (read_spans(**group, rows, batch)) require(batch.spans.size() == rows.size());
    if (const auto sets = (*group)->nested_sets()) require(sets->left.size() == rows.size());
    if (const auto ids = (*group)->trace_ids()) {
      for (const telemetry::TraceId& id : *ids) static_cast<void>(block.find_trace(id));
    }
    const traceql::RequiredText required{.key = "a", .text = "b"};
    static_cast<void>(block.may_have(i, {&required, 1}));
  }
  for (std::size_t page = 0; page < block.trace_page_count(); ++page) {
    static_cast<void>(block.trace_page(page));
  }
  return true;
}

}  // namespace
}  // namespace gantry::traces

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  using namespace gantry::traces;
  storage::FaultyFileSystem files;
  write_block(files, std::as_bytes(std::span(data, size)));
  storage::ItemCache cache(1 << 20);
  const auto block = BlockReader::open(files, "/block", cache);
  if (!block || !read_block(**block)) return 0;
  require(files.create_directories("/merged").has_value());
  auto writer = BlockWriter::create(files, "/merged", {});
  require(writer.has_value());
  const BlockReader* input = block->get();
  if (!merge_blocks({&input, 1}, {}, **writer)) return 0;
  if (!(*writer)->finish()) return 0;
  const auto merged = BlockReader::open(files, "/merged", cache);
  require(merged.has_value());
  require((*merged)->verify().has_value());
  read_block(**merged);
  return 0;
}
