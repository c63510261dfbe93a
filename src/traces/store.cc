#include "traces/store.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "codec/otlp_traces.h"
#include "core/log.h"
#include "storage/directory.h"
#include "traces/log/log_record.h"
#include "traces/store_impl.h"

namespace gantry::traces {
namespace {

void log_damage(const storage::LogDamage& damage) {
  log::warn(damage.is_torn_tail ? "torn tail of the traces log was cut off"
                                : "damaged part of the traces log was set aside",
            {{"segment", damage.segment.string()},
             {"offset_bytes", damage.offset_bytes},
             {"length_bytes", damage.length_bytes},
             {"reason", damage.reason},
             {"now_at", damage.quarantined_as.string()}});
}

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
      state_(std::make_shared<StoreState>(environment.files, directory_)),
      source_(state_),
      metrics_(environment.registry),
      options_(std::make_shared<const StoreOptions>(options)) {}

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
  storage::WriteAheadLog::Options log_options;
  log_options.durability = options()->durability == Durability::Synced
                               ? storage::LogDurability::Synced
                               : storage::LogDurability::Written;
  log_options.quarantine_directory = directory_ / "quarantine";
  GANTRY_TRY(log_, storage::WriteAheadLog::open(files, directory_ / "wal", log_options));
  if (log_->tail_damage()) log_damage(*log_->tail_damage());

  GANTRY_CHECK(state_->catalog.open());
  GANTRY_CHECK(replay_log());
  last_seal_ms_ = environment_.clock.now().since_epoch;
  return {};
}

Result<void> StoreImpl::replay_log() {
  const std::int64_t started_ns = monotonic_ns();
  const storage::LogPosition log_start = state_->catalog.log_start();
  codec::OtlpTracesDecoder decoder;
  std::string buffer;
  GANTRY_TRY(const storage::ReplayReport report,
             log_->replay([&](const storage::LogRecord& record) -> Result<void> {
               if (record.position < log_start) return {};
               if (record.type == kSpansRecord)
                 return replay_spans(record.payload, decoder, buffer);
               return fail(Code::DataLoss,
                           "traces log record of unknown type " + std::to_string(record.type));
             }));
  state_->live()->publish();
  for (const storage::LogDamage& damage : report.damages) log_damage(damage);
  log::info("trace store opened", {{"directory", directory_.string()},
                                   {"blocks", state_->catalog.view()->blocks.size()},
                                   {"log_records", report.record_count},
                                   {"spans_replayed", state_->live()->mark().table.counts.spans},
                                   {"replay_ms", (monotonic_ns() - started_ns) / 1'000'000}});
  return {};
}

Result<void> StoreImpl::replay_spans(std::span<const std::byte> payload,
                                     codec::OtlpTracesDecoder& decoder, std::string& buffer) {
  GANTRY_TRY(const std::string_view otlp, decode_spans_record(payload, buffer));
  if (auto decoded = decoder.decode_protobuf(otlp, codec::kNoOtlpTracesLimits); !decoded) {
    return fail(Code::DataLoss, "a record in the traces log: " + decoded.error().message);
  }
  const telemetry::SpanBatch& batch = decoder.batch();
  std::vector<std::uint32_t> spans(batch.spans.size());
  std::iota(spans.begin(), spans.end(), 0U);
  telemetry::SpanBatch older;
  if (auto read = read_older(batch, spans, older); !read) {
    if (read.error().code != Code::DataLoss) return read;
    // The block will be set aside; what was acknowledged must come up.
    log::error("earlier spans of a trace could not be read", {{"error", read.error().message}});
    older.clear();
  }
  const core::Lock lock(apply_mutex_);
  Segment& live = *state_->live();
  budget_.charge(older, live.adopt(older));
  budget_.charge(batch, spans);
  live.append(batch, spans);
  return {};
}

std::shared_ptr<const StoreOptions> StoreImpl::options() const {
  const core::Lock lock(options_mutex_);
  return options_;
}

void StoreImpl::reconfigure(const StoreOptions& options) {
  const core::Lock lock(options_mutex_);
  options_ = std::make_shared<const StoreOptions>(options);
}

StoreStatistics StoreImpl::statistics() const {
  StoreStatistics out;
  const StoreMoment moment = state_->moment();
  for (const SegmentMoment* segment : {&moment.live, &moment.sealing}) {
    if (!segment->segment) continue;
    out.live_spans += segment->mark.table.counts.spans;
    out.live_traces += segment->mark.table.counts.traces;
    out.live_bytes += segment->segment->table().memory_bytes();
  }
  out.wal_bytes = log_->size_bytes();
  for (const auto& block : moment.view->blocks) {
    const BlockSummary& summary = block->reader->summary();
    out.blocks.push_back({.name = block->entry.path().string(),
                          .start_ns_min = summary.start_ns_min,
                          .end_ns_max = summary.end_ns_max,
                          .spans = summary.spans,
                          .traces = summary.traces,
                          .bytes = summary.bytes,
                          .level = summary.level});
  }
  std::ranges::stable_sort(out.blocks, std::greater<>(), &BlockStatistics::end_ns_max);
  return out;
}

Result<void> StoreImpl::close() {
  const core::Lock lock(close_mutex_);
  if (is_closed_) return {};
  gate_.shut();
  stop_thread();
  GANTRY_CHECK(flush());
  state_->catalog.remove_retired();
  is_closed_ = true;
  return {};
}

}  // namespace gantry::traces
