// /proc/stat, loadavg, meminfo, vmstat, file-nr, pressure and uname.
// Names, help and types: node_exporter collector/{cpu,stat,loadavg,meminfo,vmstat,filefd,
// pressure,uname}_linux.go; the formats: Linux Documentation/filesystems/proc.rst.

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>
#include <unistd.h>

#include "collect/host_areas_internal.h"
#include "collect/proc_text_internal.h"

namespace gantry::collect {
namespace {

/// The kernel reports CPU time in USER_HZ, which is 100 on every architecture that Linux still has.
constexpr double kTicksPerSecond = 100;

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// "cpu0 user nice system idle iowait irq softirq steal guest guest_nice".
void add_cpu(const std::vector<std::string_view>& words, FamilySet& out) {
  constexpr std::array kModes{"user",   "nice", "system",  "idle",
                              "iowait", "irq",  "softirq", "steal"};
  constexpr std::array kGuestModes{"user", "nice"};
  const std::string cpu(words[0].substr(3));
  const auto seconds = [&](std::size_t column) -> std::optional<double> {
    if (column >= words.size()) return std::nullopt;
    const auto ticks = parse_number(words[column]);
    return ticks ? std::optional(*ticks / kTicksPerSecond) : std::nullopt;
  };
  for (std::size_t i = 0; i < kModes.size(); ++i) {
    if (const auto value = seconds(1 + i)) {
      out.counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.",
                  {{"cpu", cpu}, {"mode", kModes[i]}}, *value);
    }
  }
  for (std::size_t i = 0; i < kGuestModes.size(); ++i) {
    if (const auto value = seconds(1 + kModes.size() + i)) {
      out.counter("node_cpu_guest_seconds_total",
                  "Seconds the CPUs spent in guests (VMs) for each mode.",
                  {{"cpu", cpu}, {"mode", kGuestModes[i]}}, *value);
    }
  }
}

/// "Active(anon)" to "Active_anon".
std::string memory_field(std::string_view key) {
  std::string name;
  for (const char c : key) {
    if (c == '(') {
      name.push_back('_');
    } else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      name.push_back(c);
    }
  }
  return name;
}

/// node_exporter's default: ^(oom_kill|pgpg|pswp|pg.*fault).*
bool is_kept_vmstat(std::string_view key) {
  return key.starts_with("oom_kill") || key.starts_with("pgpg") || key.starts_with("pswp") ||
         (key.starts_with("pg") && key.substr(2).contains("fault"));
}

struct PressureMetric {
  const char* resource;
  const char* line;
  const char* name;
  const char* help;
};

constexpr std::array kPressureMetrics{
    PressureMetric{"cpu", "some", "node_pressure_cpu_waiting_seconds_total",
                   "Total time in seconds that processes have waited for CPU time"},
    PressureMetric{"io", "some", "node_pressure_io_waiting_seconds_total",
                   "Total time in seconds that processes have waited due to IO congestion"},
    PressureMetric{"io", "full", "node_pressure_io_stalled_seconds_total",
                   "Total time in seconds no process could make progress due to IO congestion"},
    PressureMetric{"memory", "some", "node_pressure_memory_waiting_seconds_total",
                   "Total time in seconds that processes have waited for memory"},
    PressureMetric{"memory", "full", "node_pressure_memory_stalled_seconds_total",
                   "Total time in seconds no process could make progress due to memory congestion"},
    PressureMetric{"irq", "full", "node_pressure_irq_stalled_seconds_total",
                   "Total time in seconds no process could make progress due to IRQ congestion"}};

/// The microseconds of "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234".
std::optional<double> pressure_total(std::string_view text, std::string_view line_name) {
  constexpr std::string_view kTotal = "total=";
  for (const std::string_view line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.empty() || words[0] != line_name || !words.back().starts_with(kTotal)) continue;
    return parse_number(words.back().substr(kTotal.size()));
  }
  return std::nullopt;
}

}  // namespace

Result<void> read_stat(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("stat")));
  for (const std::string_view line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.size() < 2) continue;
    const std::string_view key = words[0];
    if (key.starts_with("cpu") && is_digits(key.substr(3))) {
      add_cpu(words, out);
      continue;
    }
    const auto value = parse_number(words[1]);
    if (!value) continue;
    if (key == "intr") {
      out.counter("node_intr_total", "Total number of interrupts serviced.", {}, *value);
    } else if (key == "ctxt") {
      out.counter("node_context_switches_total", "Total number of context switches.", {}, *value);
    } else if (key == "processes") {
      out.counter("node_forks_total", "Total number of forks.", {}, *value);
    } else if (key == "btime") {
      out.gauge("node_boot_time_seconds", "Node boot time, in unixtime.", {}, *value);
    } else if (key == "procs_running") {
      out.gauge("node_procs_running", "Number of processes in runnable state.", {}, *value);
    } else if (key == "procs_blocked") {
      out.gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.",
                {}, *value);
    }
  }
  return {};
}

Result<void> read_loadavg(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("loadavg")));
  constexpr std::array kMinutes{"1", "5", "15"};
  const auto words = split_words(trim(text));
  for (std::size_t i = 0; i < kMinutes.size() && i < words.size(); ++i) {
    if (const auto value = parse_number(words[i])) {
      out.gauge(fmt::format("node_load{}", kMinutes[i]),
                fmt::format("{}m load average.", kMinutes[i]), {}, *value);
    }
  }
  return {};
}

Result<void> read_meminfo(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("meminfo")));
  for (const std::string_view line : split_lines(text)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto words = split_words(line.substr(colon + 1));
    if (words.empty()) continue;
    const auto value = parse_number(words[0]);
    if (!value) continue;
    const bool is_kib = words.size() > 1 && words[1] == "kB";
    const std::string field = memory_field(line.substr(0, colon)) + (is_kib ? "_bytes" : "");
    out.gauge("node_memory_" + field, fmt::format("Memory information field {}.", field), {},
              is_kib ? *value * 1024 : *value);
  }
  return {};
}

Result<void> read_vmstat(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("vmstat")));
  for (const std::string_view line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.size() != 2 || !is_kept_vmstat(words[0])) continue;
    if (const auto value = parse_number(words[1])) {
      out.add(fmt::format("node_vmstat_{}", words[0]),
              fmt::format("/proc/vmstat information field {}.", words[0]),
              telemetry::MetricType::Unknown, {}, *value);
    }
  }
  return {};
}

Result<void> read_filefd(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("sys/fs/file-nr")));
  const auto words = split_words(trim(text));
  if (words.size() < 3) return fail(Code::Internal, "sys/fs/file-nr has fewer than three numbers");
  if (const auto allocated = parse_number(words[0])) {
    out.gauge("node_filefd_allocated", "File descriptor statistics: allocated.", {}, *allocated);
  }
  if (const auto maximum = parse_number(words[2])) {
    out.gauge("node_filefd_maximum", "File descriptor statistics: maximum.", {}, *maximum);
  }
  return {};
}

Result<void> read_pressure(const HostSources& sources, FamilySet& out) {
  constexpr double kMicrosecondsPerSecond = 1e6;
  std::size_t read_count = 0;
  for (const PressureMetric& metric : kPressureMetrics) {
    const auto text = read_proc_file(sources.proc(fmt::format("pressure/{}", metric.resource)));
    if (!text) continue;  // no irq before Linux 6.1; nothing at all with psi=0
    ++read_count;
    if (const auto total = pressure_total(*text, metric.line)) {
      out.counter(metric.name, metric.help, {}, *total / kMicrosecondsPerSecond);
    }
  }
  if (read_count == 0) return fail(Code::NotFound, "the kernel has no pressure information");
  return {};
}

Result<void> read_uname(const HostSources& sources, FamilySet& out) {
  const SystemName name = sources.options.system_name();
  out.gauge("node_uname_info", "Labeled system information as provided by the uname system call.",
            {{"domainname", name.domainname},
             {"machine", name.machine},
             {"nodename", name.nodename},
             {"release", name.release},
             {"sysname", name.sysname},
             {"version", name.version}},
            1);
  return {};
}

}  // namespace gantry::collect
