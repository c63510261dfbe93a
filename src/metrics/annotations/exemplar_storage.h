#pragma once

// The newest exemplars of a store, in a ring of bounded size.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/mutex.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

struct StoredExemplar {
  std::uint32_t series = 0;
  std::int64_t timestamp_ms = 0;
  double value = 0;
  telemetry::Labels labels;  ///< Sorted by name.
};

/// Thread-safe.
class ExemplarStorage {
 public:
  explicit ExemplarStorage(std::size_t count_max) : count_max_(count_max) {}

  enum class Verdict : std::uint8_t {
    New,
    Known,       ///< The series' newest exemplar is the same.
    OutOfOrder,  ///< Not newer than the series' newest.
    Disabled,    ///< The limit is 0.
  };

  [[nodiscard]] Verdict check(const StoredExemplar& exemplar) const;

  /// Overwrites the oldest when full. What is not newer than the series' newest is left out.
  void add(StoredExemplar exemplar);

  /// Calls `visit` for each exemplar of `series` in [start_ms, end_ms], oldest first.
  void for_each(std::uint32_t series, std::int64_t start_ms, std::int64_t end_ms,
                const std::function<void(const StoredExemplar&)>& visit) const;

  /// All of them, oldest first.
  [[nodiscard]] std::vector<StoredExemplar> all() const;

  /// Series that have any, ascending.
  [[nodiscard]] std::vector<std::uint32_t> series() const;

  /// Forgets the exemplars of these series (ascending).
  void remove(std::span<const std::uint32_t> series);

  /// Drops the oldest if there are more.
  void set_count_max(std::size_t count_max);

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::size_t allocated_bytes() const;

 private:
  struct SeriesTable;

  void evict_oldest() GANTRY_REQUIRES(mutex_);

  mutable core::Mutex mutex_;
  std::size_t count_max_ GANTRY_GUARDED_BY(mutex_);
  std::size_t count_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::size_t bytes_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::uint64_t next_sequence_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<SeriesTable> table_ GANTRY_GUARDED_BY(mutex_) = make_table();

  static std::shared_ptr<SeriesTable> make_table();
};

}  // namespace gantry::metrics
