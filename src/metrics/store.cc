#include "metrics/store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/log.h"
#include "metrics/annotations/annotations_file.h"
#include "metrics/replay.h"
#include "metrics/store_impl.h"
#include "storage/directory.h"

namespace gantry::metrics {
namespace {

constexpr std::uint64_t kAnnotationsBytesMax = std::uint64_t{1} << 30;

void log_damage(const storage::LogDamage& damage) {
  log::warn(damage.is_torn_tail ? "torn tail of the metrics log was cut off"
                                : "damaged part of the metrics log was set aside",
            {{"segment", damage.segment.string()},
             {"offset_bytes", damage.offset_bytes},
             {"length_bytes", damage.length_bytes},
             {"reason", damage.reason},
             {"now_at", damage.quarantined_as.string()}});
}

/// Moves the `limit` largest to the front, descending; equal ones by name.
void keep_largest(std::vector<CardinalityEntry>& entries, std::size_t limit) {
  const auto middle =
      entries.begin() + static_cast<std::ptrdiff_t>(std::min(limit, entries.size()));
  std::partial_sort(entries.begin(), middle, entries.end(),
                    [](const CardinalityEntry& a, const CardinalityEntry& b) {
                      return a.value != b.value ? a.value > b.value : a.name < b.name;
                    });
  entries.erase(middle, entries.end());
}

/// Keeps memory bounded while very many entries pass by.
class Largest {
 public:
  explicit Largest(std::size_t limit) : limit_(limit) {}

  template <class Name>
  void add(std::uint64_t value, const Name& name) {
    if (limit_ == 0 || (is_full_ && value < least_)) return;
    entries_.push_back({.name = name(), .value = value});
    if (entries_.size() < 4 * limit_ + 16) return;
    keep_largest(entries_, limit_);
    is_full_ = true;
    least_ = entries_.back().value;
  }

  std::vector<CardinalityEntry> take() {
    keep_largest(entries_, limit_);
    return std::move(entries_);
  }

 private:
  std::size_t limit_;
  bool is_full_ = false;
  std::uint64_t least_ = 0;
  std::vector<CardinalityEntry> entries_;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(std::filesystem::path directory, StoreOptions options,
                                           StoreEnvironment environment) {
  GANTRY_TRY(auto store,
             StoreImpl::open(std::move(directory), options, environment, Background::On));
  return std::unique_ptr<Store>(std::move(store));
}

StoreImpl::StoreImpl(std::filesystem::path directory, StoreOptions options,
                     StoreEnvironment environment)
    : directory_(std::move(directory)),
      environment_(environment),
      state_(std::make_shared<StoreState>(options.limits.exemplars_max)),
      source_(state_),
      metrics_(environment.registry),
      catalog_(environment.files, directory_, *state_),
      options_(std::make_shared<const StoreOptions>(options)),
      label_order_(state_->registry) {}

StoreImpl::~StoreImpl() {
  gate_.shut();
  stop_thread();
}

void StoreImpl::stop_thread() {
  cancel_.cancel();
  thread_.request_stop();
  {
    const core::Lock lock(wake_mutex_);
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<StoreImpl>> StoreImpl::open(std::filesystem::path directory,
                                                   StoreOptions options,
                                                   StoreEnvironment environment,
                                                   Background background) {
  auto store = std::make_unique<StoreImpl>(std::move(directory), options, environment);
  GANTRY_CHECK(store->start());
  if (background == Background::On) {
    store->thread_ =
        std::jthread([self = store.get()](const std::stop_token& stop) { self->run(stop); });
  }
  return store;
}

Result<void> StoreImpl::start() {
  storage::FileSystem& files = environment_.files;
  GANTRY_CHECK(storage::make_directories(files, directory_));
  // The log's lock is what keeps a second process out: before anything is touched.
  const std::shared_ptr<const StoreOptions> settings = options();
  storage::WriteAheadLog::Options log_options;
  log_options.durability = settings->durability == Durability::Synced
                               ? storage::LogDurability::Synced
                               : storage::LogDurability::Written;
  log_options.quarantine_directory = directory_ / "quarantine";
  GANTRY_TRY(log_, storage::WriteAheadLog::open(files, directory_ / "wal", log_options));
  if (log_->tail_damage()) log_damage(*log_->tail_damage());

  GANTRY_CHECK(catalog_.open());
  if (const std::uint64_t number = catalog_.annotations_number(); number != 0) {
    auto bytes = storage::read_file(files, catalog_.annotations_path(number), kAnnotationsBytesMax);
    Result<void> loaded =
        bytes ? decode_annotations(*bytes, state_->registry, state_->exemplars, state_->metadata)
              : Result<void>(std::unexpected(bytes.error()));
    if (!loaded && loaded.error().code == Code::FailedPrecondition) return loaded;
    if (!loaded) {
      log::error("exemplars and metadata of earlier runs were lost",
                 {{"error", loaded.error().message}});
    }
  }
  GANTRY_CHECK(load_day_bytes());
  GANTRY_CHECK(replay_log());
  const core::Lock lock(flush_mutex_);
  last_flush_ms_ = environment_.clock.now().since_epoch;
  return {};
}

Result<void> StoreImpl::replay_log() {
  const std::int64_t started_ns = monotonic_ns();
  Replay replay(
      *state_, catalog_.log_start(),
      [this](const DeleteRecord& deletion) -> Result<void> {
        std::vector<std::uint32_t> series;
        {
          const SeriesRegistry::Reader registry(state_->registry);
          GANTRY_TRY(series,
                     match_series(registry, state_->regexes, deletion.matchers, CancelToken()));
        }
        return erase_from_head(series, deletion.start_ms, deletion.end_ms);
      },
      environment_.workers);
  GANTRY_TRY(const storage::ReplayReport report,
             log_->replay([&](const storage::LogRecord& record) { return replay.visit(record); }));
  replay.finish();
  for (const storage::LogDamage& damage : report.damages) log_damage(damage);
  // Ids in the log are those of the process that wrote them: ours start in a segment of their own.
  log_->rotate();
  log::info("metrics store opened", {{"directory", directory_.string()},
                                     {"parts", state_->view()->parts.size()},
                                     {"log_records", report.record_count},
                                     {"samples_replayed", replay.sample_count()},
                                     {"samples_lost", replay.lost_count()},
                                     {"replay_ms", (monotonic_ns() - started_ns) / 1'000'000}});
  return {};
}

std::shared_ptr<const StoreOptions> StoreImpl::options() const {
  const core::Lock lock(options_mutex_);
  return options_;
}

void StoreImpl::reconfigure(const StoreOptions& options) {
  state_->exemplars.set_count_max(options.limits.exemplars_max);
  const core::Lock lock(options_mutex_);
  options_ = std::make_shared<const StoreOptions>(options);
}

std::vector<std::pair<std::string, std::vector<MetadataEntry>>> StoreImpl::metadata(
    std::string_view family) const {
  return state_->metadata.list(family);
}

CardinalityStatistics StoreImpl::cardinality(std::size_t limit) const {
  CardinalityStatistics out;
  out.series_count = state_->head.active_count();
  out.chunk_count = state_->head.memory().sealed_count;
  const Head::Times times = state_->head.times();
  out.time_ms_min = times.min_ms == kNoTime ? 0 : times.min_ms;
  out.time_ms_max = times.max_ms == kNoTime ? 0 : times.max_ms;
  Largest by_metric(limit);
  Largest values_by_label(limit);
  Largest bytes_by_label(limit);
  Largest by_pair(limit);

  const SeriesRegistry::Reader registry(state_->registry);
  const SymbolTable& symbols = registry.symbols();
  out.label_pair_count = registry.postings().pair_count();
  std::vector<std::uint32_t> names;
  registry.postings().for_each_name(
      [&](const LabelNameStatistics& entry) { names.push_back(entry.name); });
  for (const std::uint32_t name : names) {
    const std::string_view name_text = symbols.text(name);
    const bool is_metric_name = name_text == telemetry::kMetricNameLabel;
    std::uint64_t bytes = 0;
    registry.postings().for_each_value(name, [&](std::uint32_t value,
                                                 std::span<const std::uint32_t> series) {
      const std::string_view text = symbols.text(value);
      bytes += text.size() * series.size();
      if (is_metric_name) by_metric.add(series.size(), [&] { return std::string(text); });
      by_pair.add(series.size(), [&] { return std::string(name_text) + "=" + std::string(text); });
    });
    values_by_label.add(registry.postings().value_count(name),
                        [&] { return std::string(name_text); });
    bytes_by_label.add(bytes, [&] { return std::string(name_text); });
  }
  out.series_by_metric = by_metric.take();
  out.values_by_label = values_by_label.take();
  out.bytes_by_label = bytes_by_label.take();
  out.series_by_label_pair = by_pair.take();
  return out;
}

std::vector<PartStatistics> StoreImpl::parts() const {
  std::vector<PartStatistics> out;
  const std::shared_ptr<const PartView> view = state_->view();
  for (const auto& part : view->parts) {
    const PartSummary& summary = part->summary();
    out.push_back({.name = part->entry().path().string(),
                   .time_ms_min = summary.time_ms_min,
                   .time_ms_max = summary.time_ms_max,
                   .sample_count = summary.sample_count,
                   .series_count = summary.series_count,
                   .block_count = summary.block_count,
                   .bytes = part->bytes(),
                   .level = summary.level});
  }
  return out;
}

Result<void> StoreImpl::close() {
  const core::Lock lock(close_mutex_);
  if (is_closed_) return {};
  gate_.shut();
  stop_thread();
  GANTRY_CHECK(flush());
  catalog_.remove_retired();
  {
    const core::Lock flush_lock(flush_mutex_);
    GANTRY_CHECK(save_day_bytes());
  }
  is_closed_ = true;
  return {};
}

}  // namespace gantry::metrics
