#include "codec/remote_write_parts.h"

#include <bit>
#include <cstring>
#include <initializer_list>

#include <protozero/pbf_message.hpp>

#include "codec/remote_write_fields.h"

namespace gantry::codec {

using protozero::pbf_wire_type;
using telemetry::LabelView;
using telemetry::MetricType;

static_assert(std::endian::native == std::endian::little, "doubles are read as they are sent");

MetricType metric_type(std::int32_t number) {
  return number > 0 && number <= static_cast<std::int32_t>(MetricType::StateSet)
             ? static_cast<MetricType>(number)
             : MetricType::Unknown;
}

LabelView decode_label(std::string_view bytes) {
  LabelView label;
  protozero::pbf_message<wire::v1::Label> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(wire::v1::Label::Name, pbf_wire_type::length_delimited):
        label.name = message.get_view();
        break;
      case tag_and_type(wire::v1::Label::Value, pbf_wire_type::length_delimited):
        label.value = message.get_view();
        break;
      default:
        message.skip();
    }
  }
  return label;
}

namespace {

/// Any order of fields, any of them missing. Both versions: 1.0 has no field 3.
DecodedSample decode_any_sample(std::string_view bytes) {
  DecodedSample sample;
  protozero::pbf_message<wire::v2::Sample> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(wire::v2::Sample::Value, pbf_wire_type::fixed64):
        sample.value = message.get_double();
        break;
      case tag_and_type(wire::v2::Sample::Timestamp, pbf_wire_type::varint):
        sample.timestamp_ms = message.get_int64();
        break;
      case tag_and_type(wire::v2::Sample::StartTimestamp, pbf_wire_type::varint):
        sample.start_timestamp_ms = message.get_int64();
        break;
      default:
        message.skip();
    }
  }
  return sample;
}

}  // namespace

// What senders write nearly always, a double and a timestamp in this order, is read directly:
// 09 <8 bytes> 10 <varint>.
DecodedSample decode_sample(std::string_view bytes) {
  constexpr std::size_t kTimestampAt = 10;
  constexpr std::size_t kVarintBytesMax = 9;  // One more and the value would not fit 63 bits.
  const bool is_plain = bytes.size() > kTimestampAt &&
                        bytes.size() <= kTimestampAt + kVarintBytesMax && bytes[0] == 0x09 &&
                        bytes[kTimestampAt - 1] == 0x10;
  if (!is_plain) return decode_any_sample(bytes);
  DecodedSample sample;
  std::uint64_t timestamp = 0;
  for (std::size_t i = kTimestampAt; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    timestamp |= std::uint64_t{byte & 0x7fU} << (7 * (i - kTimestampAt));
    const bool is_last = (byte & 0x80U) == 0;
    if (is_last != (i + 1 == bytes.size())) return decode_any_sample(bytes);
  }
  std::memcpy(&sample.value, bytes.data() + 1, sizeof(sample.value));
  sample.timestamp_ms = static_cast<std::int64_t>(timestamp);
  return sample;
}

std::size_t leading_label_bytes(std::string_view series) {
  std::size_t position = 0;
  while (position + 2 <= series.size() && series[position] == 0x0a) {
    const auto length = static_cast<unsigned char>(series[position + 1]);
    const std::size_t end = position + 2 + length;
    if (length >= 0x80 || end > series.size()) break;
    position = end;
  }
  return position;
}

std::string_view family_of(std::string_view name, MetricType type) {
  const auto strip = [&](std::initializer_list<std::string_view> suffixes) {
    for (const std::string_view suffix : suffixes) {
      if (name.size() > suffix.size() && name.ends_with(suffix)) {
        return name.substr(0, name.size() - suffix.size());
      }
    }
    return name;
  };
  if (type == MetricType::Histogram) return strip({"_bucket", "_sum", "_count"});
  if (type == MetricType::GaugeHistogram) return strip({"_bucket", "_gsum", "_gcount"});
  if (type == MetricType::Summary) return strip({"_sum", "_count"});
  return name;
}

}  // namespace gantry::codec
