#include "traces/block/decoded_column.h"

namespace gantry::traces {
namespace {

template <class T>
std::size_t bytes_of(const std::vector<T>& values) {
  return values.capacity() * sizeof(T);
}

}  // namespace

std::size_t DecodedColumn::memory_bytes() const {
  return sizeof(*this) + bytes_of(rows) + bytes_of(ids) + bytes_of(ints) + bytes_of(words) +
         bytes_of(doubles) + bytes_of(bytes) + bytes_of(left) + bytes_of(right) + bytes_of(parent) +
         bytes_of(trace_ids) + bytes_of(texts) + bytes_of(text);
}

}  // namespace gantry::traces
