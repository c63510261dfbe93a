// Any bytes as a histogram block: no read past the end, bounded memory, and what decodes comes back
// from its own encoding. The first byte is the count.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "metrics/encoding/histogram_block.h"
#include "metrics/encoding/read_hints.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gantry::telemetry::FloatHistogram;
  using gantry::telemetry::NativeHistogram;
  if (size < 1) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  std::vector<NativeHistogram> histograms(data[0]);
  std::vector<std::shared_ptr<const FloatHistogram>> floats(histograms.size());
  const bool is_good = gantry::metrics::decode_histograms(bytes, histograms).has_value();
  require(gantry::metrics::decode_float_histograms(bytes, floats).has_value() == is_good);
  if (!is_good) return 0;
  std::vector<FloatHistogram> read;
  read.reserve(histograms.size());
  std::vector<FloatHistogram*> pointers;
  for (const NativeHistogram& histogram : histograms) {
    require(gantry::metrics::fits_histogram_block(histogram));
    pointers.push_back(&read.emplace_back(gantry::telemetry::to_float(histogram)));
  }
  gantry::metrics::set_read_hints(pointers);
  for (std::size_t i = 0; i < histograms.size(); ++i) {
    require(gantry::telemetry::is_identical(read[i], *floats[i]));
  }
  std::vector<std::byte> encoded;
  gantry::metrics::encode_histograms(histograms, encoded);
  std::vector<NativeHistogram> again(histograms.size());
  require(gantry::metrics::decode_histograms(encoded, again).has_value());
  for (std::size_t i = 0; i < histograms.size(); ++i) {
    require(gantry::telemetry::is_identical(histograms[i], again[i]));
  }
  return 0;
}
