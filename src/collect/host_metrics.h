#pragma once

// The host's metrics under the names, labels and types of node_exporter, so that its dashboards and
// rules work: CPU, memory, load, disks, file systems, network, pressure, kernel counters.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collect/family.h"
#include "core/error.h"
#include "core/time.h"

namespace gantry::collect {

/// Sizes of one mounted file system.
struct FilesystemUsage {
  double size_bytes = 0;
  double free_bytes = 0;
  double available_bytes = 0;  ///< For users other than root.
  double files = 0;
  double files_free = 0;
  bool is_read_only = false;
};

/// uname(2).
struct SystemName {
  std::string sysname, release, version, machine, nodename, domainname;
};

struct HostOptions {
  std::string proc_path = "/proc";
  std::string sys_path = "/sys";
  std::string root_path = "/";  ///< Put before each mount point.

  // RE2, searched in the name; empty excludes nothing. The defaults are node_exporter's.
  std::string mount_points_exclude =
      "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
  std::string filesystem_types_exclude =
      "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"
      "iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|"
      "erofs|sysfs|tracefs)$";
  /// Ours: a server that does not answer would hold up statvfs, and with it all of collection.
  std::string remote_filesystem_types_exclude =
      "^(nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|9p|afs|lustre|fuse\\..+)$";
  std::string disk_devices_exclude = "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$";
  std::string network_devices_exclude;

  // For tests; the system calls by default.
  std::function<std::optional<FilesystemUsage>(const std::string& path)> filesystem_usage;
  std::function<SystemName()> system_name;
};

/// Reads small files; blocking. One thread at a time.
class HostMetrics {
 public:
  /// Errors: InvalidArgument for a pattern that is no regular expression.
  static Result<std::unique_ptr<HostMetrics>> make(HostOptions options);

  ~HostMetrics();
  HostMetrics(const HostMetrics&) = delete;
  HostMetrics& operator=(const HostMetrics&) = delete;

  /// Everything that could be read at `now`. Each area ("cpu", "meminfo", …) has a sample of
  /// node_scrape_collector_success and …_duration_seconds; an area that cannot be read has no
  /// other.
  [[nodiscard]] std::vector<Family> read(TimestampMs now) const;

 private:
  struct Impl;
  explicit HostMetrics(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// This machine's name, as the `instance` of what it collects.
[[nodiscard]] std::string host_name();

}  // namespace gantry::collect
