#include "collect/host_metrics.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "collect/process_metrics.h"
#include "core/number_format.h"

namespace gantry::collect {
namespace {

const std::string kHost = std::string(GANTRY_COLLECT_TESTDATA) + "/host";

std::string_view type_name(telemetry::MetricType type) {
  return telemetry::metric_type_name(type);
}

/// As an exposition page, one sample a line.
std::string print(const std::vector<Family>& families) {
  std::string text;
  for (const Family& family : families) {
    text += fmt::format("# {} {} {}\n", family.name, type_name(family.type), family.help);
    for (const FamilySample& sample : family.samples) {
      text += sample.name + "{";
      for (const auto& [name, value] : sample.labels) text += name + "=\"" + value + "\",";
      text += "} ";
      core::append_float_general(text, sample.value);
      text += "\n";
    }
  }
  return text;
}

HostOptions fixture() {
  HostOptions options;
  options.proc_path = kHost + "/proc";
  options.sys_path = kHost + "/sys";
  options.root_path = "/host";
  options.filesystem_usage = [](const std::string& path) -> std::optional<FilesystemUsage> {
    if (path == "/host/broken") return std::nullopt;
    return FilesystemUsage{.size_bytes = 1000 + static_cast<double>(path.size()),
                           .free_bytes = 500,
                           .available_bytes = 400,
                           .files = 100,
                           .files_free = 90};
  };
  options.system_name = [] {
    return SystemName{.sysname = "Linux",
                      .release = "6.1.0",
                      .version = "#1 SMP",
                      .machine = "x86_64",
                      .nodename = "host-a",
                      .domainname = "(none)"};
  };
  return options;
}

/// Without what depends on the run.
std::vector<Family> read_stable(HostOptions options) {
  const auto host = HostMetrics::make(std::move(options));
  EXPECT_TRUE(host) << host.error().message;
  std::vector<Family> families = (*host)->read({1'700'000'123'456});
  std::erase_if(families, [](const Family& family) {
    return family.name == "node_scrape_collector_duration_seconds";
  });
  return families;
}

TEST(HostMetrics, HasNodeExportersNames) {
  const std::string printed = print(read_stable(fixture()));
  const std::string golden = std::string(GANTRY_COLLECT_TESTDATA) + "/host.txt";
  if (std::getenv("GANTRY_UPDATE_GOLDEN") != nullptr) std::ofstream(golden) << printed;
  std::stringstream expected;
  expected << std::ifstream(golden).rdbuf();
  EXPECT_EQ(printed, expected.str());
}

double value_of(const std::vector<Family>& families, std::string_view name,
                const core::MetricLabels& labels) {
  for (const Family& family : families) {
    for (const FamilySample& sample : family.samples) {
      if (sample.name == name && sample.labels == labels) return sample.value;
    }
  }
  return -1;
}

TEST(HostMetrics, ReportsAnAreaThatCannotBeReadAndGoesOn) {
  HostOptions options = fixture();
  options.proc_path = "/nonexistent";
  const auto families = read_stable(options);
  EXPECT_EQ(value_of(families, "node_scrape_collector_success", {{"collector", "stat"}}), 0);
  EXPECT_EQ(value_of(families, "node_scrape_collector_success", {{"collector", "pressure"}}), 0);
  EXPECT_EQ(value_of(families, "node_scrape_collector_success", {{"collector", "netclass"}}), 1);
  EXPECT_EQ(value_of(families, "node_network_up", {{"device", "eth0"}}), 1);
  EXPECT_EQ(value_of(families, "node_load1", {}), -1);
}

TEST(HostMetrics, ExcludesDevicesByPattern) {
  HostOptions options = fixture();
  options.network_devices_exclude = "^lo$";
  options.disk_devices_exclude = "^nvme";
  const auto families = read_stable(options);
  EXPECT_EQ(value_of(families, "node_network_mtu_bytes", {{"device", "lo"}}), -1);
  EXPECT_EQ(value_of(families, "node_network_receive_bytes_total", {{"device", "lo"}}), -1);
  EXPECT_EQ(value_of(families, "node_network_receive_bytes_total", {{"device", "eth0"}}), 5e6);
  EXPECT_EQ(value_of(families, "node_disk_io_now", {{"device", "loop0"}}), 9);
  EXPECT_EQ(value_of(families, "node_disk_io_now", {{"device", "nvme0n1"}}), -1);
}

TEST(HostMetrics, RefusesABrokenPattern) {
  HostOptions options;
  options.disk_devices_exclude = "(";
  const auto host = HostMetrics::make(options);
  ASSERT_FALSE(host);
  EXPECT_EQ(host.error().code, Code::InvalidArgument);
  EXPECT_TRUE(host.error().message.starts_with("disk_devices_exclude \"(\": "))
      << host.error().message;
}

TEST(HostMetrics, ExcludesNothingWithoutAPattern) {
  HostOptions options = fixture();
  options.filesystem_types_exclude = "";
  options.mount_points_exclude = "";
  const auto families = read_stable(options);
  EXPECT_GT(value_of(families, "node_filesystem_size_bytes",
                     {{"device", "proc"}, {"fstype", "proc"}, {"mountpoint", "/proc"}}),
            0);
}

TEST(HostMetrics, ReadsThisMachine) {
  const auto host = HostMetrics::make({});
  ASSERT_TRUE(host);
  const auto families = (*host)->read({1000});
  EXPECT_GT(value_of(families, "node_memory_MemTotal_bytes", {}), 1 << 20);
  EXPECT_GT(value_of(families, "node_boot_time_seconds", {}), 1e9);
  EXPECT_GE(value_of(families, "node_cpu_seconds_total", {{"cpu", "0"}, {"mode", "idle"}}), 0);
  EXPECT_EQ(value_of(families, "node_time_seconds", {}), 1);
  EXPECT_FALSE(host_name().empty());
}

TEST(ProcessMetrics, ReadsItsOwnProcess) {
  core::MetricRegistry registry;
  register_process_metrics(registry, kHost + "/proc");
  const auto families = own_families(registry);
  EXPECT_DOUBLE_EQ(value_of(families, "process_cpu_seconds_total", {}), 2);
  EXPECT_EQ(value_of(families, "process_virtual_memory_bytes", {}), 104857600);
  EXPECT_EQ(value_of(families, "process_resident_memory_bytes", {}), 2560 * ::getpagesize());
  EXPECT_DOUBLE_EQ(value_of(families, "process_start_time_seconds", {}), 1700000123.45);
  EXPECT_EQ(value_of(families, "process_open_fds", {}), 3);
  EXPECT_GT(value_of(families, "process_max_fds", {}), 0);
}

TEST(OwnFamilies, KeepsTypesAndUnrollsHistograms) {
  core::MetricRegistry registry;
  registry.counter("c_total", "C.", {{"a", "b"}}).add(3);
  registry.histogram("h", "H.", {1, 2}).observe(1.5);
  EXPECT_EQ(print(own_families(registry)),
            "# c_total counter C.\n"
            "c_total{a=\"b\",} 3\n"
            "# h histogram H.\n"
            "h_bucket{le=\"1\",} 0\n"
            "h_bucket{le=\"2\",} 1\n"
            "h_bucket{le=\"+Inf\",} 1\n"
            "h_sum{} 1.5\n"
            "h_count{} 1\n");
}

}  // namespace
}  // namespace gantry::collect
