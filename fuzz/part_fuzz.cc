// Any bytes inside a part's frames, with checksums that agree: opening, listing, reading and
// merging must end in samples or in an error. The input is a row of frames, each a length of two
// bytes and that many bytes: the index's footer, three frames of the index, the rest of the data.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "metrics/part/part_merge.h"
#include "metrics/part/part_reader.h"
#include "metrics/part/part_writer.h"
#include "storage/checksummed_file.h"
#include "storage/directory.h"
#include "storage/faulty_file_system.h"

namespace gantry::metrics {
namespace {

using Bytes = std::span<const std::byte>;

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

void write_part(storage::FileSystem& files, Bytes input) {
  const Bytes footer = take_frame(input);
  require(files.create_directories("/part").has_value());
  auto index = storage::FrameWriter::create(files, "/part/index", {.magic = "GANTRYPI"});
  auto data = storage::FrameWriter::create(files, "/part/data", {.magic = "GANTRYPD"});
  for (int i = 0; i < 3; ++i) require((*index)->add(take_frame(input), 0).has_value());
  while (!input.empty()) require((*data)->add(take_frame(input), 0).has_value());
  require((*index)->finish(footer).has_value());
  require((*data)->finish({}).has_value());
}

void read_part(const PartReader& part) {
  const auto cursor = part.series();
  if (!cursor) return;
  PartReader::Scratch scratch;
  while ((*cursor)->next().value_or(false)) {
    promql::SampleColumns out;
    if (!part.read((*cursor)->ordinal(), std::numeric_limits<std::int64_t>::min(),
                   std::numeric_limits<std::int64_t>::max(), scratch, out)) {
      continue;
    }
    require(out.timestamps_ms.size() == out.values.size());
    require(out.start_timestamps_ms.empty() || out.start_timestamps_ms.size() == out.values.size());
  }
}

}  // namespace
}  // namespace gantry::metrics

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  using namespace gantry::metrics;
  storage::FaultyFileSystem files;
  write_part(files, std::as_bytes(std::span(data, size)));
  FrameCache cache(1 << 20);
  const auto part = PartReader::open(files, "/part", cache);
  if (!part) return 0;
  read_part(**part);
  require(files.create_directories("/merged").has_value());
  auto writer = PartWriter::create(files, "/merged", {});
  require(writer.has_value());
  const PartReader* input = part->get();
  if (!merge_parts({&input, 1}, {}, **writer)) return 0;
  require((*writer)->finish().has_value());
  const auto merged = PartReader::open(files, "/merged", cache);
  require(merged.has_value());
  read_part(**merged);
  return 0;
}
