#include "broadcast/replay_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "access/ceiling.h"
#include "access/token.h"
#include "broadcast/span_views.h"
#include "core/rfc3339.h"

namespace gantry::broadcast {
namespace {

using access::ControlChange;
using access::ControlResult;

constexpr std::int64_t kNanosecondsPerMs = 1'000'000;
constexpr std::int64_t kLatestMs = std::numeric_limits<std::int64_t>::max() / kNanosecondsPerMs;
constexpr std::array<std::string_view, 4> kStateNames = {"running", "finished", "failed",
                                                         "cancelled"};

#define GANTRY_REPLAY_COLUMNS                                                                     \
  "SELECT r.id, r.replica, r.org_id, d.stack_id, r.destination_id, r.state, r.start_ns, "         \
  "r.end_ns, r.position_ns, r.position_trace, r.traces_read, r.traces_queued, r.spans_queued, "   \
  "r.problem, r.created_at_ms, r.updated_at_ms, r.metrics_ms, r.metrics_group, r.samples_read, "  \
  "r.samples_queued FROM destination_replays r JOIN destinations d "                              \
  "ON d.id = r.destination_id AND d.org_id = r.org_id AND d.deleted_at_ms IS NULL JOIN stacks s " \
  "ON s.id = d.stack_id AND s.org_id = d.org_id AND s.status <> 'deleted' WHERE "

std::optional<ReplayState> parse_state(std::string_view name) {
  const auto* const found = std::ranges::find(kStateNames, name);
  if (found == kStateNames.end()) return std::nullopt;
  return static_cast<ReplayState>(found - kStateNames.begin());
}

std::optional<telemetry::TraceId> parse_trace_id(std::string_view hex) {
  telemetry::TraceId id;
  if (hex.size() != 2 * id.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    const char* const digits = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, id.bytes.at(i), 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
  }
  return id;
}

TimestampMs from_ns(std::int64_t ns) {
  return {ns / kNanosecondsPerMs};
}

std::unexpected<Error> unreadable(const DestinationId& destination) {
  return fail(Code::DataLoss,
              fmt::format("the replay of destination {} cannot be read", destination));
}

Result<Replay> read_row(const state::Statement& row) {
  Replay replay{.id = std::string(row.text(0)),
                .replica = std::string(row.text(1)),
                .org = OrgId(row.integer(2)),
                .stack = StackId(static_cast<std::uint32_t>(row.integer(3))),
                .destination = std::string(row.text(4))};
  const auto state = parse_state(row.text(5));
  const auto trace = parse_trace_id(row.text(9));
  if (!state || !trace) return unreadable(replay.destination);
  replay.state = *state;
  replay.range = {.start = from_ns(row.integer(6)), .end = from_ns(row.integer(7))};
  replay.position = {.start_ns = row.integer(8), .trace = *trace};
  replay.traces_read = static_cast<std::uint64_t>(row.integer(10));
  replay.traces_queued = static_cast<std::uint64_t>(row.integer(11));
  replay.spans_queued = static_cast<std::uint64_t>(row.integer(12));
  replay.problem = row.text(13);
  replay.created_at = TimestampMs{row.integer(14)};
  replay.updated_at = TimestampMs{row.integer(15)};
  replay.sample_position = {.slice_ms = row.integer(16),
                            .group = static_cast<std::uint64_t>(row.integer(17))};
  replay.samples_read = static_cast<std::uint64_t>(row.integer(18));
  replay.samples_queued = static_cast<std::uint64_t>(row.integer(19));
  return replay;
}

Result<std::vector<Replay>> read_rows(state::Statement& select) {
  std::vector<Replay> replays;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return replays;
    GANTRY_TRY(Replay replay, read_row(select));
    replays.push_back(std::move(replay));
  }
}

/// Of all replicas.
Result<std::vector<Replay>> running_to(OrgId org, state::Transaction& tx,
                                       std::string_view destination) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_REPLAY_COLUMNS
                        "r.org_id = ? AND r.destination_id = ? AND r.state = 'running'"));
  select.bind(org.value()).bind(destination);
  return read_rows(select);
}

/// "": it goes on.
std::string reason_to_end(const Replay& replay, const Destination& after) {
  if (!after.is_enabled) return "the destination was disabled";
  for (const Signal signal : kSignals)
    if (!has_ended(replay, signal) && !takes(after, signal))
      return fmt::format("the destination takes no {} any more",
                         signal == Signal::Spans ? "traces" : "metrics");
  return "";
}

Result<void> put_row(state::Transaction& tx, const Replay& replay) {
  GANTRY_TRY(state::Statement forget,
             tx.prepare("DELETE FROM destination_replays WHERE org_id = ? AND destination_id = ? "
                        "AND replica = ?"));
  forget.bind(replay.org.value()).bind(replay.destination).bind(replay.replica);
  GANTRY_CHECK(forget.run());
  GANTRY_TRY(
      state::Statement insert,
      tx.prepare("INSERT INTO destination_replays (destination_id, replica, org_id, id, state, "
                 "start_ns, end_ns, position_ns, position_trace, traces_read, traces_queued, "
                 "spans_queued, problem, created_at_ms, updated_at_ms, metrics_ms, metrics_group) "
                 "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '', ?, ?, ?, ?)"));
  insert.bind(replay.destination)
      .bind(replay.replica)
      .bind(replay.org.value())
      .bind(replay.id)
      .bind(replay_state_name(replay.state))
      .bind(first_position(replay.range).start_ns)
      .bind(end_ns(replay.range))
      .bind(replay.position.start_ns)
      .bind(trace_id_hex(replay.position.trace))
      .bind(replay.created_at.since_epoch)
      .bind(replay.updated_at.since_epoch)
      .bind(replay.sample_position.slice_ms)
      .bind(replay.sample_position.group);
  return insert.run();
}

void record(ControlChange& change, std::string event, const Destination& destination,
            std::vector<access::AuditChange> changes) {
  change.record(change.who().org, std::move(event),
                {.type = "destination", .id = destination.id, .name = destination.name},
                std::move(changes), StackId(destination.stack));
}

/// A destination of a stack all of whose data the caller has.
ControlResult<Destination> own_destination(OrgId org, ControlChange& change, std::string_view id) {
  GANTRY_TRY(const StoredDestination stored, read_destination(org, change.tx(), id));
  GANTRY_CHECK(require_whole_stack(change.who(), org, StackId(stored.destination.stack)));
  return stored.destination;
}

}  // namespace

std::string_view replay_state_name(ReplayState state) {
  return kStateNames.at(static_cast<std::size_t>(state));
}

traces::TracePosition first_position(const ReplayRange& range) {
  return {.start_ns = range.start.since_epoch * kNanosecondsPerMs, .trace = {}};
}

std::int64_t end_ns(const ReplayRange& range) {
  return range.end.since_epoch * kNanosecondsPerMs;
}

bool has_ended(const Replay& replay, Signal signal) {
  return signal == Signal::Spans ? replay.position.start_ns >= end_ns(replay.range)
                                 : replay.sample_position.slice_ms >= replay.range.end.since_epoch;
}

TimestampMs reached(const Replay& replay) {
  return std::min({from_ns(replay.position.start_ns), TimestampMs{replay.sample_position.slice_ms},
                   replay.range.end});
}

ControlResult<ReplayRange> checked_range(ReplayRange range, TimestampMs now) {
  range.start.since_epoch = std::max<std::int64_t>(range.start.since_epoch, 0);
  range.end.since_epoch = std::min({range.end.since_epoch, now.since_epoch, kLatestMs});
  if (range.start.since_epoch < range.end.since_epoch) return range;
  return access::refuse_field("start", "must be before the end, and before now");
}

ControlResult<Replay> start_replay(OrgId org, ControlChange& change, std::string_view replica,
                                   const ReplayOrder& order) {
  GANTRY_TRY(const Destination destination, own_destination(org, change, order.destination));
  if (!destination.is_enabled)
    return access::refuse(Code::FailedPrecondition, "the destination is disabled");
  GANTRY_TRY(const std::optional<Replay> last,
             find_replay(org, change.tx(), replica, order.destination));
  if (last && last->state == ReplayState::Running)
    return access::refuse(Code::FailedPrecondition, "a replay to this destination is running");
  Replay begun{.id = access::make_uuid(),
               .replica = std::string(replica),
               .org = org,
               .stack = StackId(destination.stack),
               .destination = destination.id,
               .range = order.range,
               .position = first_position(order.range),
               .created_at = change.now(),
               .updated_at = change.now()};
  if (!takes(destination, Signal::Spans)) begun.position.start_ns = end_ns(order.range);
  begun.sample_position.slice_ms =
      (takes(destination, Signal::Metrics) ? order.range.start : order.range.end).since_epoch;
  GANTRY_CHECK(put_row(change.tx(), begun));
  record(change, "destination.replay_started", destination,
         {{.field = "start", .before = {}, .after = core::format_rfc3339(begun.range.start)},
          {.field = "end", .before = {}, .after = core::format_rfc3339(begun.range.end)}});
  return begun;
}

ControlResult<Replay> cancel_replay(OrgId org, ControlChange& change, std::string_view replica,
                                    std::string_view destination) {
  GANTRY_TRY(const Destination owner, own_destination(org, change, destination));
  GANTRY_TRY(std::optional<Replay> last, find_replay(org, change.tx(), replica, destination));
  if (!last) return access::refuse(Code::NotFound, "nothing has been replayed");
  if (last->state != ReplayState::Running) return *std::move(last);
  last->state = ReplayState::Cancelled;
  last->updated_at = change.now();
  GANTRY_TRY(const bool is_saved, save_replay(change.tx(), *last, change.now()));
  GANTRY_ASSERT(is_saved, "the change holds the lock of all writers");
  record(change, "destination.replay_cancelled", owner, {});
  return *std::move(last);
}

ControlResult<void> cancel_replays(OrgId org, ControlChange& change, std::string_view destination,
                                   std::string_view why) {
  GANTRY_TRY(state::Statement update,
             change.tx().prepare("UPDATE destination_replays SET state = 'cancelled', problem = ?, "
                                 "updated_at_ms = ? WHERE org_id = ? AND destination_id = ? AND "
                                 "state = 'running'"));
  update.bind(why).bind(change.now().since_epoch).bind(org.value()).bind(destination);
  GANTRY_CHECK(update.run());
  return {};
}

ControlResult<void> cancel_untaken_replays(OrgId org, ControlChange& change,
                                           const Destination& after) {
  GANTRY_TRY(const std::vector<Replay> running, running_to(org, change.tx(), after.id));
  for (Replay replay : running) {
    replay.problem = reason_to_end(replay, after);
    if (replay.problem.empty()) continue;
    replay.state = ReplayState::Cancelled;
    GANTRY_TRY(const bool is_saved, save_replay(change.tx(), replay, change.now()));
    GANTRY_ASSERT(is_saved, "the change holds the lock of all writers");
    record(change, "destination.replay_cancelled", after, {});
  }
  return {};
}

ControlResult<std::optional<Replay>> find_replay(OrgId org, state::Transaction& tx,
                                                 std::string_view replica,
                                                 std::string_view destination) {
  GANTRY_TRY(
      state::Statement select,
      tx.prepare(GANTRY_REPLAY_COLUMNS "r.org_id = ? AND r.destination_id = ? AND r.replica = ?"));
  select.bind(org.value()).bind(destination).bind(replica);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  GANTRY_TRY(Replay replay, read_row(select));
  return replay;
}

Result<std::vector<Replay>> list_running_replays(state::Transaction& tx, std::string_view replica) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_REPLAY_COLUMNS
                        "r.replica = ? AND r.state = 'running' ORDER BY r.created_at_ms, "
                        "r.destination_id"));
  select.bind(replica);
  return read_rows(select);
}

#undef GANTRY_REPLAY_COLUMNS

Result<std::optional<ReplayOutcome>> find_replay_outcome(state::Transaction& tx,
                                                         const Replay& replay) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT state, problem FROM destination_replays WHERE org_id = ? AND "
                        "destination_id = ? AND replica = ? AND id = ?"));
  select.bind(replay.org.value()).bind(replay.destination).bind(replay.replica).bind(replay.id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  const auto state = parse_state(select.text(0));
  if (!state) return unreadable(replay.destination);
  return ReplayOutcome{.state = *state, .problem = std::string(select.text(1))};
}

Result<bool> save_replay(state::Transaction& tx, const Replay& replay, TimestampMs now) {
  GANTRY_TRY(
      state::Statement update,
      tx.prepare(
          "UPDATE destination_replays SET state = ?, position_ns = ?, position_trace = ?, "
          "traces_read = ?, traces_queued = ?, spans_queued = ?, problem = ?, "
          "updated_at_ms = ?, metrics_ms = ?, metrics_group = ?, samples_read = ?, "
          "samples_queued = ? WHERE org_id = ? AND destination_id = ? AND replica = ? AND id "
          "= ? AND state = 'running'"));
  update.bind(replay_state_name(replay.state))
      .bind(replay.position.start_ns)
      .bind(trace_id_hex(replay.position.trace))
      .bind(replay.traces_read)
      .bind(replay.traces_queued)
      .bind(replay.spans_queued)
      .bind(replay.problem)
      .bind(now.since_epoch)
      .bind(replay.sample_position.slice_ms)
      .bind(replay.sample_position.group)
      .bind(replay.samples_read)
      .bind(replay.samples_queued)
      .bind(replay.org.value())
      .bind(replay.destination)
      .bind(replay.replica)
      .bind(replay.id);
  GANTRY_CHECK(update.run());
  return tx.changed_rows() == 1;
}

}  // namespace gantry::broadcast
