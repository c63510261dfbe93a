// Remote write bodies, both versions, with and without labels from metadata: the first byte
// chooses. Every series is resolved, as a store would.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "codec/remote_write.h"
#include "codec/remote_write_starts.h"

namespace {

/// What is a message stays one, and has none afterwards.
void check_without_starts(std::string_view body) {
  using namespace gantry;
  codec::RemoteWriteDecoder decoder;
  if (!decoder.decode(codec::RemoteWriteVersion::V1, body, {.has_start_timestamps = true})) return;
  const std::size_t samples = decoder.batch().samples.size();
  const auto plain = codec::without_start_timestamps(body);
  GANTRY_ASSERT(plain.has_value(), "it was decoded");
  GANTRY_ASSERT(
      decoder.decode(codec::RemoteWriteVersion::V1, *plain, {.has_start_timestamps = true}),
      "it is a message still");
  GANTRY_ASSERT(decoder.batch().samples.size() == samples, "no sample is lost");
  GANTRY_ASSERT(decoder.batch().start_timestamps_ms.empty(), "none is left");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto version =
      data[0] % 2 == 0 ? codec::RemoteWriteVersion::V1 : codec::RemoteWriteVersion::V2;
  static codec::RemoteWriteDecoder decoder;
  const codec::RemoteWriteOptions options{.adds_type_and_unit_labels = (data[0] & 2) != 0,
                                          .has_start_timestamps = (data[0] & 4) != 0};
  if (version == codec::RemoteWriteVersion::V1) check_without_starts(body);
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
