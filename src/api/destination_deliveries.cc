// /api/v1/observability/destinations/{id}/health and …/dead-letters.

#include <charconv>
#include <optional>
#include <utility>

#include "api/destinations_internal.h"
#include "core/json_writer.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

using access::ControlResult;
using access::Scope;
using broadcast::DeliveryStatistics;
using broadcast::StoredDestination;

constexpr std::size_t kLettersDefault = 100;
constexpr std::size_t kLettersMax = 1000;
constexpr std::size_t kReplayMax = 10'000;

ControlResult<StoredDestination> find_one(const DestinationCall& call) {
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  return find_own_destination(call, tx);
}

void write_time(core::JsonWriter& json, std::string_view key,
                const std::optional<TimestampMs>& time) {
  json.key(key);
  if (time)
    json.string(core::format_rfc3339(*time));
  else
    json.null();
}

void write_status(core::JsonWriter& json, std::uint32_t status) {
  json.key("status");
  if (status != 0)
    json.integer(status);
  else
    json.null();
}

void write_last_error(core::JsonWriter& json, const DeliveryStatistics& statistics) {
  json.key("last_error");
  if (!statistics.last_error) {
    json.null();
    return;
  }
  const DeliveryStatistics::Failure& failure = *statistics.last_error;
  json.begin_object();
  write_time(json, "at", failure.at);
  json.key("code").string(broadcast::failure_kind_name(failure.kind));
  write_status(json, failure.status);
  json.key("message").string(failure.message);
  json.end_object();
}

void write_queue(core::JsonWriter& json, const broadcast::QueueDepth& queue, TimestampMs now) {
  json.key("queue").begin_object();
  json.key("events").integer(queue.items);
  json.key("bytes").integer(queue.bytes);
  json.key("oldest_seconds");
  if (queue.oldest_ms)
    json.number(static_cast<double>(now.since_epoch - *queue.oldest_ms) / 1000);
  else
    json.null();
  json.end_object();
}

/// Whether it is disabled, or cannot be served, the delivery itself cannot say.
std::string_view state_name(const StoredDestination& stored,
                            const broadcast::DestinationHealth& health) {
  if (!stored.destination.is_enabled) return "disabled";
  if (!health.problem.empty()) return "held";
  return broadcast::delivery_state_name(health.statistics.state);
}

ControlResult<net::Response> read_health(const DestinationCall& call) {
  GANTRY_TRY(const StoredDestination stored, find_one(call));
  const broadcast::DestinationHealth health = call.services.deliveries.health(call.id());
  const DeliveryStatistics& statistics = health.statistics;
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data").begin_object();
  json.key("state").string(state_name(stored, health));
  json.key("problem");
  if (health.problem.empty())
    json.null();
  else
    json.string(health.problem);
  write_queue(json, health.queue, call.services.control.clock.now());
  json.key("sent_events").integer(statistics.sent_events);
  for (const broadcast::Signal signal : broadcast::kSignals) {
    if (!broadcast::takes(stored.destination, signal)) continue;
    const auto found = health.sent.find(signal);
    const broadcast::SentItems sent =
        found == health.sent.end() ? broadcast::SentItems() : found->second;
    const bool is_spans = signal == broadcast::Signal::Spans;
    json.key(is_spans ? "sent_spans" : "sent_samples").integer(sent.items);
    json.key(is_spans ? "rejected_spans" : "rejected_samples").integer(sent.rejected);
  }
  json.key("failures_in_row").integer(statistics.failures_in_row);
  write_time(json, "last_success", statistics.last_success);
  write_last_error(json, statistics);
  json.key("dead_letters").begin_object();
  json.key("events").integer(health.dead_letters.letters);
  json.key("bytes").integer(health.dead_letters.bytes);
  json.end_object();
  json.end_object().end_object();
  return net::json_response(200, std::move(body));
}

/// Letters have ids that JSON's numbers may not hold.
ControlResult<std::optional<std::uint64_t>> letter_parameter(const DestinationCall& call,
                                                             std::string_view name) {
  const auto text = call.query.find(name);
  if (!text || text->empty()) return std::nullopt;
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), id);
  if (error == std::errc() && end == text->data() + text->size()) return id;
  return access::refuse_field(std::string(name), "must be the id of a dead letter");
}

ControlResult<net::Response> list_letters(const DestinationCall& call) {
  GANTRY_TRY(const std::size_t limit,
             number_parameter(call, "limit", kLettersDefault, 1, kLettersMax));
  GANTRY_TRY(const std::optional<std::uint64_t> before, letter_parameter(call, "before"));
  GANTRY_CHECK(find_one(call));
  GANTRY_TRY(const broadcast::DeadLetterPage page,
             call.services.deliveries.dead_letters(call.id(), before, limit));
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data").begin_array();
  for (const broadcast::DeadLetter& letter : page.letters) {
    json.begin_object();
    json.key("id").string(std::to_string(letter.id));
    write_time(json, "refused_at", TimestampMs{letter.refused_ms});
    write_status(json, letter.refusal.status);
    json.key("message").string(letter.refusal.message);
    write_time(json, "created_at", TimestampMs{letter.created_ms});
    json.key(letter.signal == broadcast::Signal::Spans ? "spans" : "samples")
        .integer(letter.item_count);
    json.key("bytes").integer(letter.payload_bytes);
    json.end_object();
  }
  json.end_array();
  json.key("before");
  if (page.before)
    json.string(std::to_string(*page.before));
  else
    json.null();
  json.end_object();
  return net::json_response(200, std::move(body));
}

void note(const DestinationCall& call, const StoredDestination& stored, std::string event) {
  call.services.control.audit.note({.event = std::move(event),
                                    .outcome = access::Outcome::Ok,
                                    .actor = call.who.actor,
                                    .org = call.org,
                                    .stack = StackId(stored.destination.stack),
                                    .target = {.type = "destination",
                                               .id = stored.destination.id,
                                               .name = stored.destination.name},
                                    .client = call.who.client,
                                    .session_hash = call.who.session_hash,
                                    .changes = {},
                                    .reason = {}});
}

net::Response count_response(std::string_view name, std::uint64_t count) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data").begin_object();
  json.key(name).integer(count);
  json.end_object().end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> replay_letters(const DestinationCall& call) {
  GANTRY_TRY(const std::size_t limit, number_parameter(call, "limit", kReplayMax, 1, kReplayMax));
  GANTRY_TRY(const StoredDestination stored, find_one(call));
  GANTRY_TRY(const std::uint64_t replayed, call.services.deliveries.replay(call.id(), limit));
  note(call, stored, "destination.dead_letters_replayed");
  return count_response("replayed", replayed);
}

ControlResult<net::Response> clear_letters(const DestinationCall& call) {
  GANTRY_TRY(const StoredDestination stored, find_one(call));
  GANTRY_TRY(const std::uint64_t cleared, call.services.deliveries.clear(call.id()));
  note(call, stored, "destination.dead_letters_cleared");
  return count_response("deleted", cleared);
}

}  // namespace

void add_destination_delivery_routes(net::Router& router, const DestinationServices& services) {
  constexpr std::string_view kHealth = "/api/v1/observability/destinations/{id}/health";
  constexpr std::string_view kLetters = "/api/v1/observability/destinations/{id}/dead-letters";
  constexpr std::string_view kReplay =
      "/api/v1/observability/destinations/{id}/dead-letters/replay";
  add_destination_route(router, services, net::Method::Get, kHealth, Scope::DestinationsRead,
                        read_health);
  add_destination_route(router, services, net::Method::Get, kLetters, Scope::DestinationsRead,
                        list_letters);
  add_destination_route(router, services, net::Method::Delete, kLetters, Scope::DestinationsWrite,
                        clear_letters);
  add_destination_route(router, services, net::Method::Post, kReplay, Scope::DestinationsWrite,
                        replay_letters);
}

}  // namespace gantry::api
