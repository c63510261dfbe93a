// Random appends, reads, finishes, give-backs, restarts and power cuts, each checked against a
// plain model of what the queue promises.

#include <map>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "broadcast/testing/queue_support.h"

namespace gantry::broadcast {
namespace {

constexpr int kSteps = 80;

/// What one destination has still to do.
struct ModelLane {
  std::map<int, std::uint64_t> keys;  ///< Of what is unfinished; the number is the order.
  std::map<int, std::uint64_t> finished_since_cursor;
  std::map<int, storage::LogPosition> in_flight;

  [[nodiscard]] std::vector<int> next(std::size_t items_max) const {
    std::set<std::uint64_t> keys_in_flight;
    for (const auto& [number, position] : in_flight) {
      if (keys.at(number) != 0) keys_in_flight.insert(keys.at(number));
    }
    std::vector<int> numbers;
    for (const auto& [number, key] : keys) {
      if (numbers.size() == items_max) break;
      if (!in_flight.contains(number) && !keys_in_flight.contains(key)) numbers.push_back(number);
    }
    return numbers;
  }

  void write_cursor() { finished_since_cursor.clear(); }

  void lose_power() {
    keys.merge(finished_since_cursor);
    finished_since_cursor.clear();
    in_flight.clear();
  }
};

class Run {
 public:
  explicit Run(Queue::Options options) : house_(options) { house_.add({kFirst, kSecond}); }

  void step() {
    switch (
        *rc::gen::weightedElement<int>({{8, 0}, {6, 1}, {5, 2}, {3, 3}, {1, 4}, {1, 5}, {1, 6}})) {
      case 0:
        return append();
      case 1:
        return read();
      case 2:
        return finish();
      case 3:
        return give_back();
      case 4:
        return maintain();
      case 5:
        return reopen();
      default:
        return crash();
    }
  }

  void check_depth() {
    for (const auto& [id, lane] : lanes_) {
      const QueueDepth depth = house_.queue().depth(id);
      RC_ASSERT(depth.items == lane.keys.size());
      std::uint64_t bytes = 0;
      for (const auto& [number, key] : lane.keys) bytes += sizes_.at(number);
      RC_ASSERT(depth.bytes == bytes);
      RC_ASSERT(depth.oldest_ms.has_value() == !lane.keys.empty());
    }
  }

  /// All that is left comes, in order.
  void drain_all() {
    for (auto& [id, lane] : lanes_) {
      std::vector<storage::LogPosition> positions;
      for (const auto& [number, position] : lane.in_flight) positions.push_back(position);
      house_.queue().give_back(id, positions);
      lane.in_flight.clear();
      RC_ASSERT(drain(house_.queue(), id) == lane.next(lane.keys.size()));
    }
    RC_ASSERT(house_.queue().dropped(kFirst, DropReason::Corrupt) == 0U);
  }

 private:
  std::pair<const DestinationId, ModelLane>& any_lane() {
    return *std::next(lanes_.begin(), *rc::gen::inRange(0, 2));
  }

  void append() {
    const int destinations = *rc::gen::inRange(0, 4);
    Numbered item{.number = next_number_++,
                  .destinations = {},
                  .order_key = *rc::gen::inRange<std::uint64_t>(0, 3),
                  .bytes = *rc::gen::inRange<std::size_t>(10, 1500)};
    for (int i = 0; i < 2; ++i) {
      auto& [id, lane] = *std::next(lanes_.begin(), i);
      if ((destinations & (1 << i)) == 0) continue;
      item.destinations.push_back(id);
      lane.keys[item.number] = item.order_key;
    }
    sizes_[item.number] = item_text(item.number, item.bytes).size();
    const auto appended = append_item(house_.queue(), item);
    RC_ASSERT(appended.has_value());
  }

  void read() {
    auto& [id, lane] = any_lane();
    const auto items_max = *rc::gen::inRange<std::size_t>(1, 8);
    const std::vector<int> expected = lane.next(items_max);
    const auto items = house_.queue().read(
        id, {.items_max = items_max, .wait = {0}},
        CancelToken::with_deadline(monotonic_ns() + (expected.empty() ? 1 : 5'000) * 1'000'000LL));
    RC_ASSERT(items.has_value() == !expected.empty());
    if (!items) return;
    RC_ASSERT(numbers_of(*items) == expected);
    for (const QueuedItem& item : *items) {
      RC_ASSERT(item.payload.size() == sizes_.at(number_of(item)));
      lane.in_flight[number_of(item)] = item.position;
    }
  }

  /// Some of what is in flight.
  std::map<int, storage::LogPosition> some(const ModelLane& lane) {
    std::map<int, storage::LogPosition> chosen;
    for (const auto& flying : lane.in_flight) {
      if (*rc::gen::inRange(0, 3) > 0) chosen.insert(flying);
    }
    return chosen;
  }

  void finish() {
    auto& [id, lane] = any_lane();
    std::vector<storage::LogPosition> positions;
    for (const auto& [number, position] : some(lane)) {
      positions.push_back(position);
      lane.finished_since_cursor[number] = lane.keys.at(number);
      lane.keys.erase(number);
      lane.in_flight.erase(number);
    }
    const auto finished = house_.queue().finish(id, positions, Outcome::Sent);
    RC_ASSERT(finished.has_value());
  }

  void give_back() {
    auto& [id, lane] = any_lane();
    std::vector<storage::LogPosition> positions;
    for (const auto& [number, position] : some(lane)) {
      positions.push_back(position);
      lane.in_flight.erase(number);
    }
    house_.queue().give_back(id, positions);
  }

  void maintain() {
    const auto maintained = house_.queue().maintain();
    RC_ASSERT(maintained.has_value());
    for (auto& [id, lane] : lanes_) lane.write_cursor();
  }

  void reopen() {
    house_.reopen();
    for (auto& [id, lane] : lanes_) {
      lane.write_cursor();
      lane.in_flight.clear();
    }
  }

  void crash() {
    house_.crash();
    for (auto& [id, lane] : lanes_) lane.lose_power();
  }

  QueueHouse house_;
  std::map<DestinationId, ModelLane> lanes_{{kFirst, {}}, {kSecond, {}}};
  std::map<int, std::size_t> sizes_;
  int next_number_ = 0;
};

RC_GTEST_PROP(QueueProperty, KeepsItsPromisesOverRestartsAndPowerCuts, ()) {
  // A cursor is written by maintain and by closing only, so that the model knows when.
  Run run({.segment_bytes_max = *rc::gen::inRange<std::uint64_t>(500, 8000),
           .cursor_interval = {3'600'000}});
  for (int i = 0; i < kSteps; ++i) {
    run.step();
    run.check_depth();
  }
  run.drain_all();
}

}  // namespace
}  // namespace gantry::broadcast
