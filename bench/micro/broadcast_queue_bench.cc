// What an item costs on its way through the broadcast queue: durable appends with one and with many
// writers, and reads that are finished, from a queue that holds much. On the disk of the working
// directory.

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "broadcast/queue.h"
#include "core/hash.h"

namespace gantry::broadcast {
namespace {

constexpr int kItemsPerWriter = 100;
constexpr int kQueuedItems = 20'000;
const DestinationId kDestination = "11111111-0000-4000-8000-000000000001";

class Bench {
 public:
  Bench() : directory_(std::filesystem::current_path() / "broadcast_queue_bench.tmp") {
    std::filesystem::remove_all(directory_);
    queue_ = *Queue::open(files_, directory_, clock_, {});
    GANTRY_ASSERT(queue_->add_destination(kDestination), "the disk is writable");
  }

  ~Bench() {
    queue_.reset();
    std::filesystem::remove_all(directory_);
  }

  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void append(int count, const std::string& payload) {
    for (int i = 0; i < count; ++i) {
      benchmark::DoNotOptimize(queue_->append({.created_ms = clock_.now().since_epoch,
                                               .destinations = {kDestination},
                                               .payload = core::as_bytes(payload)}));
    }
  }

  /// Returns how many items.
  std::size_t read_batch() {
    const auto items = queue_->read(kDestination, {.wait = {0}}, {});
    std::vector<storage::LogPosition> positions;
    for (const QueuedItem& item : *items) positions.push_back(item.position);
    GANTRY_ASSERT(queue_->finish(kDestination, positions, Outcome::Sent), "it is there");
    return items->size();
  }

  Queue& queue() { return *queue_; }

 private:
  storage::PosixFileSystem files_;
  SystemClock clock_;
  storage::Path directory_;
  std::unique_ptr<Queue> queue_;
};

void append_items(benchmark::State& state) {
  Bench bench;
  const auto writers = static_cast<std::size_t>(state.range(0));
  const std::string payload(static_cast<std::size_t>(state.range(1)), 'x');
  for (auto _ : state) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < writers; ++i) {
      threads.emplace_back([&] { bench.append(kItemsPerWriter, payload); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  state.counters["items/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(writers * kItemsPerWriter),
      benchmark::Counter::kIsRate);
}

BENCHMARK(append_items)
    ->ArgNames({"writers", "bytes"})
    ->Args({1, 4096})
    ->Args({32, 4096})
    ->Args({32, 65536})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void read_items(benchmark::State& state) {
  const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
  std::size_t count = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto bench = std::make_unique<Bench>();
    std::vector<std::thread> threads;
    for (int i = 0; i < 32; ++i) {
      threads.emplace_back([&] { bench->append(kQueuedItems / 32, payload); });
    }
    for (std::thread& thread : threads) thread.join();
    state.ResumeTiming();
    while (bench->queue().depth(kDestination).items > 0) count += bench->read_batch();
    state.PauseTiming();
    bench.reset();
    state.ResumeTiming();
  }
  state.counters["items/s"] =
      benchmark::Counter(static_cast<double>(count), benchmark::Counter::kIsRate);
}

BENCHMARK(read_items)
    ->ArgNames({"bytes"})
    ->Arg(1024)
    ->Arg(16384)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gantry::broadcast

BENCHMARK_MAIN();
