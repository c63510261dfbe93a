#include "broadcast/queue.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "fmt/core.h"

#include "broadcast/queue_lane_internal.h"
#include "core/log.h"
#include "core/mutex.h"
#include "storage/directory.h"
#include "storage/log_segment.h"

namespace gantry::broadcast {
namespace {

using storage::LogPosition;
using storage::Path;

constexpr std::string_view kMetricsLane = "-metrics";
constexpr std::int64_t kNsPerMs = 1'000'000;
// How late a reader may see that it was cancelled.
constexpr std::int64_t kCancelCheckNs = 50 * kNsPerMs;

using LanePtr = std::shared_ptr<QueueLane>;

/// An item on its way into the log.
struct Record {
  std::vector<LanePtr> lanes;  ///< Of those that it is for.
  std::vector<std::byte> bytes;
  std::size_t payload_bytes = 0;
  storage::LogTicket ticket;
};

class LoggedQueue final : public Queue {
 public:
  LoggedQueue(storage::FileSystem& files, const Path& directory, const Clock& clock,
              const Options& options)
      : files_(files),
        log_directory_(directory / "log"),
        clock_(clock),
        options_(options),
        cursors_(files, directory / "cursors") {}

  ~LoggedQueue() override {
    // What could not be restored must not be forgotten on disk.
    if (!is_restored_) return;
    for (const LanePtr& lane : lanes()) static_cast<void>(lane->write_cursor(cursors_));
  }

  Result<void> start();

  Result<void> add_destination(const DestinationId& id) override;
  Result<void> remove_destination(const DestinationId& id) override;
  std::vector<DestinationId> destinations() const override;
  Result<void> append_all(std::span<const QueueItem> items) override;
  Result<std::vector<QueuedItem>> read(const DestinationId& id, const ReadLimits& limits,
                                       const CancelToken& cancel) override;
  Result<void> finish(const DestinationId& id, std::span<const LogPosition> positions,
                      Outcome outcome) override;
  void give_back(const DestinationId& id, std::span<const LogPosition> positions) override;
  QueueDepth depth(const DestinationId& id) const override;
  std::uint64_t dropped(const DestinationId& id, DropReason reason) const override;
  std::uint64_t finished(const DestinationId& id, Outcome outcome) const override;

  std::uint64_t log_bytes() const override { return log_->size_bytes(); }

  Result<void> maintain() override;

 private:
  Result<void> restore_lanes();
  Result<void> restore_segment(std::uint32_t segment, std::span<const LanePtr> lanes);
  std::shared_ptr<LaneCounters> counters_of(const DestinationId& id) GANTRY_REQUIRES(mutex_);
  LanePtr make_lane(CursorState cursor) GANTRY_REQUIRES(mutex_);
  [[nodiscard]] LanePtr find_lane(const DestinationId& id) const;
  [[nodiscard]] std::vector<LanePtr> lanes() const;
  [[nodiscard]] std::vector<LanePtr> lanes_of(const QueueItem& item) const;
  Result<void> enqueue(Record& record);
  Result<void> settle(const Record& record);
  Result<std::vector<QueuedItem>> load(QueueLane& lane, std::span<const QueueLane::Entry> entries);
  Result<void> write_cursors_and_truncate() GANTRY_REQUIRES(control_mutex_);
  Result<void> shrink_log() GANTRY_REQUIRES(control_mutex_);

  storage::FileSystem& files_;
  const Path log_directory_;
  const Clock& clock_;
  const Options options_;
  CursorStore cursors_;
  std::unique_ptr<storage::WriteAheadLog> log_;
  DurableEnd end_;
  bool is_restored_ = false;  ///< Set before the queue is handed out.

  /// Whose cursor files there are, and which segments. Before mutex_.
  core::Mutex control_mutex_;
  /// The log's order is the order in which lanes count. Before those of a lane.
  core::Mutex enqueue_mutex_;
  mutable core::Mutex mutex_;
  std::map<DestinationId, LanePtr, std::less<>> lanes_ GANTRY_GUARDED_BY(mutex_);
  std::map<DestinationId, std::shared_ptr<LaneCounters>> counters_ GANTRY_GUARDED_BY(mutex_);
};

std::shared_ptr<LaneCounters> LoggedQueue::counters_of(const DestinationId& id) {
  std::shared_ptr<LaneCounters>& counters = counters_[id];
  if (!counters) counters = std::make_shared<LaneCounters>();
  return counters;
}

LanePtr LoggedQueue::make_lane(CursorState cursor) {
  std::shared_ptr<LaneCounters> counters = counters_of(cursor.destination);
  return std::make_shared<QueueLane>(files_, log_directory_, end_, options_, std::move(cursor),
                                     std::move(counters));
}

LanePtr LoggedQueue::find_lane(const DestinationId& id) const {
  const core::Lock lock(mutex_);
  const auto lane = lanes_.find(id);
  return lane == lanes_.end() ? nullptr : lane->second;
}

std::vector<LanePtr> LoggedQueue::lanes() const {
  const core::Lock lock(mutex_);
  std::vector<LanePtr> lanes;
  for (const auto& [id, lane] : lanes_) lanes.push_back(lane);
  return lanes;
}

Result<void> LoggedQueue::start() {
  GANTRY_TRY(log_, storage::WriteAheadLog::open(files_, log_directory_,
                                                {.segment_bytes_max = options_.segment_bytes_max,
                                                 .durability = options_.durability}));
  // All that earlier runs have written is on disk by now.
  end_.advance_to({.segment = log_->next_segment(), .offset_bytes = 0});
  GANTRY_TRY(std::vector<CursorState> cursors, cursors_.open());
  {
    const core::Lock lock(mutex_);
    for (CursorState& cursor : cursors) {
      // Beyond the end only if the log has lost its newest segments.
      cursor.resume = std::min(cursor.resume, end_.position());
      std::erase_if(cursor.unfinished, [&](LogPosition p) { return p >= cursor.resume; });
      const DestinationId id = cursor.destination;
      lanes_.emplace(id, make_lane(std::move(cursor)));
    }
  }
  GANTRY_CHECK(restore_lanes());
  is_restored_ = true;
  return {};
}

Result<void> LoggedQueue::restore_lanes() {
  const std::vector<LanePtr> restored = lanes();
  if (restored.empty()) return {};
  LogPosition low = end_.position();
  for (const LanePtr& lane : restored) low = std::min(low, lane->low());
  GANTRY_TRY(const std::vector<storage::DirectoryEntry> entries, files_.list(log_directory_));
  for (const storage::DirectoryEntry& entry : entries) {
    const std::optional<std::uint32_t> segment = storage::parse_segment_name(entry.name);
    if (segment && *segment >= low.segment) GANTRY_CHECK(restore_segment(*segment, restored));
  }
  const auto& tail = log_->tail_damage();
  for (const LanePtr& lane : restored) {
    // A torn tail alone is an append that nobody was told had succeeded.
    if (tail && tail->holds_later_record) lane->restore_damage(end_.position());
    lane->end_restore();
  }
  return {};
}

Result<void> LoggedQueue::restore_segment(std::uint32_t segment, std::span<const LanePtr> lanes) {
  ItemReader reader(files_, log_directory_);
  LogPosition position{.segment = segment, .offset_bytes = 0};
  while (position.segment == segment) {
    GANTRY_TRY(const ItemReader::Step step, reader.look(position, end_.position()));
    if (step == ItemReader::Step::End) return {};
    position = reader.position();
    if (step == ItemReader::Step::Damaged) {
      log::error("broadcast queue damaged",
                 {{"segment", segment}, {"offset_bytes", position.offset_bytes}});
    }
    for (const LanePtr& lane : lanes) {
      if (step == ItemReader::Step::Damaged) lane->restore_damage(position);
      if (step == ItemReader::Step::Item && reader.head().names(lane->id())) {
        lane->restore(position, reader.head());
      }
    }
    position = reader.next();
  }
  return {};
}

Result<void> LoggedQueue::add_destination(const DestinationId& id) {
  if (!is_destination_id(id)) {
    return fail(Code::InvalidArgument, fmt::format("\"{}\" is no destination's id", id));
  }
  const core::Lock control(control_mutex_);
  LanePtr lane;
  {
    const core::Lock lock(mutex_);
    if (lanes_.contains(id)) return {};
    if (lanes_.size() >= options_.destinations_max) {
      return fail(Code::ResourceExhausted,
                  fmt::format("the broadcast queue has {} destinations, the limit is {} "
                              "(Queue::Options::destinations_max)",
                              lanes_.size(), options_.destinations_max));
    }
    lane = make_lane({.destination = id, .resume = end_.position(), .unfinished = {}});
  }
  GANTRY_CHECK(lane->write_cursor(cursors_));
  const core::Lock lock(mutex_);
  lanes_.emplace(id, std::move(lane));
  return {};
}

Result<void> LoggedQueue::remove_destination(const DestinationId& id) {
  const core::Lock control(control_mutex_);
  const LanePtr lane = find_lane(id);
  if (!lane) return fail(Code::NotFound, fmt::format("no destination \"{}\" in the queue", id));
  GANTRY_CHECK(lane->remove_cursor(cursors_));
  const core::Lock lock(mutex_);
  lanes_.erase(id);
  return {};
}

std::vector<DestinationId> LoggedQueue::destinations() const {
  const core::Lock lock(mutex_);
  std::vector<DestinationId> ids;
  for (const auto& [id, lane] : lanes_) ids.push_back(id);
  return ids;
}

std::vector<LanePtr> LoggedQueue::lanes_of(const QueueItem& item) const {
  const core::Lock lock(mutex_);
  std::vector<LanePtr> named;
  for (const DestinationId& id : item.destinations) {
    const auto lane = lanes_.find(id);
    if (lane == lanes_.end() || std::ranges::find(named, lane->second) != named.end()) continue;
    named.push_back(lane->second);
  }
  return named;
}

Result<void> LoggedQueue::append_all(std::span<const QueueItem> items) {
  std::vector<Record> records;
  for (const QueueItem& item : items) {
    if (item.payload.size() > options_.item_bytes_max) {
      return fail(Code::TooLarge,
                  fmt::format("an item of {} bytes for the broadcast queue, the limit is {} "
                              "(Queue::Options::item_bytes_max)",
                              item.payload.size(), options_.item_bytes_max));
    }
    Record record{.lanes = lanes_of(item), .bytes = {}, .payload_bytes = item.payload.size()};
    if (record.lanes.empty()) continue;
    std::vector<std::string_view> ids;
    for (const LanePtr& lane : record.lanes) ids.push_back(lane->id());
    encode_item(item, ids, record.bytes);
    records.push_back(std::move(record));
  }
  Result<void> result;
  std::size_t enqueued = 0;
  while (enqueued < records.size()) {
    result = enqueue(records[enqueued]);
    if (!result) break;
    ++enqueued;
  }
  for (const Record& record : std::span(records).first(enqueued)) {
    if (auto settled = settle(record); !settled && result) result = std::move(settled);
  }
  return result;
}

Result<void> LoggedQueue::enqueue(Record& record) {
  const core::Lock lock(enqueue_mutex_);
  GANTRY_TRY(record.ticket, log_->enqueue(kItemRecordType, record.bytes));
  for (const LanePtr& lane : record.lanes)
    lane->expect(record.ticket.position.segment, record.payload_bytes);
  return {};
}

Result<void> LoggedQueue::settle(const Record& record) {
  const LogPosition position = record.ticket.position;
  const auto written = log_->wait(record.ticket);
  if (written) {
    end_.advance_to({.segment = position.segment,
                     .offset_bytes = position.offset_bytes + storage::kRecordHeaderBytes +
                                     record.bytes.size()});
  }
  const auto settled = written ? QueueLane::Settled::Durable : QueueLane::Settled::Failed;
  for (const LanePtr& lane : record.lanes)
    lane->settle(position.segment, record.payload_bytes, settled);
  if (!written) return std::unexpected(written.error());
  for (const LanePtr& lane : record.lanes) {
    if (!lane->is_over_budget()) continue;
    // The item is in the queue: that room could not be made for it is not its caller's concern.
    if (auto dropped = lane->drop_over_budget(); !dropped) {
      log::error("broadcast queue drop failed",
                 {{"destination", lane->id()}, {"error", dropped.error().message}});
    }
  }
  return {};
}

Result<std::vector<QueuedItem>> LoggedQueue::load(QueueLane& lane,
                                                  std::span<const QueueLane::Entry> entries) {
  storage::LogReader reader(files_, log_directory_);
  const LogPosition end = end_.position();
  std::vector<QueuedItem> items;
  items.reserve(entries.size());
  for (const QueueLane::Entry& entry : entries) {
    auto record = reader.read(entry.position, end);
    if (!record && record.error().code != Code::DataLoss) {
      std::vector<LogPosition> positions;
      for (const QueueLane::Entry& taken : entries) positions.push_back(taken.position);
      lane.give_back(positions);
      return std::unexpected(std::move(record).error());
    }
    const auto head = record ? decode_item_head(*record) : Result<ItemHead>(std::unexpect);
    if (!head) {
      log::error("broadcast queue item damaged", {{"destination", lane.id()},
                                                  {"segment", entry.position.segment},
                                                  {"offset_bytes", entry.position.offset_bytes}});
      lane.discard_corrupt(entry.position);
      continue;
    }
    const auto payload = std::span<const std::byte>(*record).last(head->payload_bytes);
    items.push_back({.position = entry.position,
                     .stack = head->stack,
                     .signal = head->signal,
                     .created_ms = head->created_ms,
                     .item_count = head->item_count,
                     .order_key = head->order_key,
                     .payload = {reinterpret_cast<const char*>(payload.data()), payload.size()}});
  }
  return items;
}

Result<std::vector<QueuedItem>> LoggedQueue::read(const DestinationId& id, const ReadLimits& limits,
                                                  const CancelToken& cancel) {
  const LanePtr lane = find_lane(id);
  std::int64_t deadline_ns = 0;  // 0: there is no first item yet
  while (lane && !lane->is_removed()) {
    GANTRY_CHECK(cancel.check());
    const std::uint64_t generation = lane->generation();
    const bool is_due = deadline_ns != 0 && monotonic_ns() >= deadline_ns;
    GANTRY_TRY(
        const QueueLane::Taken taken,
        lane->take(limits, is_due ? QueueLane::Take::WhatThereIs : QueueLane::Take::FullBatch,
                   clock_.now().since_epoch));
    if (!taken.entries.empty()) {
      GANTRY_TRY(std::vector<QueuedItem> items, load(*lane, taken.entries));
      if (!items.empty()) return items;
      continue;
    }
    if (taken.has_more_to_scan) continue;
    const std::int64_t now_ns = monotonic_ns();
    std::int64_t wait_ns = kCancelCheckNs;
    if (cancel.deadline_ns() != 0) wait_ns = std::min(wait_ns, cancel.deadline_ns() - now_ns);
    if (!taken.has_some) {
      deadline_ns = 0;
    } else {
      if (deadline_ns == 0) deadline_ns = now_ns + limits.wait.count * kNsPerMs;
      wait_ns = std::min(wait_ns, deadline_ns - now_ns);
    }
    if (wait_ns > 0) lane->wait_for_change(generation, wait_ns);
  }
  return fail(Code::NotFound, fmt::format("no destination \"{}\" in the queue", id));
}

Result<void> LoggedQueue::finish(const DestinationId& id, std::span<const LogPosition> positions,
                                 Outcome outcome) {
  const LanePtr lane = find_lane(id);
  if (!lane) return fail(Code::NotFound, fmt::format("no destination \"{}\" in the queue", id));
  lane->finish(positions, outcome);
  if (monotonic_ns() - lane->written_ns() < options_.cursor_interval.count * kNsPerMs) return {};
  if (auto written = lane->write_cursor(cursors_); !written) {
    log::warn("broadcast cursor not written",
              {{"destination", id}, {"error", written.error().message}});
  }
  return {};
}

void LoggedQueue::give_back(const DestinationId& id, std::span<const LogPosition> positions) {
  if (const LanePtr lane = find_lane(id)) lane->give_back(positions);
}

QueueDepth LoggedQueue::depth(const DestinationId& id) const {
  const LanePtr lane = find_lane(id);
  return lane ? lane->depth() : QueueDepth{};
}

std::uint64_t LoggedQueue::dropped(const DestinationId& id, DropReason reason) const {
  const core::Lock lock(mutex_);
  const auto counters = counters_.find(id);
  if (counters == counters_.end()) return 0;
  return counters->second->dropped.at(std::to_underlying(reason)).load(std::memory_order_relaxed);
}

std::uint64_t LoggedQueue::finished(const DestinationId& id, Outcome outcome) const {
  const core::Lock lock(mutex_);
  const auto counters = counters_.find(id);
  if (counters == counters_.end()) return 0;
  return counters->second->finished.at(std::to_underlying(outcome)).load(std::memory_order_relaxed);
}

Result<void> LoggedQueue::write_cursors_and_truncate() {
  Result<void> result;
  // Before the cursors are asked: what is appended from now on lies behind it.
  LogPosition low = end_.position();
  for (const LanePtr& lane : lanes()) {
    if (auto written = lane->write_cursor(cursors_); !written) result = std::move(written);
    low = std::min(low, lane->low_on_disk());
  }
  if (auto truncated = log_->truncate_before(low); !truncated) result = std::move(truncated);
  return result;
}

Result<void> LoggedQueue::shrink_log() {
  while (log_->size_bytes() > options_.log_bytes_max) {
    LogPosition low = end_.position();
    for (const LanePtr& lane : lanes()) low = std::min(low, lane->low());
    if (low.segment >= end_.position().segment) return {};
    for (const LanePtr& lane : lanes()) GANTRY_CHECK(lane->drop_through(low.segment));
    const std::uint64_t before = log_->size_bytes();
    GANTRY_CHECK(write_cursors_and_truncate());
    // What is in flight keeps its segment.
    if (log_->size_bytes() >= before) return {};
  }
  return {};
}

Result<void> LoggedQueue::maintain() {
  const core::Lock control(control_mutex_);
  const std::int64_t oldest_ms = clock_.now().since_epoch - options_.age_max.count;
  Result<void> result;
  for (const LanePtr& lane : lanes()) {
    if (auto dropped = lane->drop_older_than(oldest_ms); !dropped) result = std::move(dropped);
  }
  if (auto written = write_cursors_and_truncate(); !written) result = std::move(written);
  if (auto shrunk = shrink_log(); !shrunk) result = std::move(shrunk);
  if (result) cursors_.restore_reserve();
  return result;
}

}  // namespace

DestinationId lane_of(const DestinationId& id, Signal signal) {
  return signal == Signal::Spans ? id : id + std::string(kMetricsLane);
}

DestinationId destination_of(const DestinationId& lane) {
  const std::string_view suffix = kMetricsLane;
  return lane.ends_with(suffix) ? lane.substr(0, lane.size() - suffix.size()) : lane;
}

Result<std::unique_ptr<Queue>> Queue::open(storage::FileSystem& files,
                                           const storage::Path& directory, const Clock& clock,
                                           const Options& options) {
  auto queue = std::make_unique<LoggedQueue>(files, directory, clock, options);
  GANTRY_CHECK(queue->start());
  return queue;
}

}  // namespace gantry::broadcast
