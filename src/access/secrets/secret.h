#pragma once

// Bytes that nobody else may see: kept apart from the heap, wiped when they go, and masked where
// somebody formats them by mistake.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <fmt/core.h>

namespace gantry::access {

/// Lies in pages of its own between guard pages: wiped before they are given back, left out of core
/// dumps, and held in memory as far as RLIMIT_MEMLOCK allows. Costs a few system calls to make: for
/// keys and credentials, not for hot paths. Move-only; the moved-from one is empty.
class Secret {
 public:
  Secret() = default;

  /// Zeros.
  explicit Secret(std::size_t size_bytes);

  [[nodiscard]] static Secret copy_of(std::string_view text);
  [[nodiscard]] static Secret random(std::size_t size_bytes);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() = default;

  [[nodiscard]] std::size_t size() const { return size_bytes_; }

  /// Valid as long as the secret. Copies of it are the caller's to wipe.
  [[nodiscard]] std::string_view view() const;

  [[nodiscard]] std::span<unsigned char> bytes() { return {bytes_.get(), size_bytes_}; }

  [[nodiscard]] std::span<const unsigned char> bytes() const { return {bytes_.get(), size_bytes_}; }

 private:
  struct Release {
    void operator()(unsigned char* bytes) const;
  };

  std::unique_ptr<unsigned char, Release> bytes_;
  std::size_t size_bytes_ = 0;
};

/// Overwrites a text that held a secret, in a way that no compiler leaves out.
void wipe(std::span<char> text);

}  // namespace gantry::access

/// "****". Takes no width or alignment.
template <>
struct fmt::formatter<gantry::access::Secret> {
  static constexpr auto parse(const fmt::format_parse_context& context) { return context.begin(); }

  template <class Context>
  static auto format(const gantry::access::Secret& /*secret*/, Context& context) {
    return std::fill_n(context.out(), 4, '*');
  }
};
