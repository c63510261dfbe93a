#pragma once

// One function per area of host metrics. Each adds what it could read; an error means that the
// area's main file is missing or unreadable.

#include <memory>
#include <string>

#include <re2/re2.h>

#include "collect/family.h"
#include "collect/host_metrics.h"
#include "core/error.h"
#include "core/time.h"

namespace gantry::collect {

struct HostSources {
  HostOptions options;
  std::unique_ptr<re2::RE2> mount_points_exclude;
  std::unique_ptr<re2::RE2> filesystem_types_exclude;
  std::unique_ptr<re2::RE2> remote_filesystem_types_exclude;
  std::unique_ptr<re2::RE2> disk_devices_exclude;
  std::unique_ptr<re2::RE2> network_devices_exclude;  ///< nullptr: none.

  [[nodiscard]] std::string proc(std::string_view name) const {
    return options.proc_path + "/" + std::string(name);
  }

  [[nodiscard]] std::string sys(std::string_view name) const {
    return options.sys_path + "/" + std::string(name);
  }
};

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
