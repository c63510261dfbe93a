// /proc/net/dev, /sys/class/net and /proc/net/sockstat.
// Names, help and types: node_exporter collector/{netdev,netclass,sockstat}_linux.go; the formats:
// Linux Documentation/ABI/testing/sysfs-class-net and proc_net(5).

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "collect/host_areas_internal.h"
#include "collect/proc_text_internal.h"

namespace gantry::collect {
namespace {

constexpr std::array kReceiveColumns{"bytes", "packets", "errs",       "drop",
                                     "fifo",  "frame",   "compressed", "multicast"};
constexpr std::array kTransmitColumns{"bytes", "packets", "errs",    "drop",
                                      "fifo",  "colls",   "carrier", "compressed"};

struct NetworkProperty {
  const char* file;
  const char* name;  ///< After node_network_.
  telemetry::MetricType type = telemetry::MetricType::Gauge;
  double factor = 1;
};

constexpr double kMegabitBytes = 1e6 / 8;

constexpr std::array kNetworkProperties{
    NetworkProperty{"addr_assign_type", "address_assign_type"},
    NetworkProperty{"carrier", "carrier"},
    NetworkProperty{"carrier_changes", "carrier_changes_total", telemetry::MetricType::Counter},
    NetworkProperty{"carrier_up_count", "carrier_up_changes_total", telemetry::MetricType::Counter},
    NetworkProperty{"carrier_down_count", "carrier_down_changes_total",
                    telemetry::MetricType::Counter},
    NetworkProperty{"dev_id", "device_id"},
    NetworkProperty{"dormant", "dormant"},
    NetworkProperty{"flags", "flags"},
    NetworkProperty{"ifindex", "iface_id"},
    NetworkProperty{"iflink", "iface_link"},
    NetworkProperty{"link_mode", "iface_link_mode"},
    NetworkProperty{"mtu", "mtu_bytes"},
    NetworkProperty{"name_assign_type", "name_assign_type"},
    NetworkProperty{"netdev_group", "net_dev_group"},
    NetworkProperty{"speed", "speed_bytes", telemetry::MetricType::Gauge, kMegabitBytes},
    NetworkProperty{"tx_queue_len", "transmit_queue_length"},
    NetworkProperty{"type", "protocol_type"}};

bool is_excluded(const HostSources& sources, const std::string& device) {
  return is_match(sources.network_devices_exclude, device);
}

template <std::size_t N>
void add_direction(std::string_view direction, const std::array<const char*, N>& columns,
                   const std::string& device, const std::vector<std::string_view>& words,
                   std::size_t first, FamilySet& out) {
  for (std::size_t i = 0; i < N && first + i < words.size(); ++i) {
    if (const auto value = parse_number(words[first + i])) {
      out.counter(fmt::format("node_network_{}_{}_total", direction, columns[i]),
                  fmt::format("Network device statistic {}_{}.", direction, columns[i]),
                  {{"device", device}}, *value);
    }
  }
}

/// Decimal, or hexadecimal with 0x as `flags` and `dev_id` have it.
std::optional<double> parse_property(std::string_view text) {
  if (!text.starts_with("0x")) return parse_number(text);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<double>(value);
}

/// "" when the file is missing or cannot be read now (speed of a link that is down).
std::string read_property(const std::string& directory, std::string_view file) {
  const auto text = read_proc_file(fmt::format("{}/{}", directory, file));
  return text ? std::string(trim(*text)) : "";
}

void add_device(const std::string& directory, const std::string& device, FamilySet& out) {
  constexpr std::uint64_t kInterfaceUp = 1;  // IFF_UP
  const std::string state = read_property(directory, "operstate");
  const auto flags = parse_property(read_property(directory, "flags"));
  const bool is_admin_up =
      flags && (static_cast<std::uint64_t>(*flags) & kInterfaceUp) == kInterfaceUp;
  out.gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.",
            {{"device", device}}, state == "up" ? 1 : 0);
  out.gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
            {{"address", read_property(directory, "address")},
             {"adminstate", is_admin_up ? "up" : "down"},
             {"broadcast", read_property(directory, "broadcast")},
             {"device", device},
             {"duplex", read_property(directory, "duplex")},
             {"ifalias", read_property(directory, "ifalias")},
             {"operstate", state}},
            1);
  for (const NetworkProperty& property : kNetworkProperties) {
    const auto value = parse_property(read_property(directory, property.file));
    if (!value || (std::string_view(property.file) == "speed" && *value < 0)) continue;
    const std::string_view name = property.name;
    out.add(fmt::format("node_network_{}", name), fmt::format("Network device property: {}", name),
            property.type, {{"device", device}}, *value * property.factor);
  }
}

void add_sockets(std::string_view text, FamilySet& out) {
  for (const std::string_view line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.empty() || !words[0].ends_with(':')) continue;
    const std::string_view protocol = words[0].substr(0, words[0].size() - 1);
    for (std::size_t i = 1; i + 1 < words.size(); i += 2) {
      const auto value = parse_number(words[i + 1]);
      if (!value) continue;
      if (protocol == "sockets") {
        out.gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.", {}, *value);
        continue;
      }
      const auto add = [&](std::string_view state, double count) {
        out.gauge(fmt::format("node_sockstat_{}_{}", protocol, state),
                  fmt::format("Number of {} sockets in state {}.", protocol, state), {}, count);
      };
      add(words[i], *value);
      if (words[i] == "mem") add("mem_bytes", *value * static_cast<double>(::getpagesize()));
    }
  }
}

}  // namespace

Result<void> read_netdev(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("net/dev")));
  for (const std::string_view line : split_lines(text)) {
    const std::size_t colon = line.rfind(':');
    if (colon == std::string_view::npos) continue;  // the two heading lines have none
    const std::string device(trim(line.substr(0, colon)));
    if (is_excluded(sources, device)) continue;
    const auto words = split_words(line.substr(colon + 1));
    add_direction("receive", kReceiveColumns, device, words, 0, out);
    add_direction("transmit", kTransmitColumns, device, words, kReceiveColumns.size(), out);
  }
  return {};
}

Result<void> read_netclass(const HostSources& sources, FamilySet& out) {
  const std::string directory = sources.sys("class/net");
  std::error_code error;
  std::vector<std::string> devices;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    devices.push_back(entry->path().filename().string());
  }
  if (error) return fail(Code::NotFound, fmt::format("{}: {}", directory, error.message()));
  std::sort(devices.begin(), devices.end());
  for (const std::string& device : devices) {
    const std::string path = fmt::format("{}/{}", directory, device);
    const bool is_device = std::filesystem::is_directory(path, error);  // bonding_masters is not
    if (is_device && !is_excluded(sources, device)) add_device(path, device, out);
  }
  return {};
}

Result<void> read_sockstat(const HostSources& sources, FamilySet& out) {
  GANTRY_TRY(const std::string text, read_proc_file(sources.proc("net/sockstat")));
  add_sockets(text, out);
  // Absent where IPv6 is off.
  if (const auto text_v6 = read_proc_file(sources.proc("net/sockstat6"))) {
    add_sockets(*text_v6, out);
  }
  return {};
}

}  // namespace gantry::collect
