// What an acknowledged record costs: wall time with one and with many writers that share syncs, and
// CPU time in all threads per megabyte. On the disk of the working directory.

#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "storage/write_ahead_log.h"

namespace gantry::storage {
namespace {

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

constexpr int kRecordsPerWriter = 50;

void append_records(benchmark::State& state) {
  const auto writers = static_cast<std::size_t>(state.range(0));
  const std::vector<std::byte> payload(static_cast<std::size_t>(state.range(1)), std::byte{7});
  const Path directory = std::filesystem::current_path() / "wal_bench.tmp";
  std::filesystem::remove_all(directory);
  PosixFileSystem files;
  auto log = *WriteAheadLog::open(
      files, directory,
      {.durability = state.range(2) == 0 ? LogDurability::Synced : LogDurability::Written});
  const double cpu_before = cpu_seconds();
  for (auto _ : state) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < writers; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < kRecordsPerWriter; ++n) {
          benchmark::DoNotOptimize(log->append(1, payload).has_value());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    static_cast<void>(log->truncate_before(log->rotate()));
  }
  const auto records = static_cast<double>(log->statistics().records);
  const double megabytes = records * static_cast<double>(payload.size()) * 1e-6;
  state.counters["records/s"] = benchmark::Counter(records, benchmark::Counter::kIsRate);
  state.counters["records/sync"] = records / static_cast<double>(log->statistics().syncs);
  state.counters["cpu_us/record"] = (cpu_seconds() - cpu_before) * 1e6 / records;
  state.counters["cpu_us/MB"] = (cpu_seconds() - cpu_before) * 1e6 / megabytes;
  log.reset();
  std::filesystem::remove_all(directory);
}

BENCHMARK(append_records)
    ->ArgNames({"writers", "bytes", "written"})
    ->Args({1, 4096, 0})
    ->Args({1, 65536, 0})
    ->Args({32, 4096, 0})
    ->Args({32, 65536, 0})
    ->Args({1, 65536, 1})
    ->Args({32, 65536, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gantry::storage

BENCHMARK_MAIN();
