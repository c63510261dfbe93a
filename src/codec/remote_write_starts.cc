#include "codec/remote_write_starts.h"

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "codec/protobuf_tag_internal.h"
#include "codec/remote_write_fields.h"

namespace gantry::codec {
namespace {

using Writer = protozero::basic_pbf_writer<std::string>;

struct WireField {
  protozero::pbf_tag_type tag = 0;
  bool is_message = false;   ///< Or a text, or packed.
  std::string_view bytes;    ///< With its tag, as on the wire.
  std::string_view content;  ///< Of a message.
};

/// Throws protozero's exceptions.
template <class OnField>
void for_each_field(std::string_view message, OnField on_field) {
  protozero::pbf_reader reader(message);
  while (true) {
    const std::string_view before = reader.data();
    if (!reader.next()) return;
    WireField field{.tag = reader.tag()};
    field.is_message = reader.wire_type() == protozero::pbf_wire_type::length_delimited;
    if (field.is_message)
      field.content = reader.get_view();
    else
      reader.skip();
    field.bytes = before.substr(0, before.size() - reader.data().size());
    on_field(field);
  }
}

void append_without(std::string_view message, protozero::pbf_tag_type left_out, std::string& out) {
  for_each_field(message, [&](const WireField& field) {
    if (field.tag != left_out) out += field.bytes;
  });
}

void append_series(std::string_view series, std::string& out) {
  using wire::v1::TimeSeries;
  std::string part;
  for_each_field(series, [&](const WireField& field) {
    const bool is_sample = field.tag == tag(TimeSeries::Samples);
    if (!field.is_message || (!is_sample && field.tag != tag(TimeSeries::Histograms))) {
      out += field.bytes;
      return;
    }
    part.clear();
    append_without(
        field.content,
        is_sample ? tag(wire::v2::Sample::StartTimestamp) : tag(wire::Histogram::StartTimestamp),
        part);
    if (part.size() == field.content.size())
      out += field.bytes;
    else
      Writer(out).add_message(field.tag, part);
  });
}

}  // namespace

Result<std::string> without_start_timestamps(std::string_view messages) {
  std::string out;
  out.reserve(messages.size());
  try {
    std::string series;
    for_each_field(messages, [&](const WireField& field) {
      if (!field.is_message || field.tag != tag(wire::v1::WriteRequest::Timeseries)) {
        out += field.bytes;
        return;
      }
      series.clear();
      append_series(field.content, series);
      if (series.size() == field.content.size())
        out += field.bytes;
      else
        Writer(out).add_message(field.tag, series);
    });
  } catch (const protozero::exception& error) {
    return fail(
        Code::InvalidArgument,
        fmt::format("not remote write 1.0 messages: {} behind {} bytes", error.what(), out.size()));
  }
  return out;
}

}  // namespace gantry::codec
