#pragma once

// The newest floats of a series, not yet encoded. While samples come at an even interval only the
// values take room; the first one that does not gives the buffer a column of times.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace gantry::metrics {

/// A header; `capacity` values follow it, and if times are uneven as many time differences. Made
/// and freed by the functions below.
struct OpenBuffer {
  static constexpr std::uint32_t kUneven = std::numeric_limits<std::uint32_t>::max();

  std::int64_t base_ms = 0;
  std::uint32_t step_ms = 0;  ///< Or kUneven. 0 while there is one sample.
  std::uint16_t count = 0;
  std::uint16_t capacity = 0;

  [[nodiscard]] bool is_even() const { return step_ms != kUneven; }

  [[nodiscard]] double* values() { return reinterpret_cast<double*>(this + 1); }

  [[nodiscard]] const double* values() const { return reinterpret_cast<const double*>(this + 1); }

  /// From base_ms; only if uneven.
  [[nodiscard]] std::uint32_t* differences() {
    return reinterpret_cast<std::uint32_t*>(values() + capacity);
  }

  [[nodiscard]] const std::uint32_t* differences() const {
    return reinterpret_cast<const std::uint32_t*>(values() + capacity);
  }

  [[nodiscard]] std::int64_t time(std::size_t at) const {
    const std::int64_t from_base = is_even() ? static_cast<std::int64_t>(at) * std::int64_t{step_ms}
                                             : std::int64_t{differences()[at]};
    return base_ms + from_base;
  }

  [[nodiscard]] std::int64_t last_time() const { return time(count - std::size_t{1}); }

  /// The first position whose time is not before `time_ms`; `count` if none.
  [[nodiscard]] std::size_t lower_bound(std::int64_t time_ms) const;

  [[nodiscard]] std::size_t allocated_bytes() const {
    return sizeof(OpenBuffer) +
           capacity * (sizeof(double) + (is_even() ? 0 : sizeof(std::uint32_t)));
  }
};

static_assert(sizeof(OpenBuffer) == 16);

/// Appends to `buffer`, which is made, grown or changed to uneven as needed and counted in
/// `bytes`. False, with nothing changed, if the buffer is full or the time too far from its base:
/// encode it first. `time_ms` is after the last one. Hot: per sample.
bool append(OpenBuffer*& buffer, std::size_t& bytes, std::int64_t time_ms, double value);

void free_buffer(OpenBuffer*& buffer, std::size_t& bytes);

}  // namespace gantry::metrics
