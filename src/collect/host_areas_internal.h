#pragma once

// One function per area of host metrics. Each adds what it could read; an error means that the
// area's main file is missing or unreadable.

#include <optional>
#include <string>

#include "collect/family.h"
#include "collect/host_metrics.h"
#include "core/error.h"
#include "core/time.h"
#include "promql/matcher.h"

namespace gantry::collect {

struct HostSources {
  HostOptions options;
  // Absent: nothing is left out.
  std::optional<promql::Matcher> mount_points_exclude;
  std::optional<promql::Matcher> filesystem_types_exclude;
  std::optional<promql::Matcher> remote_filesystem_types_exclude;
  std::optional<promql::Matcher> disk_devices_exclude;
  std::optional<promql::Matcher> network_devices_exclude;

  [[nodiscard]] std::string proc(std::string_view name) const {
    return options.proc_path + "/" + std::string(name);
  }

  [[nodiscard]] std::string sys(std::string_view name) const {
    return options.sys_path + "/" + std::string(name);
  }
};

[[nodiscard]] inline bool is_match(const std::optional<promql::Matcher>& exclude,
                                   std::string_view name) {
  return exclude && exclude->matches(name);
}

// host_kernel.cc
Result<void> read_stat(const HostSources& sources, FamilySet& out);  // CPUs too
Result<void> read_loadavg(const HostSources& sources, FamilySet& out);
Result<void> read_meminfo(const HostSources& sources, FamilySet& out);
Result<void> read_vmstat(const HostSources& sources, FamilySet& out);
Result<void> read_filefd(const HostSources& sources, FamilySet& out);
Result<void> read_pressure(const HostSources& sources, FamilySet& out);
Result<void> read_uname(const HostSources& sources, FamilySet& out);

// host_disks.cc
Result<void> read_diskstats(const HostSources& sources, FamilySet& out);
Result<void> read_filesystems(const HostSources& sources, FamilySet& out);

// host_network.cc
Result<void> read_netdev(const HostSources& sources, FamilySet& out);
Result<void> read_netclass(const HostSources& sources, FamilySet& out);
Result<void> read_sockstat(const HostSources& sources, FamilySet& out);

}  // namespace gantry::collect
