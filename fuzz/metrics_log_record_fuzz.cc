// Any bytes as a payload of the metrics log. What decodes must encode to something that decodes to
// the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "metrics/log/log_record.h"

namespace {

using namespace gantry::metrics;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_batch(std::span<const std::byte> bytes) {
  DecodedBatch first;
  if (!decode_batch(bytes, first)) return;
  std::vector<std::byte> again;
  encode_batch(first.record, again);
  DecodedBatch second;
  require(decode_batch(again, second).has_value());
  require(first.record.floats.size() == second.record.floats.size());
  for (std::size_t i = 0; i < first.record.floats.size(); ++i) {
    require(first.record.floats[i].series == second.record.floats[i].series);
    require(first.record.floats[i].point.timestamp_ms ==
            second.record.floats[i].point.timestamp_ms);
  }
  require(first.record.definitions.size() == second.record.definitions.size());
  require(first.record.exemplars.size() == second.record.exemplars.size());
  require(first.record.histograms.size() == second.record.histograms.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0]) {
    case kMetadataRecord:
      static_cast<void>(decode_metadata(bytes));
      break;
    case kDeleteRecord:
      static_cast<void>(decode_delete(bytes));
      break;
    default:
      check_batch(bytes);
      break;
  }
  return 0;
}
