// Influx line protocol: the first byte chooses mapping and strictness.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "codec/influx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  codec::InfluxOptions options{.now_ns = 1'700'000'000'000'000'000};
  if ((data[0] & 1U) != 0) options.mapping = codec::InfluxMapping::VictoriaMetrics;
  if ((data[0] & 1U) != 0) options.precision = codec::InfluxPrecision::ByMagnitude;
  options.keeps_good_lines = (data[0] & 2U) != 0;
  static codec::InfluxDecoder decoder;
  if (!decoder.decode(body, options)) return 0;
  core::Arena arena;
  std::vector<telemetry::LabelView> labels;
  for (std::uint32_t i = 0; i < decoder.batch().series.size(); ++i) {
    labels.clear();
    static_cast<void>(decoder.batch().resolver->resolve(i, arena, labels));
  }
  return 0;
}
