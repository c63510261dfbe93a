#include "access/audit.h"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <span>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>
#include <sodium.h>

#include "access/stored_text.h"
#include "core/json_writer.h"
#include "core/log.h"
#include "core/mutex.h"

namespace gantry::access {
namespace {

using Hash = std::array<unsigned char, crypto_hash_sha256_BYTES>;
constexpr std::size_t kFlushBatch = 500;
constexpr std::size_t kCheckBatch = 1000;

/// Feeds length-prefixed fields, so that no two different rows have the same bytes.
class RowHasher {
 public:
  RowHasher() { crypto_hash_sha256_init(&state_); }

  void add(std::string_view text) {
    add(static_cast<std::int64_t>(text.size()));
    crypto_hash_sha256_update(&state_, reinterpret_cast<const unsigned char*>(text.data()),
                              text.size());
  }

  void add(std::int64_t value) {
    std::array<unsigned char, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<unsigned char>(static_cast<std::uint64_t>(value) >> (8 * i));
    crypto_hash_sha256_update(&state_, bytes.data(), bytes.size());
  }

  Hash finish() {
    Hash hash{};
    crypto_hash_sha256_final(&state_, hash.data());
    return hash;
  }

 private:
  crypto_hash_sha256_state state_{};
};

std::string format_changes(const std::vector<AuditChange>& changes) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_array();
  for (const AuditChange& change : changes) {
    json.begin_object();
    json.key("field").string(change.field);
    json.key("old").string(change.before);
    json.key("new").string(change.after);
    json.end_object();
  }
  json.end_array();
  return out;
}

std::vector<AuditChange> parse_changes(std::string_view text) {
  std::vector<AuditChange> changes;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array()) return changes;
  for (const auto& item : json)
    changes.push_back({.field = item.value("field", ""),
                       .before = item.value("old", ""),
                       .after = item.value("new", "")});
  return changes;
}

/// A row as it is stored. `changes` is the JSON text, which the hash covers as it is.
struct Row {
  AuditRecord record;
  std::string changes;
  std::string previous_hash;  // bytes
  std::string hash;           // bytes
};

Hash row_hash(const Row& row) {
  const AuditEvent& event = row.record.event;
  RowHasher hasher;
  hasher.add(row.previous_hash);
  hasher.add(row.record.id);
  hasher.add(row.record.time.since_epoch);
  hasher.add(event.event);
  hasher.add(outcome_name(event.outcome));
  hasher.add(actor_type_name(event.actor.type));
  hasher.add(event.actor.id);
  hasher.add(event.actor.name);
  hasher.add(event.org ? event.org->value() : std::int64_t{-1});
  hasher.add(event.stack ? static_cast<std::int64_t>(event.stack->value()) : std::int64_t{-1});
  hasher.add(event.target.type);
  hasher.add(event.target.id);
  hasher.add(event.target.name);
  hasher.add(event.client.ip);
  hasher.add(event.client.user_agent);
  hasher.add(event.client.request_id);
  hasher.add(event.session_hash);
  hasher.add(row.changes);
  hasher.add(event.reason);
  return hasher.finish();
}

std::string hexadecimal(std::string_view bytes) {
  std::string text(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                 bytes.size());
  text.pop_back();
  return text;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> as_blob(std::string_view bytes) {
  return std::as_bytes(std::span(bytes));
}

Outcome parse_outcome(std::string_view name) {
  if (name == "ok") return Outcome::Ok;
  return name == "denied" ? Outcome::Denied : Outcome::Error;
}

Actor::Type parse_actor_type(std::string_view name) {
  for (const auto type : {Actor::Type::User, Actor::Type::Token, Actor::Type::System})
    if (actor_type_name(type) == name) return type;
  return Actor::Type::Anonymous;
}

Row read_row(const state::Statement& select) {
  Row row;
  row.record.id = select.integer(0);
  row.record.time = TimestampMs{select.integer(1)};
  AuditEvent& event = row.record.event;
  event.event = select.text(2);
  event.outcome = parse_outcome(select.text(3));
  event.actor = {.type = parse_actor_type(select.text(4)),
                 .id = std::string(select.text(5)),
                 .name = std::string(select.text(6))};
  if (const auto org = select.optional_integer(7)) event.org = OrgId(*org);
  if (const auto stack = select.optional_integer(8))
    event.stack = StackId(static_cast<std::uint32_t>(*stack));
  event.target = {.type = std::string(select.text(9)),
                  .id = std::string(select.text(10)),
                  .name = std::string(select.text(11))};
  event.client = {.ip = std::string(select.text(12)),
                  .user_agent = std::string(select.text(13)),
                  .request_id = std::string(select.text(14))};
  event.session_hash = select.text(15);
  row.changes = select.text(16);
  event.changes = parse_changes(row.changes);
  event.reason = select.text(17);
  row.previous_hash = as_text(select.blob(18));
  row.hash = as_text(select.blob(19));
  row.record.hash = hexadecimal(row.hash);
  return row;
}

#define GANTRY_AUDIT_COLUMNS                                                                     \
  "id, at_ms, event, outcome, actor_type, actor_id, actor_name, org_id, stack_id, target_type, " \
  "target_id, target_name, ip, user_agent, request_id, session_hash, changes, reason, "          \
  "prev_hash, hash"

/// The id and hash of the newest row; 0 and nothing for an empty log.
Result<std::pair<std::int64_t, std::string>> read_end(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT id, hash FROM audit_events ORDER BY id DESC LIMIT 1"));
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::pair(std::int64_t{0}, std::string());
  return std::pair(select.integer(0), std::string(as_text(select.blob(1))));
}

Result<void> insert_row(state::Transaction& tx, const Row& row) {
  const AuditEvent& event = row.record.event;
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO audit_events (" GANTRY_AUDIT_COLUMNS
                        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.bind(row.record.id)
      .bind(row.record.time.since_epoch)
      .bind(event.event)
      .bind(outcome_name(event.outcome))
      .bind(actor_type_name(event.actor.type))
      .bind(event.actor.id)
      .bind(event.actor.name)
      .bind(event.org ? std::optional(event.org->value()) : std::nullopt)
      .bind(event.stack ? std::optional<std::int64_t>(event.stack->value()) : std::nullopt)
      .bind(event.target.type)
      .bind(event.target.id)
      .bind(event.target.name)
      .bind(event.client.ip)
      .bind(event.client.user_agent)
      .bind(event.client.request_id)
      .bind(event.session_hash)
      .bind(row.changes)
      .bind(event.reason)
      .bind(as_blob(row.previous_hash))
      .bind(as_blob(row.hash));
  return insert.run();
}

AuditEvent as_stored(AuditEvent event) {
  for (std::string* text :
       {&event.event, &event.actor.id, &event.actor.name, &event.target.type, &event.target.id,
        &event.target.name, &event.client.ip, &event.client.user_agent, &event.client.request_id,
        &event.session_hash, &event.reason})
    *text = stored_text(*text);
  return event;
}

Result<void> append_row(state::Transaction& tx, TimestampMs at, const AuditEvent& event) {
  GANTRY_TRY(auto end, read_end(tx));
  Row row{.record = {.id = end.first + 1, .time = at, .event = as_stored(event), .hash = {}},
          .changes = format_changes(event.changes),
          .previous_hash = std::move(end.second),
          .hash = {}};
  const Hash hash = row_hash(row);
  row.hash.assign(reinterpret_cast<const char*>(hash.data()), hash.size());
  return insert_row(tx, row);
}

struct Noted {
  TimestampMs at;
  AuditEvent event;
};

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::Ok:
      return "ok";
    case Outcome::Denied:
      return "denied";
    case Outcome::Error:
      return "error";
  }
  return "error";
}

struct AuditLog::Impl {
  state::Db& db;
  const Clock& clock;
  const Options options;
  core::Counter& lost;
  core::Mutex mutex;
  std::deque<Noted> queue GANTRY_GUARDED_BY(mutex);
  std::unordered_map<std::string, std::int64_t> sampled_until_ms GANTRY_GUARDED_BY(mutex);

  void push(TimestampMs now, AuditEvent event) GANTRY_REQUIRES(mutex) {
    if (queue.size() >= options.queue_max) {
      lost.add();
      return;
    }
    queue.push_back({.at = now, .event = std::move(event)});
  }

  /// False when the key had its turn lately. Forgets old keys when there are too many.
  bool may_sample(std::string_view key, std::int64_t now_ms, std::int64_t interval_ms)
      GANTRY_REQUIRES(mutex) {
    const auto is_over = [&](const auto& entry) { return now_ms >= entry.second; };
    if (sampled_until_ms.size() >= options.sample_keys_max)
      std::erase_if(sampled_until_ms, is_over);
    const auto [entry, is_new] =
        sampled_until_ms.try_emplace(std::string(key), now_ms + interval_ms);
    if (is_new) {
      if (sampled_until_ms.size() <= options.sample_keys_max) return true;
      sampled_until_ms.erase(entry);
      lost.add();
      return false;
    }
    if (!is_over(*entry)) return false;
    entry->second = now_ms + interval_ms;
    return true;
  }

  std::vector<Noted> take_batch() {
    const core::Lock lock(mutex);
    std::vector<Noted> batch;
    while (!queue.empty() && batch.size() < kFlushBatch) {
      batch.push_back(std::move(queue.front()));
      queue.pop_front();
    }
    return batch;
  }

  Result<void> write(const std::vector<Noted>& batch) {
    GANTRY_TRY(state::Transaction tx, db.begin_write());
    for (const Noted& noted : batch) GANTRY_CHECK(append_row(tx, noted.at, noted.event));
    return tx.commit();
  }
};

AuditLog::AuditLog(state::Db& db, const Clock& clock, core::MetricRegistry& registry,
                   Options options)
    : impl_(new Impl{.db = db,
                     .clock = clock,
                     .options = options,
                     .lost = registry.counter("gantry_audit_lost_total",
                                              "Audit events of requests that were not kept, "
                                              "because too many waited to be written."),
                     .mutex = {},
                     .queue = {},
                     .sampled_until_ms = {}}) {}

AuditLog::~AuditLog() = default;

Result<void> AuditLog::append(state::Transaction& tx, const AuditEvent& event) {
  return append_row(tx, impl_->clock.now(), event);
}

void AuditLog::note(AuditEvent event) {
  const core::Lock lock(impl_->mutex);
  impl_->push(impl_->clock.now(), std::move(event));
}

void AuditLog::note_sampled(std::string_view key, AuditEvent event,
                            std::optional<DurationMs> interval) {
  const TimestampMs now = impl_->clock.now();
  const std::int64_t interval_ms = interval ? interval->count : impl_->options.sample_interval_ms;
  const core::Lock lock(impl_->mutex);
  if (impl_->may_sample(key, now.since_epoch, interval_ms)) impl_->push(now, std::move(event));
}

Result<void> AuditLog::flush() {
  while (true) {
    std::vector<Noted> batch = impl_->take_batch();
    if (batch.empty()) return {};
    if (auto written = impl_->write(batch); !written) {
      const core::Lock lock(impl_->mutex);
      impl_->queue.insert(impl_->queue.begin(), std::make_move_iterator(batch.begin()),
                          std::make_move_iterator(batch.end()));
      return written;
    }
  }
}

Result<std::vector<AuditRecord>> AuditLog::read(const AuditQuery& query) const {
  constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::max();
  const bool is_prefix = query.event.ends_with('.');
  GANTRY_TRY(state::Transaction tx, impl_->db.begin_read());
  // CAST says which type a placeholder has where PostgreSQL could not tell.
  GANTRY_TRY(
      state::Statement select,
      tx.prepare("SELECT " GANTRY_AUDIT_COLUMNS " FROM audit_events WHERE id < CAST(? AS BIGINT) "
                 "AND at_ms >= CAST(? AS BIGINT) AND at_ms < CAST(? AS BIGINT) "
                 "AND (CAST(? AS BIGINT) = -1 OR org_id = CAST(? AS BIGINT)) "
                 "AND (CAST(? AS TEXT) = '' OR substr(event, 1, CAST(? AS INTEGER)) = ?) "
                 "AND (CAST(? AS TEXT) = '' OR actor_id = ? OR actor_name = ?) "
                 "AND (CAST(? AS TEXT) = '' OR target_id = ? OR target_name = ?) "
                 "ORDER BY id DESC LIMIT CAST(? AS BIGINT)"));
  const std::int64_t org = query.org ? query.org->value() : -1;
  select.bind(query.before_id.value_or(kEver))
      .bind(query.from ? query.from->since_epoch : std::int64_t{0})
      .bind(query.to ? query.to->since_epoch : kEver)
      .bind(org)
      .bind(org)
      .bind(query.event)
      .bind(is_prefix ? static_cast<std::int64_t>(query.event.size()) : std::int64_t{1} << 20)
      .bind(query.event)
      .bind(query.actor)
      .bind(query.actor)
      .bind(query.actor)
      .bind(query.target)
      .bind(query.target)
      .bind(query.target)
      .bind(static_cast<std::int64_t>(query.limit));
  std::vector<AuditRecord> records;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return records;
    records.push_back(read_row(select).record);
  }
}

Result<AuditCheck> AuditLog::check() const {
  AuditCheck result;
  std::int64_t last_id = 0;
  std::string last_hash;
  while (true) {
    GANTRY_TRY(state::Transaction tx, impl_->db.begin_read());
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT " GANTRY_AUDIT_COLUMNS
                          " FROM audit_events WHERE id > ? ORDER BY id LIMIT CAST(? AS BIGINT)"));
    select.bind(last_id).bind(static_cast<std::int64_t>(kCheckBatch));
    std::size_t count = 0;
    while (true) {
      GANTRY_TRY(const bool has_row, select.step());
      if (!has_row) break;
      ++count;
      const Row row = read_row(select);
      const Hash expected = row_hash(row);
      // The oldest row that is kept has its past outside the log.
      const bool follows =
          result.checked == 0 || (row.previous_hash == last_hash && row.record.id == last_id + 1);
      const bool is_whole =
          row.hash ==
          std::string_view(reinterpret_cast<const char*>(expected.data()), expected.size());
      if (!follows || !is_whole) {
        result.broken_id = row.record.id;
        return result;
      }
      ++result.checked;
      last_id = row.record.id;
      last_hash = row.hash;
    }
    if (count < kCheckBatch) return result;
  }
}

Result<void> AuditLog::expire() {
  const std::int64_t before_ms = impl_->clock.now().since_epoch - impl_->options.retention.count;
  GANTRY_TRY(state::Transaction tx, impl_->db.begin_write());
  // The newest row stays: ids and hashes go on from it.
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM audit_events WHERE at_ms < ? AND id < "
                        "(SELECT coalesce(min(id), 0) FROM audit_events WHERE at_ms >= ? OR id = "
                        "(SELECT max(id) FROM audit_events))"));
  remove.bind(before_ms).bind(before_ms);
  GANTRY_CHECK(remove.run());
  return tx.commit();
}

}  // namespace gantry::access
