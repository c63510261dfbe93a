#pragma once

// Keys of the gateway: secrets that let a program call models on behalf of one stack, each with its
// limits. The secret, "gk_" and 48 hexadecimal digits, is in the answer that creates it and nowhere
// else: the row has its keyed hash (access/token.h), which is also the key's name in the API.
//
//   GANTRY_TRY(access::ControlChange change, access::ControlChange::begin(plane, who));
//   GANTRY_TRY(const IssuedGatewayKey issued, create_gateway_key(org, stack, change, settings));
//   GANTRY_CHECK(change.commit());

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control_plane.h"
#include "access/token.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/time.h"
#include "gateway/generation.h"
#include "state/db.h"

namespace gantry::gateway {

/// More keys of one stack are FailedPrecondition.
inline constexpr std::int64_t kGatewayKeysPerStackMax = 10'000;

/// When what was spent no longer counts against the limit: at midnight UTC of every day, Monday or
/// first of a month.
enum class LimitReset : std::uint8_t { Never, Daily, Weekly, Monthly };

/// "never", "daily", "weekly", "monthly"
[[nodiscard]] std::string_view limit_reset_name(LimitReset reset);
[[nodiscard]] std::optional<LimitReset> parse_limit_reset(std::string_view name);

/// What its owner decides. An absent limit does not limit.
struct GatewayKeySettings {
  std::string name;              ///< 1 to 255 bytes without control characters; need not be unique.
  std::optional<PicoUsd> limit;  ///< Not negative; 0: models without a price only.
  LimitReset limit_reset = LimitReset::Never;
  bool includes_byok = false;       ///< Calls with the client's own provider key count too.
  std::optional<std::int64_t> rpm;  ///< Requests per minute, 1 to 10^9.
  std::optional<std::int64_t> tpm;  ///< Tokens per minute, 1 to 10^12.
  std::optional<std::int64_t> max_concurrent;  ///< Calls at once, 1 to 10^6.
  std::vector<std::string> allowed_models;     ///< At most 256 ids; empty: every model.
  bool is_disabled = false;
  std::optional<TimestampMs> expires_at;

  friend bool operator==(const GatewayKeySettings&, const GatewayKeySettings&) = default;
};

struct GatewayKey {
  std::string hash;  ///< 64 hexadecimal digits.
  access::OrgId org;
  StackId stack;
  std::string label;  ///< "gk_1f0...9ac"
  GatewayKeySettings settings;
  std::string created_by;  ///< A user's or token's id; "" for Gantry itself.
  TimestampMs created_at;
  TimestampMs updated_at;

  [[nodiscard]] bool allows_model(std::string_view id) const;
};

struct IssuedGatewayKey {
  GatewayKey key;
  std::string secret;
};

/// Whoever changes keys of a stack must have llm:invoke there themselves (access/ceiling.h).
/// Errors: InvalidArgument, NotFound (no such stack of `org`), FailedPrecondition (limit),
/// PermissionDenied.
[[nodiscard]] access::ControlResult<IssuedGatewayKey> create_gateway_key(
    access::OrgId org, StackId stack, access::ControlChange& change,
    const GatewayKeySettings& settings);

/// Replaces all settings; nothing is recorded when they are as before. Errors: as create, NotFound.
[[nodiscard]] access::ControlResult<GatewayKey> update_gateway_key(
    access::OrgId org, StackId stack, access::ControlChange& change, std::string_view hash,
    const GatewayKeySettings& settings);

/// With what was counted for it. Errors: NotFound, PermissionDenied.
[[nodiscard]] access::ControlResult<GatewayKey> delete_gateway_key(access::OrgId org, StackId stack,
                                                                   access::ControlChange& change,
                                                                   std::string_view hash);

/// Errors: NotFound, also for another stack's.
[[nodiscard]] access::ControlResult<GatewayKey> read_gateway_key(access::OrgId org, StackId stack,
                                                                 state::Transaction& tx,
                                                                 std::string_view hash);

/// Of whichever stack of `org` that is not deleted. Errors: NotFound, also for what is no hash.
[[nodiscard]] access::ControlResult<GatewayKey> find_gateway_key(access::OrgId org,
                                                                 state::Transaction& tx,
                                                                 std::string_view hash);

enum class DisabledKeys : bool { Left, Included };

struct GatewayKeyPage {
  std::size_t offset = 0;
  std::size_t limit = 100;
  DisabledKeys disabled = DisabledKeys::Included;
};

/// By (created, hash).
[[nodiscard]] access::ControlResult<std::vector<GatewayKey>> list_gateway_keys(
    access::OrgId org, StackId stack, state::Transaction& tx, const GatewayKeyPage& page);

/// Finds the key of a secret. Thread-safe.
///
/// A known key costs no query for 30 s, an unknown one for 5 s; each kind of entry is bounded.
/// Whoever makes it calls `forget_all` from a state::ChangeListener, so that a change holds for the
/// next call on every replica. Takes as long for any secret of the right form that has no key:
/// what is looked up and compared are keyed hashes.
class GatewayKeyFinder {
 public:
  struct Options {
    DurationMs known_for{30'000};
    DurationMs unknown_for{5'000};
    std::size_t entries_max = 10'000;  ///< Of each kind; the least recently used goes first.
  };

  /// All must outlive it. Counts refusals in gantry_gateway_keys_refused_total{reason}.
  GatewayKeyFinder(state::Db& db, const access::TokenHasher& hasher, const Clock& clock,
                   core::MetricRegistry& registry, Options options);
  ~GatewayKeyFinder();
  GatewayKeyFinder(const GatewayKeyFinder&) = delete;
  GatewayKeyFinder& operator=(const GatewayKeyFinder&) = delete;

  /// Null for a key that is unknown, disabled, expired, or of a deleted stack: clients are told the
  /// same of each. May block on the database. Errors: the database's.
  [[nodiscard]] Result<std::shared_ptr<const GatewayKey>> find(std::string_view secret);

  /// Of those that `find` remembers; never blocks. Null: `find` would have to ask the database, or
  /// refuse.
  [[nodiscard]] std::shared_ptr<const GatewayKey> find_known(std::string_view secret);

  /// Keys have changed.
  void forget_all();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::gateway
