#include "metrics/head/open_buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "metrics/head/head_series.h"

namespace gantry::metrics {
namespace {

/// With the header: 48, 80, 128, 256 bytes when even.
std::uint16_t next_capacity(std::uint16_t capacity) {
  if (capacity == 0) return 4;
  if (capacity == 4) return 8;
  return capacity == 8 ? 14 : static_cast<std::uint16_t>(kOpenSamplesMax);
}

std::size_t size_of(std::uint16_t capacity, bool is_even) {
  return sizeof(OpenBuffer) + capacity * (sizeof(double) + (is_even ? 0 : sizeof(std::uint32_t)));
}

/// A copy of `old` (which may be null) with another capacity or shape.
void remake(OpenBuffer*& old, std::size_t& bytes, std::uint16_t capacity, bool is_even) {
  auto* const fresh = new (::operator new(size_of(capacity, is_even))) OpenBuffer();
  fresh->capacity = capacity;
  if (old != nullptr) {
    fresh->base_ms = old->base_ms;
    fresh->step_ms = is_even ? old->step_ms : OpenBuffer::kUneven;
    fresh->count = old->count;
    std::memcpy(fresh->values(), old->values(), old->count * sizeof(double));
    if (!is_even) {
      for (std::size_t i = 0; i < old->count; ++i) {
        fresh->differences()[i] = static_cast<std::uint32_t>(old->time(i) - old->base_ms);
      }
    }
  }
  free_buffer(old, bytes);
  bytes += fresh->allocated_bytes();
  old = fresh;
}

}  // namespace

std::size_t OpenBuffer::lower_bound(std::int64_t time_ms) const {
  std::size_t low = 0;
  std::size_t high = count;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (time(middle) < time_ms) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool append(OpenBuffer*& buffer, std::size_t& bytes, std::int64_t time_ms, double value) {
  if (buffer == nullptr) remake(buffer, bytes, next_capacity(0), true);
  if (buffer->count == kOpenSamplesMax) return false;
  if (buffer->count == 0) buffer->base_ms = time_ms;
  const std::int64_t from_base = time_ms - buffer->base_ms;
  if (from_base >= OpenBuffer::kUneven) return false;
  if (buffer->count == 1 && buffer->is_even()) {
    buffer->step_ms = static_cast<std::uint32_t>(from_base);
  }
  const bool is_even =
      buffer->is_even() && from_base == std::int64_t{buffer->step_ms} * buffer->count;
  if (buffer->count == buffer->capacity || is_even != buffer->is_even()) {
    const bool is_full = buffer->count == buffer->capacity;
    remake(buffer, bytes, is_full ? next_capacity(buffer->capacity) : buffer->capacity, is_even);
  }
  buffer->values()[buffer->count] = value;
  if (!is_even) buffer->differences()[buffer->count] = static_cast<std::uint32_t>(from_base);
  ++buffer->count;
  return true;
}

void free_buffer(OpenBuffer*& buffer, std::size_t& bytes) {
  if (buffer == nullptr) return;
  bytes -= buffer->allocated_bytes();
  ::operator delete(buffer);
  buffer = nullptr;
}

}  // namespace gantry::metrics
