#pragma once

// Memory that readers may still look at, freed when the last of them is gone.

#include <memory>
#include <utility>

namespace gantry::metrics {

/// A reader holds the epoch that was current when it began. What is retired goes to the current
/// epoch, which then ends; it is freed when neither that epoch nor an earlier one is held.
class Epoch {
 public:
  Epoch() = default;
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

  /// Ends `current`: keeps `memory` until its readers are gone. The owner's lock is held.
  template <class T>
  static void retire(std::shared_ptr<Epoch>& current, T memory) {
    auto next = std::make_shared<Epoch>();
    current->memory_ = std::make_shared<T>(std::move(memory));
    // An earlier epoch keeps the later ones: their memory was visible to its readers too.
    current->next_ = next;
    current = std::move(next);
  }

 private:
  std::shared_ptr<void> memory_;
  std::shared_ptr<Epoch> next_;
};

}  // namespace gantry::metrics
