#include "server/access_parts.h"

#include <chrono>
#include <stop_token>
#include <utility>

#include <fmt/core.h>

#include "access/first_start.h"
#include "access/recorded_settings.h"
#include "access/secret_key.h"
#include "access/secrets/keyring_start.h"
#include "collect/host_metrics.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mutex.h"
#include "net/http.h"
#include "server/config_load.h"
#include "server/oidc_settings.h"
#include "server/recorded_configuration.h"
#include "state/schema.h"

namespace gantry::server {
namespace {

constexpr auto kHousekeepingInterval = std::chrono::seconds(1);
constexpr int kPeopleRounds = 10;
constexpr int kTokenRounds = 60;
constexpr int kExpiryRounds = 3600;      // of the audit log: once an hour
constexpr int kCheckRounds = 24 * 3600;  // of the audit log: at the start and once a day

/// Of the PromQL text, so that the audit log can tell queries apart without keeping them.
std::uint64_t query_hash(const net::Request& request) {
  for (const std::string& encoded : {request.raw_query, request.body}) {
    const auto parameters = net::Parameters::parse(encoded);
    if (!parameters) continue;
    if (const auto query = parameters->find("query")) return core::hash64(*query);
  }
  return 0;
}

/// `audit` must outlive it.
Result<std::unique_ptr<net::Egress>> make_egress(const Config& config, access::AuditLog& audit) {
  const auto on_blocked = [&audit](const net::EgressUrl& url) {
    // The origin only: what follows it may be secret.
    audit.note_sampled("egress " + url.origin(),
                       {.event = "egress.blocked",
                        .outcome = access::Outcome::Denied,
                        .actor = {.type = access::Actor::Type::System, .name = "gantry"},
                        .target = {.type = "url", .name = url.origin()},
                        .reason = "destination is not allowed"});
  };
  return net::Egress::make(
      {.allow = config.egress.allow, .ca_file = config.egress.ca_file, .on_blocked = on_blocked});
}

access::ControlRules control_rules(const Config& config) {
  return {.allow_unknown_scopes = config.access.allow_unknown_scopes,
          .legacy_keys = config.access.legacy_keys,
          .bearer_by_org_admin = config.access.bearer_by_org_admin,
          .tokens_per_policy_max = config.access.tokens_per_policy_max,
          .policies_per_organisation_max = config.access.policies_per_organisation_max,
          .zone = config.server.zone};
}

}  // namespace

Result<std::unique_ptr<AccessParts>> AccessParts::open(const std::filesystem::path& data,
                                                       const Config& config, const Clock& clock,
                                                       core::MetricRegistry& registry) {
  std::unique_ptr<AccessParts> parts(new AccessParts);
  GANTRY_TRY(parts->db, state::Db::open_url(config.state.url, data, {.registry = &registry},
                                            state::migrations()));
  log::info("state database opened",
            {{"database", parts->db->name()}, {"schema_version", parts->db->schema_version()}});
  parts->directory = std::make_unique<access::Directory>(*parts->db);
  parts->audit =
      std::make_unique<access::AuditLog>(*parts->db, clock, registry, access::AuditLog::Options{});
  GANTRY_TRY(const access::SecretKey key, parts->open_key(data));
  GANTRY_CHECK(parts->open_sealer(data, config, clock));
  parts->hasher = std::make_unique<access::TokenHasher>(key);
  parts->authenticator = std::make_unique<access::Authenticator>(
      *parts->directory, *parts->hasher, clock, registry,
      access::Authenticator::Options{.audit = parts->audit.get()});
  GANTRY_TRY(parts->egress, make_egress(config, *parts->audit));
  GANTRY_TRY(parts->people, People::make({.db = *parts->db,
                                          .hasher = *parts->hasher,
                                          .audit = *parts->audit,
                                          .clock = clock,
                                          .registry = registry,
                                          .egress = *parts->egress},
                                         config));
  GANTRY_TRY(const auto oidc, make_oidc_settings(config));
  GANTRY_CHECK(access::record_settings(
      *parts->db, *parts->audit, *parts->hasher,
      recorded_configuration(config, oidc, parts->hasher->current_pepper_id()), clock.now()));
  parts->control = std::make_unique<access::ControlPlane>(
      access::ControlPlane{.db = *parts->db,
                           .audit = *parts->audit,
                           .authenticator = *parts->authenticator,
                           .hasher = *parts->hasher,
                           .clock = clock,
                           .rules = control_rules(config)});
  parts->answer_box = std::make_unique<access::SealedBox>(key, "gantry answers to requests v1");
  const access::Gate::Options main{.cloud_compat_status = config.access.cloud_compat_status,
                                   .sessions = &parts->people->sessions(),
                                   .hidden_spans = config.traces.hidden_spans,
                                   .exposes_hidden_names = config.traces.exposes_hidden_names};
  GANTRY_TRY(parts->changes,
             state::ChangeListener::start(*parts->db, clock, registry, {},
                                          [raw = parts.get()] { raw->hear_of_change(); }));
  parts->gate =
      std::make_unique<access::Gate>(*parts->authenticator, parts->stores, registry, main);
  parts->people->admit_with(
      [gate = parts->gate.get()](const net::Request& request, std::optional<access::OrgId> org) {
        return gate->admit_control(request, std::nullopt, org);
      });
  parts->limiter = std::make_unique<access::QueryLimiter>(clock, registry, config.read_only.limits);
  access::Gate::Options read_only = main;
  read_only.door = access::Gate::Door::ReadOnlyBearer;
  read_only.limiter = parts->limiter.get();
  parts->read_only_gate =
      std::make_unique<access::Gate>(*parts->authenticator, parts->stores, registry, read_only);
  parts->read_summaries = std::make_unique<access::ReadSummaries>(*parts->audit, clock,
                                                                  access::ReadSummaries::Options{});
  parts->expiry = std::make_unique<access::TokenExpiry>(*parts->db, *parts->audit, clock, registry);
  return parts;
}

AccessParts::~AccessParts() {
  static_cast<void>(close());
}

void AccessParts::start_housekeeping() {
  housekeeper_ = std::jthread([this](const std::stop_token& stopping) {
    core::Mutex mutex;
    core::ConditionVariable wake;
    int round = 0;
    while (!stopping.stop_requested()) {
      {
        core::Lock held(mutex);
        wake.wait_for(held, stopping, kHousekeepingInterval, [] { return false; });
      }
      keep_house(round++);
    }
  });
}

void AccessParts::count_read(const access::Principal& principal, const net::Request& request,
                             const net::Response& response) {
  read_only_gate->count_use(principal, std::to_string(response.status));
  read_summaries->add(principal, {.endpoint = request.path,
                                  .status = response.status,
                                  .bytes = response.body.size(),
                                  .query_hash = query_hash(request),
                                  .ip = request.peer_address});
}

void AccessParts::keep_house(int round) {
  // What failed is tried in every round, so that the log says soon that it is over.
  const auto every = [&](int rounds, std::string_view task, const auto& act) {
    if (round % rounds == 0 || failures_.is_failing(task)) failures_.note(task, act());
  };
  every(1, "last-used times of tokens", [&] { return authenticator->flush_usage(false); });
  read_summaries->flush(false);
  every(1, "audit events", [&] { return audit->flush(); });
  every(kPeopleRounds, "sessions", [&] { return people->flush(); });
  every(kTokenRounds, "tokens that expire", [&] { return expiry->look(); });
  every(kExpiryRounds, "removal of old audit events", [&] { return audit->expire(); });
  every(kCheckRounds, "check of the audit log", [&] { return check_audit(); });
}

Result<access::SecretKey> AccessParts::open_key(const std::filesystem::path& data) {
  auto key = access::open_secret_key(data, *directory);
  if (!key) note_locked(key.error(), "secret.key is missing or not that of this database");
  return key;
}

Result<void> AccessParts::open_sealer(const std::filesystem::path& data, const Config& config,
                                      const Clock& clock) {
  auto opened =
      access::open_keyring(access::find_keyring(data, process_environment()), *db, *audit);
  if (!opened) {
    note_locked(opened.error(), "the keyring is missing, unsafe or not that of this database");
    return std::unexpected(std::move(opened).error());
  }
  keyring = *std::move(opened);
  sealer = std::make_unique<access::Sealer>(
      access::DataKeys::Parts{.keyring = *keyring, .audit = *audit, .clock = clock},
      access::Sealer::Options{.algorithm = config.access.crypto});
  return {};
}

void AccessParts::note_locked(const Error& error, std::string reason) {
  if (error.code != Code::FailedPrecondition && error.code != Code::PermissionDenied) return;
  note("keyring.unlock_failed", access::Outcome::Error, {}, std::move(reason));
  // The start fails either way, and of the two errors the first says why.
  static_cast<void>(audit->flush());
}

void AccessParts::note(std::string event, access::Outcome outcome,
                       std::vector<access::AuditChange> differences, std::string reason) {
  audit->note({.event = std::move(event),
               .outcome = outcome,
               .actor = {.type = access::Actor::Type::System, .name = "gantry"},
               .target = {.type = "server", .name = collect::host_name()},
               .changes = std::move(differences),
               .reason = std::move(reason)});
}

Result<void> AccessParts::check_audit() {
  GANTRY_TRY(const access::AuditCheck check, audit->check());
  if (!check.broken_id || check.broken_id == broken_id_) return {};
  broken_id_ = check.broken_id;
  log::error("audit log broken", {{"id", *broken_id_}});
  note("audit.chain_broken", access::Outcome::Error, {},
       fmt::format("event {} does not follow from those before", *broken_id_));
  return {};
}

void AccessParts::hear_of_change() {
  authenticator->forget_all();
  people->forget_all();
  const core::Lock lock(change_mutex_);
  if (change_act_) change_act_();
}

void AccessParts::on_change(std::function<void()> act) {
  const core::Lock lock(change_mutex_);
  change_act_ = std::move(act);
}

Result<void> AccessParts::close() {
  if (std::exchange(is_closed_, true)) return {};
  housekeeper_ = {};
  Result<void> first = authenticator ? authenticator->flush_usage(true) : Result<void>();
  if (people)
    if (auto flushed = people->flush(); !flushed && first) first = std::move(flushed);
  if (read_summaries) read_summaries->flush(true);
  if (audit)
    if (auto flushed = audit->flush(); !flushed && first) first = std::move(flushed);
  if (auto closed = stores.close(); !closed && first) first = std::move(closed);
  return first;
}

}  // namespace gantry::server
