#pragma once

// Stacks: one tenant each, with an instance id, a zone, and what differs from the server's limits
// and retention.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control_plane.h"
#include "access/stack_aliases.h"

namespace gantry::access {

inline constexpr StackId kFirstStackId{1'000'000};

/// What differs from the server's settings; absent: as the server's.
struct StackSettings {
  std::optional<std::int64_t> retention_ms;  ///< 0: for ever.
  std::optional<std::uint64_t> retention_bytes;
  std::optional<std::int64_t> out_of_order_window_ms;
  std::optional<std::uint64_t> active_series_max;
  std::optional<std::uint64_t> new_series_per_minute_max;
  std::optional<std::uint64_t> samples_per_request_max;
  std::optional<std::uint32_t> labels_per_series_max;
  std::optional<std::uint32_t> label_value_bytes_max;
  std::optional<std::uint64_t> exemplars_max;
  std::optional<std::int64_t> traces_retention_ms;  ///< 0: for ever.
  std::optional<std::uint64_t> traces_retention_bytes;
  std::optional<std::uint64_t> spans_per_request_max;
  std::optional<std::uint64_t> span_bytes_per_second_max;
  std::optional<std::uint64_t> live_traces_max;
  std::optional<std::uint64_t> bytes_per_trace_max;
  std::optional<bool> span_metrics;  ///< Metrics are derived from its spans.

  friend bool operator==(const StackSettings&, const StackSettings&) = default;
};

/// {"retention":"30d","limits":{"activeSeriesMax":100000}}: as the API takes and shows it. Errors:
/// InvalidArgument with paths below `path`; unknown keys are errors, since a limit that is
/// mistyped would silently not hold.
[[nodiscard]] ControlResult<StackSettings> parse_stack_settings(std::string_view json,
                                                                std::string_view path);
[[nodiscard]] std::string format_stack_settings(const StackSettings& settings);

struct Stack {
  StackId id;
  OrgId org;
  std::string slug;  ///< Unique in the installation.
  std::string name;
  std::string zone;
  std::string description;
  std::map<std::string, std::string> labels;
  bool has_delete_protection = false;
  StackSettings settings;
  StackAliases aliases = {};
  TimestampMs created_at;
  TimestampMs updated_at;
};

struct StackDraft {
  std::string slug;  ///< is_token_name, at most 63 characters, and no number.
  std::string name;  ///< "": the slug.
  std::string zone;  ///< is_token_name, at most 40 characters; "": the server's.
  std::string description;
  std::map<std::string, std::string> labels;
  bool has_delete_protection = false;
  StackSettings settings;
  StackAliasChanges aliases = {};
};

/// Absent: unchanged.
struct StackChanges {
  std::optional<std::string> name;
  std::optional<std::string> description;
  std::optional<std::map<std::string, std::string>> labels;
  std::optional<bool> has_delete_protection;
  std::optional<StackSettings> settings;
  StackAliasChanges aliases = {};
};

/// Takes the next instance id. Errors: InvalidArgument, AlreadyExists (slug, alias).
[[nodiscard]] ControlResult<Stack> create_stack(OrgId org, ControlChange& change,
                                                const StackDraft& draft);

/// By slug or decimal instance id. Errors: NotFound, also for another organisation's.
[[nodiscard]] ControlResult<Stack> read_stack(OrgId org, state::Transaction& tx,
                                              std::string_view slug_or_id);

/// Ascending by id.
[[nodiscard]] ControlResult<std::vector<Stack>> list_stacks(OrgId org, state::Transaction& tx);

/// Of all organisations: for the server, which opens them.
[[nodiscard]] Result<std::vector<Stack>> list_all_stacks(state::Transaction& tx);

/// Stacks that were deleted: their instance ids are never given again.
[[nodiscard]] Result<std::vector<StackId>> list_deleted_stacks(state::Transaction& tx);

/// Errors: InvalidArgument, NotFound, AlreadyExists (alias).
[[nodiscard]] ControlResult<Stack> update_stack(OrgId org, ControlChange& change,
                                                std::string_view slug_or_id,
                                                const StackChanges& changes);

/// The slug and the aliases become free. Errors: NotFound, FailedPrecondition (delete protection).
[[nodiscard]] ControlResult<Stack> delete_stack(OrgId org, ControlChange& change,
                                                std::string_view slug_or_id);

}  // namespace gantry::access
