#include "collect/target.h"

#include <utility>

#include "core/error.h"
#include "telemetry/sample.h"

namespace gantry::collect {
namespace {

/// Names and values cannot contain 0xff in valid UTF-8, so that no two label sets read alike.
core::Hash128 series_key(std::span<const telemetry::Label> labels) {
  std::string text;
  for (const telemetry::Label& label : labels) {
    text += label.name;
    text.push_back('\xff');
    text += label.value;
    text.push_back('\xff');
  }
  return core::hash128(text, core::process_hash_seed());
}

}  // namespace

class Target::Resolver final : public telemetry::SeriesResolver {
 public:
  explicit Resolver(const std::vector<telemetry::Labels>& labels) : labels_(labels) {}

  Result<void> resolve(std::uint32_t series, core::Arena&,
                       std::vector<telemetry::LabelView>& labels) const override {
    for (const telemetry::Label& label : labels_[series]) {
      labels.push_back({.name = label.name, .value = label.value});
    }
    return {};
  }

 private:
  const std::vector<telemetry::Labels>& labels_;  // the target's
};

Target::Target(Options options, Gather gather)
    : options_(std::move(options)),
      gather_(std::move(gather)),
      resolver_(std::make_unique<Resolver>(labels_)) {}

Target::~Target() = default;

telemetry::Labels Target::target_labels(std::string_view name,
                                        const core::MetricLabels& labels) const {
  std::vector<telemetry::Label> all;
  all.reserve(labels.size() + 3);
  all.push_back({.name = std::string(telemetry::kMetricNameLabel), .value = std::string(name)});
  all.push_back({.name = "instance", .value = options_.instance});
  all.push_back({.name = "job", .value = options_.job});
  for (const auto& [label, value] : labels) {
    const bool is_taken = label == "job" || label == "instance";
    all.push_back({.name = is_taken ? "exported_" + label : label, .value = value});
  }
  return telemetry::make_labels(std::move(all));
}

bool Target::append(telemetry::Labels labels, std::int64_t timestamp_ms, double value) {
  const core::Hash128 key = series_key(labels);
  const auto [series, is_new] = current_.emplace(key, labels);
  if (!is_new) return false;
  batch_.samples.push_back({.series = static_cast<std::uint32_t>(labels_.size()),
                            .timestamp_ms = timestamp_ms,
                            .value = value});
  batch_.series.push_back({.key = key});
  labels_.push_back(std::move(labels));
  return true;
}

void Target::append_report(std::string_view name, TimestampMs at, double value) {
  append(target_labels(name, {}), at.since_epoch, value);
}

/// Before the reports, so that those are not among the remembered series.
void Target::append_stale_markers(TimestampMs at) {
  for (auto& [key, labels] : previous_) {
    if (current_.contains(key)) continue;
    batch_.samples.push_back({.series = static_cast<std::uint32_t>(labels_.size()),
                              .timestamp_ms = at.since_epoch,
                              .value = telemetry::stale_nan()});
    batch_.series.push_back({.key = key});
    labels_.push_back(std::move(labels));
  }
  previous_ = current_;
}

const telemetry::MetricBatch& Target::collect(TimestampMs at) {
  const std::int64_t started_ns = monotonic_ns();
  batch_.clear();
  labels_.clear();
  current_.clear();
  batch_.resolver = resolver_.get();
  families_ = gather_(at);
  std::size_t scraped_count = 0;
  std::size_t added_count = 0;
  for (const Family& family : families_) {
    batch_.metadata.push_back(
        {.family = family.name, .type = family.type, .help = family.help, .unit = {}});
    for (const FamilySample& sample : family.samples) {
      ++scraped_count;
      if (!append(target_labels(sample.name, sample.labels), at.since_epoch, sample.value)) {
        continue;
      }
      if (!previous_.contains(batch_.series.back().key)) ++added_count;
    }
  }
  append_stale_markers(at);
  const double seconds = static_cast<double>(monotonic_ns() - started_ns) * 1e-9;
  append_report("up", at, families_.empty() ? 0 : 1);
  append_report("scrape_duration_seconds", at, seconds);
  append_report("scrape_samples_scraped", at, static_cast<double>(scraped_count));
  append_report("scrape_samples_post_metric_relabeling", at, static_cast<double>(scraped_count));
  append_report("scrape_series_added", at, static_cast<double>(added_count));
  return batch_;
}

}  // namespace gantry::collect
