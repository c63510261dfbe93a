#pragma once

// IP addresses and CIDR networks, as rules about who may connect name them.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::core {

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (::ffff:10.0.0.1) is the IPv4 address.
class IpAddress {
 public:
  /// Null for anything but an address: no port, no brackets, no zone.
  static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const { return is_v4_; }

  /// Network byte order; the first 4 of an IPv4 address.
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  [[nodiscard]] std::string text() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  bool is_v4_ = true;
  std::array<std::uint8_t, 16> bytes_{};
};

/// "10.0.0.0/8", "2001:db8::/32".
class IpNetwork {
 public:
  /// Errors: InvalidArgument: no prefix length, one that is too long, or bits set after it (the
  /// message says what the network would be).
  static Result<IpNetwork> parse(std::string_view text);

  [[nodiscard]] bool contains(const IpAddress& address) const;

  [[nodiscard]] std::string text() const;

  friend auto operator<=>(const IpNetwork&, const IpNetwork&) = default;

 private:
  IpAddress address_;
  int prefix_bits_ = 0;
};

}  // namespace gantry::core
