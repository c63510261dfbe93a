#include "collect/process_metrics.h"

#include <filesystem>
#include <limits>

#include <sys/resource.h>
#include <unistd.h>

#include "collect/proc_text_internal.h"
#include "core/version.h"

namespace gantry::collect {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Field `number` of proc_pid_stat(5), which counts from 1. The second is the program's name in
/// parentheses and may hold anything, so that the rest is counted from its end.
double stat_field(const std::string& proc_path, std::size_t number) {
  constexpr std::size_t kFirstAfterName = 3;
  const auto text = read_proc_file(proc_path + "/self/stat");
  if (!text) return kUnknown;
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return kUnknown;
  const auto words = split_words(trim(std::string_view(*text).substr(name_end + 1)));
  const std::size_t index = number - kFirstAfterName;
  if (index >= words.size()) return kUnknown;
  return parse_number(words[index]).value_or(kUnknown);
}

double ticks_per_second() {
  return static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double boot_time_seconds(const std::string& proc_path) {
  const auto text = read_proc_file(proc_path + "/stat");
  if (!text) return kUnknown;
  for (const std::string_view line : split_lines(*text)) {
    const auto words = split_words(line);
    if (words.size() == 2 && words[0] == "btime") return parse_number(words[1]).value_or(kUnknown);
  }
  return kUnknown;
}

double open_descriptor_count(const std::string& proc_path) {
  std::error_code error;
  double count = 0;
  std::filesystem::directory_iterator entry(proc_path + "/self/fd", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  return error ? kUnknown : count;
}

double descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kUnknown;
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

void register_process_metrics(core::MetricRegistry& registry, std::string proc_path) {
  using core::MetricType;
  constexpr std::size_t kUserTicks = 14;
  constexpr std::size_t kSystemTicks = 15;
  constexpr std::size_t kStartTicks = 22;
  constexpr std::size_t kVirtualBytes = 23;
  constexpr std::size_t kResidentPages = 24;
  registry.callback(
      MetricType::Counter, "process_cpu_seconds_total",
      "Total user and system CPU time spent in seconds.", {}, [proc_path] {
        return (stat_field(proc_path, kUserTicks) + stat_field(proc_path, kSystemTicks)) /
               ticks_per_second();
      });
  registry.callback(MetricType::Gauge, "process_resident_memory_bytes",
                    "Resident memory size in bytes.", {}, [proc_path] {
                      return stat_field(proc_path, kResidentPages) *
                             static_cast<double>(::getpagesize());
                    });
  registry.callback(MetricType::Gauge, "process_virtual_memory_bytes",
                    "Virtual memory size in bytes.", {},
                    [proc_path] { return stat_field(proc_path, kVirtualBytes); });
  registry.callback(MetricType::Gauge, "process_open_fds", "Number of open file descriptors.", {},
                    [proc_path] { return open_descriptor_count(proc_path); });
  registry.callback(MetricType::Gauge, "process_max_fds",
                    "Maximum number of open file descriptors.", {}, descriptor_limit);
  registry.callback(MetricType::Gauge, "process_start_time_seconds",
                    "Start time of the process since unix epoch in seconds.", {}, [proc_path] {
                      return boot_time_seconds(proc_path) +
                             stat_field(proc_path, kStartTicks) / ticks_per_second();
                    });
  registry
      .gauge("gantry_build_info", "1, labelled with what this program was built from.",
             {{"compiler", __VERSION__},
              {"revision", std::string(core::revision())},
              {"version", std::string(core::version())}})
      .set(1);
}

}  // namespace gantry::collect
