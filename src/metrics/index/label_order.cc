#include "metrics/index/label_order.h"

#include <algorithm>

namespace gantry::metrics {

std::span<const std::uint32_t> LabelOrder::update(std::uint32_t id_count) {
  const auto is_less = [this](std::uint32_t a, std::uint32_t b) { return registry_.is_less(a, b); };
  const auto known = static_cast<std::ptrdiff_t>(order_.size());
  for (; known_count_ < id_count; ++known_count_) {
    if (registry_.record(known_count_).label_count > 0) order_.push_back(known_count_);
  }
  std::sort(order_.begin() + known, order_.end(), is_less);
  std::inplace_merge(order_.begin(), order_.begin() + known, order_.end(), is_less);
  return order_;
}

void LabelOrder::remove_dead() {
  std::erase_if(order_,
                [this](std::uint32_t series) { return registry_.record(series).label_count == 0; });
}

}  // namespace gantry::metrics
