#include "gateway/generation_records.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/json_writer.h"
#include "core/mutex.h"
#include "core/rfc3339.h"
#include "gateway/api_names_internal.h"

namespace gantry::gateway {
namespace {

constexpr std::size_t kTextBytesMax = 1024;
constexpr std::int64_t kExpireStep = 5'000;

class RecordWriter {
 public:
  explicit RecordWriter(std::string& out) : json_(out) {}

  void begin() { json_.begin_object(); }

  void end() { json_.end_object(); }

  /// Null when empty. What is cut inside a character ends in U+FFFD.
  void text(std::string_view key, std::string_view value) {
    json_.key(key);
    if (value.empty())
      json_.null();
    else
      json_.string(value.substr(0, kTextBytesMax));
  }

  void number(std::string_view key, std::optional<double> value) {
    json_.key(key);
    if (value)
      json_.number(*value);
    else
      json_.null();
  }

  void integer(std::string_view key, std::optional<std::int64_t> value) {
    json_.key(key);
    if (value)
      json_.integer(*value);
    else
      json_.null();
  }

  void usd(std::string_view key, const std::optional<PicoUsd>& value) {
    number(key, value ? std::optional(value->to_double()) : std::nullopt);
  }

  void boolean(std::string_view key, bool value) { json_.key(key).boolean(value); }

  core::JsonWriter& json() { return json_; }

 private:
  core::JsonWriter json_;
};

/// When the attempt was over: its answer had ended, or it had failed.
std::optional<double> attempt_ms(const Attempt& attempt) {
  const auto end = attempt.body_end_ms ? attempt.body_end_ms : attempt.failed_ms;
  if (!end) return std::nullopt;
  return *end - attempt.sent_ms;
}

void write_attempts(RecordWriter& record, const Generation& generation) {
  record.json().key("provider_responses").begin_array();
  for (const Attempt& attempt : generation.attempts) {
    record.begin();
    record.text("provider_name", attempt.provider_name);
    record.integer("status", attempt.status);
    record.number("latency", attempt_ms(attempt));
    record.end();
  }
  record.json().end_array();
}

void write_tokens(RecordWriter& record, const Generation& generation) {
  const bool has_output = generation.api != Api::Embeddings;
  const std::optional<Usage>& usage = generation.usage;
  using Count = std::optional<std::int64_t>;
  record.integer("tokens_prompt", usage ? Count(usage->input) : Count());
  record.integer("tokens_completion", usage && has_output ? Count(usage->output) : Count());
  // Native counts are the provider's: an estimate is never shown as one.
  const bool is_reported = usage && !usage->is_estimated;
  record.integer("native_tokens_prompt", is_reported ? Count(usage->input) : Count());
  record.integer("native_tokens_completion",
                 is_reported && has_output ? Count(usage->output) : Count());
  record.integer("native_tokens_reasoning", is_reported ? usage->reasoning : Count());
  record.integer("native_tokens_cached", is_reported ? usage->cached : Count());
}

void write_cost(RecordWriter& record, const std::optional<Cost>& cost) {
  using Amount = std::optional<PicoUsd>;
  record.usd("total_cost", cost ? Amount(cost->total) : Amount());
  record.usd("usage", cost ? Amount(cost->total) : Amount());
  record.usd("upstream_inference_cost", cost ? cost->upstream : Amount());
  record.usd("cache_discount", cost ? cost->cache_discount : Amount());
}

TimestampMs start_of(const Generation& generation) {
  return {generation.start_unix_ns / 1'000'000};
}

}  // namespace

std::string generation_json(const Generation& generation) {
  const Attempt* last = generation.attempts.empty() ? nullptr : &generation.attempts.back();
  std::string out;
  RecordWriter record(out);
  record.begin();
  record.text("id", generation.id);
  record.text("upstream_id", generation.upstream_id);
  record.text("session_id", generation.context.session_id);
  record.text("created_at", core::format_rfc3339(start_of(generation)));
  record.text("model", generation.served_model.empty() ? generation.requested_model
                                                       : generation.served_model);
  record.text("provider_name", last != nullptr ? last->provider_name : std::string_view());
  write_attempts(record, generation);
  record.text("api_type", api_type(generation.api));
  record.boolean("streamed", generation.is_stream);
  record.boolean("cancelled", generation.is_cancelled);
  record.boolean("is_byok", false);  // the keys of providers are the gateway's
  record.number("latency", generation.end_ms);
  record.number("generation_time",
                last != nullptr && last->is_ok ? attempt_ms(*last) : std::nullopt);
  write_tokens(record, generation);
  record.text("native_finish_reason", generation.native_finish_reason);
  record.text("finish_reason", generation.finish_reason);
  write_cost(record, generation.cost);
  record.text("external_user", generation.context.user_id);
  record.text("origin", generation.origin);
  record.text("http_referer", generation.http_referer);
  record.text("app_name", generation.app_name);
  record.text("user_agent", generation.user_agent);
  record.text("workspace_id", generation.workspace_id);
  // Of OpenRouter's, what this gateway has no such thing of: clients with a strict schema ask.
  for (const std::string_view key :
       {"request_id", "router", "moderation_latency", "app_id", "service_tier", "data_region",
        "num_media_prompt", "num_media_completion", "num_search_results"}) {
    record.text(key, {});
  }
  record.end();
  return out;
}

struct GenerationRecords::Impl {
  struct Record {
    access::OrgId org;
    StackId stack;
    std::string id;
    TimestampMs created_at;
    std::string json;
  };

  using RecordPointer = std::shared_ptr<const Record>;

  static Result<void> write(state::Transaction& tx, const Record& record);
  [[nodiscard]] RecordPointer find_waiting(std::string_view id) const;

  state::Db& db;
  const Clock& clock;
  const Options options;
  core::Counter& lost;
  core::Mutex flush_mutex;  ///< One flush at a time; before `mutex`.
  mutable core::Mutex mutex;
  /// Not yet known to be written, by id.
  std::unordered_map<std::string, RecordPointer> waiting GANTRY_GUARDED_BY(mutex);
};

Result<void> GenerationRecords::Impl::write(state::Transaction& tx, const Record& record) {
  // A commit whose answer was lost may have happened.
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO gateway_generations (org_id, id, stack_id, created_at_ms, "
                        "record) VALUES (?, ?, ?, ?, ?) ON CONFLICT (org_id, id) DO NOTHING"));
  insert.bind(record.org.value())
      .bind(record.id)
      .bind(record.stack.value())
      .bind(record.created_at.since_epoch)
      .bind(record.json);
  return insert.run();
}

GenerationRecords::Impl::RecordPointer GenerationRecords::Impl::find_waiting(
    std::string_view id) const {
  const core::Lock lock(mutex);
  const auto found = waiting.find(std::string(id));
  return found == waiting.end() ? nullptr : found->second;
}

GenerationRecords::GenerationRecords(state::Db& db, const Clock& clock,
                                     core::MetricRegistry& registry, Options options)
    : impl_(new Impl{.db = db,
                     .clock = clock,
                     .options = options,
                     .lost = registry.counter("gantry_gateway_records_lost_total",
                                              "Generation records that found the queue full."),
                     .flush_mutex = {},
                     .mutex = {},
                     .waiting = {}}) {}

GenerationRecords::~GenerationRecords() = default;

void GenerationRecords::add(access::OrgId org, StackId stack, const Generation& generation) {
  auto record =
      std::make_shared<const Impl::Record>(Impl::Record{.org = org,
                                                        .stack = stack,
                                                        .id = generation.id,
                                                        .created_at = start_of(generation),
                                                        .json = generation_json(generation)});
  const core::Lock lock(impl_->mutex);
  if (impl_->waiting.size() < impl_->options.queue_max)
    impl_->waiting.emplace(generation.id, std::move(record));
  else
    impl_->lost.add();
}

Result<std::optional<std::string>> GenerationRecords::find(access::OrgId org, StackId stack,
                                                           std::string_view id) const {
  const auto answer = [](std::string_view record) {
    return R"({"data":)" + std::string(record) + "}";
  };
  if (const auto record = impl_->find_waiting(id);
      record != nullptr && record->org == org && record->stack == stack)
    return answer(record->json);
  GANTRY_TRY(state::Transaction tx, impl_->db.begin_read());
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT record FROM gateway_generations WHERE org_id = ? AND stack_id = ? "
                        "AND id = ? AND created_at_ms > ?"));
  select.bind(org.value())
      .bind(stack.value())
      .bind(id)
      .bind((impl_->clock.now() - impl_->options.retention).since_epoch);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return answer(select.text(0));
}

Result<void> GenerationRecords::flush() {
  const core::Lock flushing(impl_->flush_mutex);
  std::vector<Impl::RecordPointer> batch;
  {
    const core::Lock lock(impl_->mutex);
    for (const auto& [id, record] : impl_->waiting) batch.push_back(record);
  }
  if (batch.empty()) return {};
  GANTRY_TRY(state::Transaction tx, impl_->db.begin_write());
  for (const auto& record : batch) GANTRY_CHECK(Impl::write(tx, *record));
  GANTRY_CHECK(tx.commit());
  const core::Lock lock(impl_->mutex);
  for (const auto& record : batch) impl_->waiting.erase(record->id);
  return {};
}

Result<void> GenerationRecords::expire() {
  const TimestampMs before = impl_->clock.now() - impl_->options.retention;
  while (true) {
    GANTRY_TRY(state::Transaction tx, impl_->db.begin_write());
    {
      GANTRY_TRY(state::Statement remove,
                 tx.prepare("DELETE FROM gateway_generations WHERE (org_id, id) IN (SELECT "
                            "org_id, id FROM gateway_generations WHERE created_at_ms <= ? ORDER "
                            "BY created_at_ms LIMIT ?)"));
      remove.bind(before.since_epoch).bind(kExpireStep);
      GANTRY_CHECK(remove.run());
    }
    const std::int64_t removed = tx.changed_rows();
    GANTRY_CHECK(tx.commit());
    if (removed < kExpireStep) return {};
  }
}

}  // namespace gantry::gateway
