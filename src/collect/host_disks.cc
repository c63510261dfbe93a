// /proc/diskstats and the mounted file systems.
// Names, help and types: node_exporter collector/{diskstats_linux,filesystem_linux}.go; the format:
// Linux Documentation/admin-guide/iostats.rst and proc_pid_mounts(5).

#include <array>
#include <set>

#include <fmt/format.h>

#include "collect/host_areas_internal.h"
#include "collect/proc_text_internal.h"

namespace gantry::collect {
namespace {

constexpr double kSectorBytes = 512;  // of diskstats, whatever the device's
constexpr double kMilliseconds = 1e-3;

struct DiskColumn {
  const char* name;
  const char* help;
  double factor = 1;
  telemetry::MetricType type = telemetry::MetricType::Counter;
};

/// In the file's order, from the fourth word on.
constexpr std::array kDiskColumns{
    DiskColumn{"node_disk_reads_completed_total",
               "The total number of reads completed successfully."},
    DiskColumn{"node_disk_reads_merged_total", "The total number of reads merged."},
    DiskColumn{"node_disk_read_bytes_total", "The total number of bytes read successfully.",
               kSectorBytes},
    DiskColumn{"node_disk_read_time_seconds_total",
               "The total number of seconds spent by all reads.", kMilliseconds},
    DiskColumn{"node_disk_writes_completed_total",
               "The total number of writes completed successfully."},
    DiskColumn{"node_disk_writes_merged_total", "The number of writes merged."},
    DiskColumn{"node_disk_written_bytes_total", "The total number of bytes written successfully.",
               kSectorBytes},
    DiskColumn{"node_disk_write_time_seconds_total",
               "This is the total number of seconds spent by all writes.", kMilliseconds},
    DiskColumn{"node_disk_io_now", "The number of I/Os currently in progress.", 1,
               telemetry::MetricType::Gauge},
    DiskColumn{"node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", kMilliseconds},
    DiskColumn{"node_disk_io_time_weighted_seconds_total",
               "The weighted # of seconds spent doing I/Os.", kMilliseconds},
    DiskColumn{"node_disk_discards_completed_total",
               "The total number of discards completed successfully."},
    DiskColumn{"node_disk_discards_merged_total", "The total number of discards merged."},
    DiskColumn{"node_disk_discarded_sectors_total",
               "The total number of sectors discarded successfully."},
    DiskColumn{"node_disk_discard_time_seconds_total",
               "This is the total number of seconds spent by all discards.", kMilliseconds},
    DiskColumn{"node_disk_flush_requests_total",
               "The total number of flush requests completed successfully"},
    DiskColumn{"node_disk_flush_requests_time_seconds_total",
               "This is the total number of seconds spent by all flush requests.", kMilliseconds}};

/// Space, tab, line feed and backslash are octal escapes in the mount table.
std::string unescape_mount(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view escape = text.substr(i, 4);
    if (escape == "\\040") {
      out.push_back(' ');
    } else if (escape == "\\011") {
      out.push_back('\t');
    } else if (escape == "\\012") {
      out.push_back('\n');
    } else if (escape == "\\134") {
      out.push_back('\\');
    } else {
      out.push_back(text[i]);
      continue;
    }
    i += 3;
  }
  return out;
}

struct Mount {
  std::string device, mount_point, type;
  bool is_read_only = false;
};

bool has_option(std::string_view options, std::string_view option) {
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(','), options.size());
    if (options.substr(0, end) == option) return true;
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return false;
}

bool is_excluded(const HostSources& sources, const Mount& mount) {
  return is_match(sources.mount_points_exclude, mount.mount_point) ||
         is_match(sources.filesystem_types_exclude, mount.type) ||
         is_match(sources.remote_filesystem_types_exclude, mount.type);
}

/// Of process 1, whose mounts are the host's; of this one where that is hidden.
Result<std::vector<Mount>> read_mounts(const HostSources& sources) {
  auto text = read_proc_file(sources.proc("1/mounts"));
  if (!text) text = read_proc_file(sources.proc("self/mounts"));
  if (!text) return std::unexpected(std::move(text).error());
  std::vector<Mount> mounts;
  for (const std::string_view line : split_lines(*text)) {
    const auto words = split_words(line);
    if (words.size() < 4) continue;
    Mount mount{.device = unescape_mount(words[0]),
                .mount_point = unescape_mount(words[1]),
                .type = std::string(words[2]),
                .is_read_only = has_option(words[3], "ro")};
    if (!is_excluded(sources, mount)) mounts.push_back(std::move(mount));
  }
  return mounts;
}

void add_filesystem(const Mount& mount, const std::optional<FilesystemUsage>& usage,
                    FamilySet& out) {
  const core::MetricLabels labels{
      {"device", mount.device}, {"fstype", mount.type}, {"mountpoint", mount.mount_point}};
  out.gauge("node_filesystem_device_error",
            "Whether an error occurred while getting statistics for the given device.", labels,
            usage ? 0 : 1);
  if (!usage) return;
  out.gauge("node_filesystem_size_bytes", "Filesystem size in bytes.", labels, usage->size_bytes);
  out.gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.", labels,
            usage->free_bytes);
  out.gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.",
            labels, usage->available_bytes);
  out.gauge("node_filesystem_files", "Filesystem total file nodes.", labels, usage->files);
  out.gauge("node_filesystem_files_free", "Filesystem total free file nodes.", labels,
            usage->files_free);
  out.gauge("node_filesystem_readonly", "Filesystem read-only status.", labels,
            mount.is_read_only || usage->is_read_only ? 1 : 0);
}

}  // namespace

Result<void> read_diskstats(const HostSources& sources, FamilySet& out) {
  constexpr std::size_t kDeviceColumn = 2;
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("diskstats")));
  for (const std::string_view line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.size() <= kDeviceColumn) continue;
    const std::string device(words[kDeviceColumn]);
    if (is_match(sources.disk_devices_exclude, device)) continue;
    for (std::size_t i = 0; i < kDiskColumns.size(); ++i) {
      const std::size_t column = kDeviceColumn + 1 + i;
      if (column >= words.size()) break;  // discards came with Linux 4.18, flushes with 5.5
      const auto value = parse_number(words[column]);
      if (!value) continue;
      const DiskColumn& disk = kDiskColumns[i];
      out.add(disk.name, disk.help, disk.type, {{"device", device}}, *value * disk.factor);
    }
  }
  return {};
}

Result<void> read_filesystems(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::vector<Mount> mounts, read_mounts(sources));
  const std::string_view root =
      sources.options.root_path == "/" ? "" : std::string_view(sources.options.root_path);
  std::set<std::pair<std::string, std::string>> seen;  // a later mount hides an earlier one
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (!seen.emplace(mount->device, mount->mount_point).second) continue;
    add_filesystem(*mount,
                   sources.options.filesystem_usage(fmt::format("{}{}", root, mount->mount_point)),
                   out);
  }
  return {};
}

}  // namespace gantry::collect
