#pragma once

// Replays as rows of the state database: the sending of a stack's past traces and metrics,
// of those what it takes, to one destination. A destination has one at most, the last one.
//
//   GANTRY_TRY(ControlChange change, ControlChange::begin(plane, who));
//   GANTRY_TRY(const Replay begun, start_replay(org, change, replica, {id, range}));
//   GANTRY_CHECK(change.commit());
//
// Who runs them (replayer.h) reads the running ones, and saves how far it has come. A replay that
// has been cancelled meanwhile, also because its destination ended or takes no more of what it
// reads, cannot be saved any more.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control_error.h"
#include "access/control_plane.h"
#include "broadcast/destination_rows.h"
#include "core/ids.h"
#include "core/time.h"
#include "metrics/sample_slice.h"
#include "state/db.h"
#include "traces/trace_pages.h"

namespace gantry::broadcast {

enum class ReplayState : std::uint8_t { Running, Finished, Failed, Cancelled };

/// "running"
[[nodiscard]] std::string_view replay_state_name(ReplayState state);

/// Traces that begin, and samples, from `start` on and before `end`.
struct ReplayRange {
  TimestampMs start;
  TimestampMs end;
};

struct Replay {
  std::string id;       ///< UUID; another one for each start.
  std::string replica;  ///< Whose stores are read; "": there is only one.
  OrgId org;
  StackId stack;
  DestinationId destination;
  ReplayState state = ReplayState::Running;
  ReplayRange range;
  traces::TracePosition position;  ///< All traces up to here are in the queue.
  std::uint64_t traces_read = 0;
  std::uint64_t traces_queued = 0;  ///< Of those, what the destination takes.
  std::uint64_t spans_queued = 0;
  metrics::SamplePosition sample_position;  ///< Likewise.
  std::uint64_t samples_read = 0;           ///< Histograms too.
  std::uint64_t samples_queued = 0;         ///< Of those, what relabelling leaves.
  std::string problem;                      ///< Why it failed, or what cancelled it.
  TimestampMs created_at;
  TimestampMs updated_at;
};

/// Where a replay of the range begins.
[[nodiscard]] traces::TracePosition first_position(const ReplayRange& range);

/// The first nanosecond behind the range.
[[nodiscard]] std::int64_t end_ns(const ReplayRange& range);

/// Cuts an end in the future at `now`, and a start before 1970 at that. Errors: InvalidArgument:
/// nothing is left, or it is too late for nanoseconds.
[[nodiscard]] access::ControlResult<ReplayRange> checked_range(ReplayRange range, TimestampMs now);

/// Whether everything of the range is in the queue; also of a signal that it does not cover.
[[nodiscard]] bool has_ended(const Replay& replay, Signal signal);

/// Of what it covers, everything before this is in the queue.
[[nodiscard]] TimestampMs reached(const Replay& replay);

struct ReplayOrder {
  std::string_view destination;
  ReplayRange range;  ///< As checked.
};

/// Covers the signals that the destination takes. Takes the place of its last one. Errors:
/// NotFound, PermissionDenied, FailedPrecondition: one is running, or the destination takes nothing
/// now.
[[nodiscard]] access::ControlResult<Replay> start_replay(OrgId org, access::ControlChange& change,
                                                         std::string_view replica,
                                                         const ReplayOrder& order);

/// What is queued stays queued. Of one that does not run: nothing happens. Errors: NotFound,
/// PermissionDenied.
[[nodiscard]] access::ControlResult<Replay> cancel_replay(OrgId org, access::ControlChange& change,
                                                          std::string_view replica,
                                                          std::string_view destination);

/// Those of a destination that is being deleted, of all replicas. `why` is kept as their problem.
[[nodiscard]] access::ControlResult<void> cancel_replays(OrgId org, access::ControlChange& change,
                                                         std::string_view destination,
                                                         std::string_view why);

/// Those, of all replicas, that have still to send what the destination, as it is from now on, does
/// not take.
[[nodiscard]] access::ControlResult<void> cancel_untaken_replays(OrgId org,
                                                                 access::ControlChange& change,
                                                                 const Destination& after);

/// The last one of a destination that there is; null: none so far. Errors: the database's.
[[nodiscard]] access::ControlResult<std::optional<Replay>> find_replay(
    OrgId org, state::Transaction& tx, std::string_view replica, std::string_view destination);

/// Of all organisations: for who runs them. Oldest first.
[[nodiscard]] Result<std::vector<Replay>> list_running_replays(state::Transaction& tx,
                                                               std::string_view replica);

/// State and problem as they are now, also of a replay whose destination or stack is gone; null:
/// another one has taken its place.
struct ReplayOutcome {
  ReplayState state = ReplayState::Running;
  std::string problem;
};

[[nodiscard]] Result<std::optional<ReplayOutcome>> find_replay_outcome(state::Transaction& tx,
                                                                       const Replay& replay);

/// State, positions, counts and problem. False: it does not run any more, and nothing is written.
[[nodiscard]] Result<bool> save_replay(state::Transaction& tx, const Replay& replay,
                                       TimestampMs now);

}  // namespace gantry::broadcast
