#pragma once

// Protobuf messages written field by field, for folders above that answer in protobuf.
//
//   std::string bytes;
//   MessageBuilder<Trace> trace(bytes);
//   trace.add_string(Trace::Name, "GET /");
//   {
//     MessageBuilder<Span> span(trace, Trace::Spans);   // becomes a field of `trace` when it goes
//     span.add_uint64(Span::StartTimeUnixNano, start);
//   }
//
// `Field` is an enum of field numbers. Whoever follows proto3 leaves default values out.

#include <cstdint>
#include <string>
#include <string_view>

namespace gantry::codec {

/// The encoding without the types. One thread.
class FieldWriter {
 public:
  FieldWriter(const FieldWriter&) = delete;
  FieldWriter& operator=(const FieldWriter&) = delete;

 protected:
  explicit FieldWriter(std::string& out) : out_(out) {}

  FieldWriter(FieldWriter& parent, std::uint32_t field)
      : out_(own_), parent_(&parent), field_(field) {}

  ~FieldWriter();

  void write_varint(std::uint32_t field, std::uint64_t value);
  void write_fixed64(std::uint32_t field, std::uint64_t value);
  void write_bytes(std::uint32_t field, std::string_view bytes);

 private:
  void append_varint(std::uint64_t value);

  std::string own_;
  std::string& out_;
  FieldWriter* parent_ = nullptr;
  std::uint32_t field_ = 0;
};

template <class Field>
class MessageBuilder final : public FieldWriter {
 public:
  /// Appends to `out`, which must outlive it.
  explicit MessageBuilder(std::string& out) : FieldWriter(out) {}

  /// A message inside another, which gets it when this goes and must not be written to before.
  template <class ParentField>
  MessageBuilder(MessageBuilder<ParentField>& parent, ParentField field)
      : FieldWriter(parent, static_cast<std::uint32_t>(field)) {}

  void add_string(Field field, std::string_view text) {
    write_bytes(static_cast<std::uint32_t>(field), text);
  }

  void add_uint64(Field field, std::uint64_t value) {
    write_varint(static_cast<std::uint32_t>(field), value);
  }

  /// int64, int32 and enums: negative numbers take ten bytes.
  void add_int64(Field field, std::int64_t value) {
    write_varint(static_cast<std::uint32_t>(field), static_cast<std::uint64_t>(value));
  }

  void add_bool(Field field, bool value) { add_uint64(field, value ? 1 : 0); }

  void add_double(Field field, double value) {
    write_fixed64(static_cast<std::uint32_t>(field), __builtin_bit_cast(std::uint64_t, value));
  }
};

}  // namespace gantry::codec
