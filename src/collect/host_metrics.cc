#include "collect/host_metrics.h"

#include <array>
#include <exception>

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collect/host_areas_internal.h"
#include "core/log.h"

namespace gantry::collect {
namespace {

struct Area {
  const char* name;
  Result<void> (*read)(const HostSources&, FamilySet&);
};

/// Under node_exporter's collector names; its "cpu" and "stat" read the same file, as ours.
constexpr std::array kAreas{Area{"stat", read_stat},
                            Area{"loadavg", read_loadavg},
                            Area{"meminfo", read_meminfo},
                            Area{"vmstat", read_vmstat},
                            Area{"filefd", read_filefd},
                            Area{"pressure", read_pressure},
                            Area{"uname", read_uname},
                            Area{"diskstats", read_diskstats},
                            Area{"filesystem", read_filesystems},
                            Area{"netdev", read_netdev},
                            Area{"netclass", read_netclass},
                            Area{"sockstat", read_sockstat}};

std::optional<FilesystemUsage> call_statvfs(const std::string& path) {
  struct statvfs stat{};
  if (::statvfs(path.c_str(), &stat) != 0) return std::nullopt;
  const auto block_bytes = static_cast<double>(stat.f_frsize);
  return FilesystemUsage{.size_bytes = static_cast<double>(stat.f_blocks) * block_bytes,
                         .free_bytes = static_cast<double>(stat.f_bfree) * block_bytes,
                         .available_bytes = static_cast<double>(stat.f_bavail) * block_bytes,
                         .files = static_cast<double>(stat.f_files),
                         .files_free = static_cast<double>(stat.f_ffree),
                         .is_read_only = (stat.f_flag & ST_RDONLY) != 0};
}

SystemName call_uname() {
  utsname name{};
  if (::uname(&name) != 0) return {};
  return {.sysname = name.sysname,
          .release = name.release,
          .version = name.version,
          .machine = name.machine,
          .nodename = name.nodename,
          .domainname = name.domainname};
}

/// A matcher is anchored, the patterns are searched for.
Result<std::optional<promql::Matcher>> compile(std::string_view setting,
                                               const std::string& pattern) {
  if (pattern.empty()) return std::nullopt;
  auto matcher = promql::Matcher::make(promql::MatchOp::Regex, std::string(setting),
                                       fmt::format(".*(?:{}).*", pattern));
  if (matcher) return *std::move(matcher);
  return fail(Code::InvalidArgument,
              fmt::format("{} \"{}\": {}", setting, pattern, matcher.error().message));
}

}  // namespace

struct HostMetrics::Impl {
  HostSources sources;
};

HostMetrics::HostMetrics(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HostMetrics::~HostMetrics() = default;

Result<std::unique_ptr<HostMetrics>> HostMetrics::make(HostOptions options) {
  auto impl = std::make_unique<Impl>();
  HostSources& sources = impl->sources;
  GANTRY_TRY(sources.mount_points_exclude,
             compile("mount_points_exclude", options.mount_points_exclude));
  GANTRY_TRY(sources.filesystem_types_exclude,
             compile("filesystem_types_exclude", options.filesystem_types_exclude));
  GANTRY_TRY(sources.remote_filesystem_types_exclude,
             compile("remote_filesystem_types_exclude", options.remote_filesystem_types_exclude));
  GANTRY_TRY(sources.disk_devices_exclude,
             compile("disk_devices_exclude", options.disk_devices_exclude));
  GANTRY_TRY(sources.network_devices_exclude,
             compile("network_devices_exclude", options.network_devices_exclude));
  if (!options.filesystem_usage) options.filesystem_usage = call_statvfs;
  if (!options.system_name) options.system_name = call_uname;
  sources.options = std::move(options);
  return std::unique_ptr<HostMetrics>(new HostMetrics(std::move(impl)));
}

std::vector<Family> HostMetrics::read(TimestampMs now) const {
  FamilySet out;
  for (const Area& area : kAreas) {
    const std::int64_t started_ns = monotonic_ns();
    const auto done = area.read(impl_->sources, out);
    const double seconds = static_cast<double>(monotonic_ns() - started_ns) * 1e-9;
    if (!done) {
      log::debug("host metrics not read", {{"area", area.name}, {"error", done.error().message}});
    }
    out.gauge("node_scrape_collector_duration_seconds",
              "node_exporter: Duration of a collector scrape.", {{"collector", area.name}},
              seconds);
    out.gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.",
              {{"collector", area.name}}, done ? 1 : 0);
  }
  out.gauge("node_time_seconds", "System time in seconds since epoch (1970).", {},
            static_cast<double>(now.since_epoch) * 1e-3);
  return out.take();
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

}  // namespace gantry::collect
