#pragma once

// All series in the order of their labels, kept up to date cheaply: what parts are written in.

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/index/series_registry.h"

namespace gantry::metrics {

/// One thread, with no collection running.
class LabelOrder {
 public:
  explicit LabelOrder(const SeriesRegistry& registry) : registry_(registry) {}

  /// Every live series with an id below `id_count`, ascending by labels. Sorts what is new and
  /// merges it in. Valid until the next call.
  std::span<const std::uint32_t> update(std::uint32_t id_count);

  /// Drops what the registry has collected.
  void remove_dead();

  [[nodiscard]] std::size_t allocated_bytes() const {
    return order_.capacity() * sizeof(std::uint32_t);
  }

 private:
  const SeriesRegistry& registry_;
  std::vector<std::uint32_t> order_;
  std::uint32_t known_count_ = 0;
};

}  // namespace gantry::metrics
