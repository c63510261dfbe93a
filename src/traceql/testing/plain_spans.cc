#include "traceql/testing/plain_spans.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include <fmt/format.h>

namespace gantry::traceql::testing {

namespace {

using telemetry::AttributeValue;
using telemetry::SpanBatch;
using telemetry::SpanKind;

std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) break;
  }
  return value;
}

std::string_view take(std::string_view& bytes, std::size_t count) {
  const std::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(taken.size());
  return taken;
}

Static decode_array(std::string_view bytes);

// An AnyValue that is well-formed: what the builders of test data write.
Static decode_any(std::string_view bytes) {
  if (bytes.empty()) return Static::nil();
  const std::uint64_t tag = take_varint(bytes);
  switch (tag) {
    case 0x0A:
      return Static::of_string(std::string(take(bytes, take_varint(bytes))));
    case 0x10:
      return Static::of_bool(take_varint(bytes) != 0);
    case 0x18:
      return Static::of_int(static_cast<std::int64_t>(take_varint(bytes)));
    case 0x21: {
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < 8; ++i) {
        bits |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
      }
      return Static::of_float(std::bit_cast<double>(bits));
    }
    case 0x2A:
      return decode_array(take(bytes, take_varint(bytes)));
    default:
      return Static::nil();
  }
}

// Arrays of one scalar type can be asked for, others cannot.
Static decode_array(std::string_view bytes) {
  Static array;
  array.type = StaticType::StringArray;
  while (!bytes.empty()) {
    take_varint(bytes);
    array.elements.push_back(decode_any(take(bytes, take_varint(bytes))));
  }
  for (const Static& element : array.elements) {
    if (element.type != array.elements[0].type) return Static::nil();
  }
  if (array.elements.empty()) return array;
  switch (array.elements[0].type) {
    case StaticType::Int:
      array.type = StaticType::IntArray;
      return array;
    case StaticType::Float:
      array.type = StaticType::FloatArray;
      return array;
    case StaticType::String:
      return array;
    case StaticType::Bool:
      array.type = StaticType::BoolArray;
      return array;
    default:
      return Static::nil();
  }
}

PlainAttributes plain_attributes(const SpanBatch& batch, telemetry::BatchSlice slice) {
  PlainAttributes result;
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(slice)) {
    const AttributeValue& value = attribute.value;
    Static plain;
    switch (value.kind) {
      case AttributeValue::Kind::String:
        plain = Static::of_string(std::string(value.text));
        break;
      case AttributeValue::Kind::Bool:
        plain = Static::of_bool(value.boolean);
        break;
      case AttributeValue::Kind::Int:
        plain = Static::of_int(value.integer);
        break;
      case AttributeValue::Kind::Double:
        plain = Static::of_float(value.number);
        break;
      case AttributeValue::Kind::Encoded:
        plain = decode_any(value.text);
        break;
    }
    if (plain.type != StaticType::Nil) result.emplace(attribute.key, std::move(plain));
  }
  return result;
}

PlainSpan plain_span(const SpanBatch& batch, const telemetry::BatchSpan& from) {
  PlainSpan span;
  span.id = from.span_id;
  span.parent_id = from.parent_id;
  span.kind = from.kind;
  span.status = from.status;
  span.name = from.name;
  span.status_message = from.status_message;
  span.start_ns = static_cast<std::int64_t>(from.start_ns);
  span.duration_ns = static_cast<std::int64_t>(from.duration_ns());
  span.attributes = plain_attributes(batch, from.attributes);
  span.resource = plain_attributes(batch, batch.resources[from.resource].attributes);
  span.resource.try_emplace("service.name", Static::of_string(""));
  const telemetry::BatchScope& scope = batch.scopes[from.scope];
  span.scope_name = scope.name;
  span.scope_version = scope.version;
  span.scope = plain_attributes(batch, scope.attributes);
  for (const telemetry::BatchEvent& event : batch.events_of(from)) {
    span.events.push_back(
        {.name = std::string(event.name),
         .since_start_ns = static_cast<std::int64_t>(event.time_ns) - span.start_ns,
         .attributes = plain_attributes(batch, event.attributes)});
  }
  for (const telemetry::BatchLink& link : batch.links_of(from)) {
    span.links.push_back({.trace_id = plain_trace_id(link.trace_id),
                          .span_id = plain_span_id(link.span_id),
                          .attributes = plain_attributes(batch, link.attributes)});
  }
  return span;
}

// Two spans of one id are the halves of one call: the server's parent is the client.
std::optional<std::size_t> find_parent(const PlainTrace& trace, std::size_t of) {
  const PlainSpan& span = trace.spans[of];
  const bool is_server = span.kind == SpanKind::Server;
  for (std::size_t i = 0; is_server && i < trace.spans.size(); ++i) {
    const PlainSpan& other = trace.spans[i];
    if (other.id != span.id || other.kind != SpanKind::Client) continue;
    if (span.parent_id == other.parent_id || span.parent_id == span.id) return i;
  }
  if (span.parent_id == 0) return std::nullopt;
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    if (trace.spans[i].id == span.parent_id) candidates.push_back(i);
  }
  if (candidates.size() == 1) return candidates[0];
  for (const std::size_t i : candidates) {
    if (trace.spans[i].kind == (is_server ? SpanKind::Client : SpanKind::Server)) return i;
  }
  return std::nullopt;
}

void number(PlainTrace& trace, std::size_t index, std::int64_t parent_left, std::int64_t& next) {
  PlainSpan& span = trace.spans[index];
  span.left = next++;
  span.parent_left = parent_left;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    if (trace.spans[i].parent == index) number(trace, i, span.left, next);
  }
  span.right = next++;
}

bool has_usable_ids(const PlainTrace& trace) {
  std::map<telemetry::SpanId, int> counts;
  for (const PlainSpan& span : trace.spans) {
    if (++counts[span.id] > 2) return false;
  }
  return true;
}

void build_tree(PlainTrace& trace) {
  for (std::size_t i = 0; i < trace.spans.size() && !trace.root; ++i) {
    if (trace.spans[i].parent_id == 0) trace.root = i;
  }
  if (!trace.root || !has_usable_ids(trace)) return;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    trace.spans[i].parent = find_parent(trace, i);
    if (trace.spans[i].parent) ++trace.spans[*trace.spans[i].parent].children;
  }
  std::int64_t next = 1;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    if (trace.spans[i].parent_id == 0 && !trace.spans[i].parent) number(trace, i, -1, next);
  }
}

}  // namespace

std::vector<PlainTrace> make_plain_traces(std::span<const SpanBatch> batches) {
  std::vector<PlainTrace> traces;
  for (const SpanBatch& batch : batches) {
    for (const telemetry::BatchSpan& span : batch.spans) {
      auto found = std::ranges::find(traces, span.trace_id, &PlainTrace::id);
      if (found == traces.end()) {
        traces.push_back({.id = span.trace_id});
        found = traces.end() - 1;
      }
      found->spans.push_back(plain_span(batch, span));
    }
  }
  for (PlainTrace& trace : traces) {
    trace.start_ns = trace.spans[0].start_ns;
    for (const PlainSpan& span : trace.spans) {
      trace.start_ns = std::min(trace.start_ns, span.start_ns);
      trace.end_ns = std::max(trace.end_ns, span.start_ns + span.duration_ns);
    }
    build_tree(trace);
  }
  return traces;
}

std::string plain_trace_id(const telemetry::TraceId& id) {
  std::string text;
  for (const std::uint8_t byte : id.bytes) text += fmt::format("{:02x}", byte);
  text.erase(0, std::min(text.find_first_not_of('0'), text.size()));
  return text;
}

std::string plain_span_id(telemetry::SpanId id) {
  return fmt::format("{:016x}", id);
}

}  // namespace gantry::traceql::testing
