#pragma once

// Little-endian numbers, varints and strings into and out of byte buffers: what the log's records
// and the manifest are made of.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace gantry::storage {

static_assert(std::endian::native == std::endian::little, "formats are little-endian");

/// Appends to a buffer that the caller owns.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_(out) {}

  void u8(std::uint8_t value) { out_.push_back(static_cast<std::byte>(value)); }

  void u32(std::uint32_t value) { raw(&value, sizeof value); }

  void u64(std::uint64_t value) { raw(&value, sizeof value); }

  void f64(double value) { u64(std::bit_cast<std::uint64_t>(value)); }

  /// LEB128.
  void varint(std::uint64_t value) {
    while (value >= 0x80) {
      u8(static_cast<std::uint8_t>(value | 0x80));
      value >>= 7;
    }
    u8(static_cast<std::uint8_t>(value));
  }

  /// Zigzag, then LEB128.
  void svarint(std::int64_t value) {
    varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }

  /// Length as varint, then the bytes.
  void string(std::string_view text) {
    varint(text.size());
    raw(text.data(), text.size());
  }

  void bytes(std::span<const std::byte> data) { raw(data.data(), data.size()); }

  void raw(const void* data, std::size_t size) {
    if (size == 0) return;
    const std::size_t at = out_.size();
    out_.resize(at + size);
    std::memcpy(out_.data() + at, data, size);
  }

  [[nodiscard]] std::size_t size() const { return out_.size(); }

 private:
  std::vector<std::byte>& out_;
};

/// Never reads outside its bytes. After a read past the end or a varint of more than 64 bits,
/// `failed()` stays true and every read gives zero.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : left_(bytes) {}

  std::uint8_t u8() {
    if (left_.empty()) return fail_();
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_ = left_.subspan(1);
    return value;
  }

  std::uint32_t u32() { return number<std::uint32_t>(); }

  std::uint64_t u64() { return number<std::uint64_t>(); }

  double f64() { return std::bit_cast<double>(u64()); }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t byte = u8();
      if (failed_ || (shift == 63 && byte > 1)) return fail_();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail_();
  }

  std::int64_t svarint() {
    const std::uint64_t value = varint();
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }

  /// A count of things that take at least `bytes_each` bytes each: more than the rest of the input
  /// could hold is a failure, so that nobody allocates for a lie.
  std::size_t count(std::size_t bytes_each) {
    const std::uint64_t value = varint();
    if (bytes_each != 0 && value > left_.size() / bytes_each) return fail_();
    return static_cast<std::size_t>(value);
  }

  std::span<const std::byte> bytes(std::size_t size) {
    if (size > left_.size()) {
      fail_();
      return {};
    }
    const std::span<const std::byte> out = left_.first(size);
    left_ = left_.subspan(size);
    return out;
  }

  std::string_view string() {
    const std::span<const std::byte> out = bytes(count(1));
    return {reinterpret_cast<const char*>(out.data()), out.size()};
  }

  /// For what was read and cannot be.
  void fail() { fail_(); }

  [[nodiscard]] bool failed() const { return failed_; }

  [[nodiscard]] bool at_end() const { return left_.empty() && !failed_; }

  [[nodiscard]] std::span<const std::byte> rest() const { return left_; }

 private:
  template <class T>
  T number() {
    if (left_.size() < sizeof(T)) return fail_();
    T value;
    std::memcpy(&value, left_.data(), sizeof value);
    left_ = left_.subspan(sizeof value);
    return value;
  }

  std::uint8_t fail_() {
    failed_ = true;
    left_ = {};
    return 0;
  }

  std::span<const std::byte> left_;
  bool failed_ = false;
};

}  // namespace gantry::storage
