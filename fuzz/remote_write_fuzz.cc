// Remote write bodies, both versions, with and without labels from metadata: the first byte
// chooses. Every series is resolved, as a store would.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "codec/remote_write.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto version =
      data[0] % 2 == 0 ? codec::RemoteWriteVersion::V1 : codec::RemoteWriteVersion::V2;
  static codec::RemoteWriteDecoder decoder;
  const codec::RemoteWriteOptions options{.adds_type_and_unit_labels = (data[0] & 2) != 0};
  if (!decoder.decode(version, body, options)) return 0;
  core::Arena arena;
  std::vector<telemetry::LabelView> labels;
  for (std::uint32_t i = 0; i < decoder.batch().series.size(); ++i) {
    labels.clear();
    static_cast<void>(decoder.batch().resolver->resolve(i, arena, labels));
  }
  for (const auto& histogram : decoder.batch().histograms) {
    GANTRY_ASSERT(telemetry::validate(histogram.histogram).has_value(),
                  "decoded histograms are valid");
  }
  return 0;
}
