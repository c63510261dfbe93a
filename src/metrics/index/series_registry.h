#pragma once

// Every series that the head or a part has: its labels, its place in the inverted index, its
// record. See docs/adr/0002-series-registry.md.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/head/series_record.h"
#include "metrics/index/postings.h"
#include "metrics/index/retired_memory.h"
#include "metrics/index/symbol_table.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

/// Ids are 0, 1, 2, … and never reused while the process lives.
/// Thread-safety: as each member says. One lock guards symbols' index, postings and label sets;
/// it is held shared while a selector is matched and exclusively while series are added.
class SeriesRegistry {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  SeriesRegistry();
  ~SeriesRegistry();
  SeriesRegistry(const SeriesRegistry&) = delete;
  SeriesRegistry& operator=(const SeriesRegistry&) = delete;

  struct Lookup {
    std::span<const telemetry::LabelView> labels;  ///< Sorted by name, unique, none empty.
    std::uint32_t series = kNone;
  };

  /// Sets `series` of each look-up that is known; takes the lock once.
  void find(std::span<Lookup> lookups) const;

  /// Finds or adds each one; takes the lock once. Returns how many were new.
  std::size_t add(std::span<Lookup> lookups);

  /// The same by symbols of this registry (as `intern` gives), for parts being opened.
  struct SymbolLookup {
    std::span<const promql::LabelSymbols> labels;  ///< Sorted by the name's text.
    std::uint32_t series = kNone;
  };

  void intern(std::span<const std::string_view> texts, std::span<std::uint32_t> symbols);
  std::size_t add(std::span<SymbolLookup> lookups);

  /// Any thread, for an id from this registry.
  [[nodiscard]] SeriesRecord& record(std::uint32_t series) const { return records_[series]; }

  [[nodiscard]] std::uint32_t id_count() const { return records_.size(); }

  /// Any thread that has got the symbol from a label set and holds the epoch of that time.
  [[nodiscard]] std::string_view text(std::uint32_t symbol) const { return symbols_.text(symbol); }

  /// up{job="x"}, for messages.
  [[nodiscard]] std::string format(std::uint32_t series) const;

  /// As telemetry::compare_labels. No append or collection may run that could remove either.
  [[nodiscard]] bool is_less(std::uint32_t a, std::uint32_t b) const;

  /// Views of the labels, sorted by name. As for is_less.
  void labels_of(std::uint32_t series, std::vector<telemetry::LabelView>& out) const;

  /// Keeps the registry's lock, shared, while it lives.
  class Reader {
   public:
    explicit Reader(const SeriesRegistry& registry) : registry_(registry), lock_(registry.mutex_) {}

    [[nodiscard]] const SymbolTable& symbols() const { return registry_.symbols_; }

    [[nodiscard]] const Postings& postings() const { return registry_.postings_; }

    [[nodiscard]] const SeriesRegistry& registry() const { return registry_; }

    /// Held, it keeps every label span and text alive that can be seen now.
    [[nodiscard]] std::shared_ptr<Epoch> epoch() const { return registry_.epoch_; }

    [[nodiscard]] std::size_t live_count() const { return registry_.label_sets_.size(); }

   private:
    const SeriesRegistry& registry_;
    std::shared_lock<std::shared_mutex> lock_;
  };

  /// Forgets series that neither the head nor a part has. No append may run. Compacts label and
  /// text memory when half of it is dead.
  void collect(std::span<const std::uint32_t> dead);

  struct Memory {
    std::size_t records = 0;
    std::size_t labels = 0;
    std::size_t symbols = 0;
    std::size_t postings = 0;
    std::size_t label_sets = 0;
  };

  [[nodiscard]] Memory memory() const;

 private:
  [[nodiscard]] std::uint32_t find_set(std::uint64_t hash,
                                       std::span<const promql::LabelSymbols> labels) const;
  std::uint32_t insert(std::uint64_t hash, std::span<const promql::LabelSymbols> labels);
  void compact();

  mutable std::shared_mutex mutex_;
  // Guarded by mutex_, apart from the lock-free reads that their headers allow.
  SymbolTable symbols_;
  Postings postings_;
  ChunkedArray<SeriesRecord> records_;
  IdTable label_sets_;
  std::unique_ptr<core::Arena> label_arena_;
  std::size_t live_label_count_ = 0;
  std::shared_ptr<Epoch> epoch_;
};

}  // namespace gantry::metrics
