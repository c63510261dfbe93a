#pragma once

// What appends, queries and maintenance of one store share. Snapshots hold it, so that it outlives
// the store for as long as somebody reads.

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/mutex.h"
#include "storage/item_cache.h"
#include "traces/block/catalog.h"
#include "traces/live/segment.h"

namespace gantry::traces {

/// A segment as of one moment.
struct SegmentMoment {
  std::shared_ptr<const Segment> segment;
  Segment::Mark mark;

  [[nodiscard]] bool has_adopted(const telemetry::TraceId& id) const {
    return segment && segment->has_adopted(id, mark);
  }
};

/// Everything that is stored, as of one moment. Each trace is to be read in the newest of them that
/// has it: in `live`, else in `sealing`, else in the block in which it is not deleted.
struct StoreMoment {
  SegmentMoment live;
  SegmentMoment sealing;  ///< No segment: nothing is being sealed.
  std::shared_ptr<const BlockView> view;

  /// Whether what the block has of the trace is deleted, or newer elsewhere.
  [[nodiscard]] bool hides(const telemetry::TraceId& id, const Block& block) const {
    return view->deleted->hides(id, block.entry.clean_sequence) || live.has_adopted(id) ||
           sealing.has_adopted(id);
  }

  [[nodiscard]] bool may_hide() const {
    return !view->deleted->empty() || live.mark.adopted > 0 || sealing.mark.adopted > 0;
  }
};

/// Thread-safe.
struct StoreState {
  static constexpr std::size_t kCacheBytes = std::size_t{128} << 20;

  StoreState(storage::FileSystem& files, storage::Path directory)
      : cache(kCacheBytes), catalog(files, std::move(directory), cache) {}

  storage::ItemCache cache;
  Catalog catalog;

  [[nodiscard]] std::shared_ptr<Segment> live() const {
    const core::Lock lock(mutex_);
    return live_;
  }

  [[nodiscard]] std::shared_ptr<Segment> sealing() const {
    const core::Lock lock(mutex_);
    return sealing_;
  }

  /// The live segment becomes the one that is sealed, and an empty one takes its place.
  void begin_seal() {
    const core::Lock lock(mutex_);
    GANTRY_ASSERT(sealing_ == nullptr, "one segment is sealed at a time");
    sealing_ = std::exchange(live_, std::make_shared<Segment>());
  }

  /// The view has the block.
  void end_seal() {
    const core::Lock lock(mutex_);
    sealing_ = nullptr;
  }

  [[nodiscard]] StoreMoment moment() const {
    StoreMoment out;
    do {
      out.view = catalog.view();
      {
        const core::Lock lock(mutex_);
        out.live.segment = live_;
        out.sealing.segment = sealing_;
      }
      out.live.mark = out.live.segment->mark();
      // All that was looked at stood beside one view: nothing has become a block, been deleted or
      // been replaced in between.
    } while (catalog.view() != out.view);
    if (out.sealing.segment) {
      out.sealing.mark = out.sealing.segment->mark();
      // The block is published before `end_seal`, and merged only after it.
      const std::uint64_t number = out.sealing.segment->block_number.load();
      for (const auto& block : out.view->blocks) {
        if (block->entry.number == number) out.sealing = {};
      }
    }
    return out;
  }

  /// Queries that are being answered: merges give way to them.
  std::atomic<std::uint32_t> queries_running{0};

 private:
  mutable core::Mutex mutex_;
  std::shared_ptr<Segment> live_ GANTRY_GUARDED_BY(mutex_) = std::make_shared<Segment>();
  std::shared_ptr<Segment> sealing_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::traces
