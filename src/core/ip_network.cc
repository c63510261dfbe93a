#include "core/ip_network.h"

#include <algorithm>
#include <charconv>
#include <span>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace gantry::core {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// The bits after the prefix, set to zero.
void clear_host_bits(std::span<std::uint8_t> bytes, int prefix_bits) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int kept = std::clamp(prefix_bits - static_cast<int>(8 * i), 0, 8);
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00U >> kept));
  }
}

std::string address_text(bool is_v4, const std::array<std::uint8_t, 16>& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  const std::string terminated(text);
  IpAddress address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes_.data()) == 1) return address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) != 1) return std::nullopt;
  address.is_v4_ = std::ranges::equal(std::span(address.bytes_).first<12>(), kMappedPrefix);
  if (address.is_v4_) {
    std::ranges::copy(std::span(address.bytes_).last<4>(), address.bytes_.begin());
    std::ranges::fill(std::span(address.bytes_).last<12>(), std::uint8_t{0});
  }
  return address;
}

std::string IpAddress::text() const {
  return address_text(is_v4_, bytes_);
}

Result<IpNetwork> IpNetwork::parse(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::InvalidArgument, fmt::format("subnet \"{}\": {}", text, why));
  };
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return refuse("no prefix length; a single address is /32 or, for IPv6, /128");
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return refuse("not an IP address before the /");
  const std::string_view digits = text.substr(slash + 1);
  int prefix_bits = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), prefix_bits);
  const int bits_max = address->is_v4() ? 32 : 128;
  const bool is_number = error == std::errc() && end == digits.data() + digits.size() &&
                         !digits.starts_with('-') && !digits.starts_with('+');
  if (!is_number || prefix_bits > bits_max)
    return refuse(fmt::format("the prefix length is not a number from 0 to {}", bits_max));

  IpNetwork network;
  network.address_ = *address;
  network.prefix_bits_ = prefix_bits;
  auto bytes = address->bytes();
  clear_host_bits(std::span(bytes).first(static_cast<std::size_t>(bits_max) / 8), prefix_bits);
  if (bytes != address->bytes())
    return refuse(fmt::format("bits are set after the prefix; the network is {}/{}",
                              address_text(address->is_v4(), bytes), prefix_bits));
  return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
  if (address.is_v4() != address_.is_v4()) return false;
  auto bytes = address.bytes();
  clear_host_bits(std::span(bytes).first(address.is_v4() ? 4 : 16), prefix_bits_);
  return bytes == address_.bytes();
}

std::string IpNetwork::text() const {
  return fmt::format("{}/{}", address_.text(), prefix_bits_);
}

}  // namespace gantry::core
