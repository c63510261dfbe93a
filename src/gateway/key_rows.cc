#include "gateway/key_rows.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "access/ceiling.h"
#include "access/expiring_cache.h"
#include "access/random_text.h"
#include "access/stacks.h"
#include "core/rfc3339.h"

namespace gantry::gateway {
namespace {

using access::AuditChange;
using access::ControlChange;
using access::ControlResult;
using access::FieldProblem;
using access::OrgId;

constexpr std::string_view kPrefix = "gk_";
constexpr std::size_t kSecretBytes = 24;
constexpr std::size_t kHashCharacters = 64;
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kModelsMax = 256;
constexpr std::size_t kModelBytesMax = 256;
constexpr std::int64_t kRpmMax = 1'000'000'000;
constexpr std::int64_t kTpmMax = 1'000'000'000'000;
constexpr std::int64_t kConcurrentMax = 1'000'000;
constexpr std::array<std::string_view, 4> kResetNames = {"never", "daily", "weekly", "monthly"};

#define GANTRY_GATEWAY_KEY_COLUMNS                                                     \
  "SELECT k.id, k.org_id, k.stack_id, k.label, k.name, k.spend_limit, k.limit_reset, " \
  "k.includes_byok, k.rpm, k.tpm, k.max_concurrent, k.allowed_models, k.is_disabled, " \
  "k.expires_at_ms, k.created_by, k.created_at_ms, k.updated_at_ms FROM gateway_keys k "

std::string hexadecimal(const access::TokenHash& hash) {
  return fmt::format("{:02x}", fmt::join(hash, ""));
}

bool is_hexadecimal(std::string_view text, std::size_t characters) {
  return text.size() == characters && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string join_lines(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

GatewayKey read_row(const state::Statement& row) {
  const auto reset = parse_limit_reset(row.text(6));
  GANTRY_ASSERT(reset, "the schema checks limit_reset");
  GatewayKey key{.hash = std::string(row.text(0)),
                 .org = OrgId(row.integer(1)),
                 .stack = StackId(static_cast<std::uint32_t>(row.integer(2))),
                 .label = std::string(row.text(3)),
                 .settings = {.name = std::string(row.text(4)),
                              .limit = {},
                              .limit_reset = *reset,
                              .includes_byok = row.integer(7) != 0,
                              .rpm = row.optional_integer(8),
                              .tpm = row.optional_integer(9),
                              .max_concurrent = row.optional_integer(10),
                              .allowed_models = split_lines(row.text(11)),
                              .is_disabled = row.integer(12) != 0,
                              .expires_at = {}},
                 .created_by = std::string(row.text(14)),
                 .created_at = {row.integer(15)},
                 .updated_at = {row.integer(16)}};
  if (const auto limit = row.optional_integer(5)) key.settings.limit = PicoUsd{*limit};
  if (const auto time = row.optional_integer(13)) key.settings.expires_at = TimestampMs{*time};
  return key;
}

/// Binds the settings in the order of the columns, from `name` to `expires_at_ms`.
void bind_settings(state::Statement& statement, const GatewayKeySettings& settings) {
  std::optional<std::int64_t> limit;
  if (settings.limit) limit = settings.limit->value;
  std::optional<std::int64_t> expires_at;
  if (settings.expires_at) expires_at = settings.expires_at->since_epoch;
  statement.bind(settings.name)
      .bind(limit)
      .bind(limit_reset_name(settings.limit_reset))
      .bind(settings.includes_byok ? 1 : 0)
      .bind(settings.rpm)
      .bind(settings.tpm)
      .bind(settings.max_concurrent)
      .bind(join_lines(settings.allowed_models))
      .bind(settings.is_disabled ? 1 : 0)
      .bind(expires_at);
}

bool is_plain_text(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max && std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

void check_range(std::vector<FieldProblem>& problems, std::string_view path,
                 const std::optional<std::int64_t>& value, std::int64_t max) {
  if (value && (*value < 1 || *value > max))
    problems.push_back({.path = std::string(path), .reason = fmt::format("must be 1 to {}", max)});
}

ControlResult<void> check_settings(const GatewayKeySettings& settings) {
  std::vector<FieldProblem> problems;
  if (!is_plain_text(settings.name, kNameBytesMax))
    problems.push_back(
        {.path = "name",
         .reason = fmt::format("must be 1 to {} bytes without control characters", kNameBytesMax)});
  if (settings.limit && settings.limit->value < 0)
    problems.push_back({.path = "limit", .reason = "must not be negative"});
  check_range(problems, "rpm", settings.rpm, kRpmMax);
  check_range(problems, "tpm", settings.tpm, kTpmMax);
  check_range(problems, "max_concurrent", settings.max_concurrent, kConcurrentMax);
  if (settings.allowed_models.size() > kModelsMax)
    problems.push_back(
        {.path = "allowed_models", .reason = fmt::format("must be at most {} models", kModelsMax)});
  for (std::size_t i = 0; i < settings.allowed_models.size(); ++i)
    if (!is_plain_text(settings.allowed_models[i], kModelBytesMax))
      problems.push_back({.path = fmt::format("allowed_models[{}]", i),
                          .reason = fmt::format("must be 1 to {} bytes without control characters",
                                                kModelBytesMax)});
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return {};
}

ControlResult<void> check_future(const ControlChange& change, const GatewayKeySettings& settings) {
  if (settings.expires_at && *settings.expires_at <= change.now())
    return access::refuse_field("expires_at", "must be in the future");
  return {};
}

/// A key hands on the right to call models in the stack's name.
ControlResult<void> check_right(OrgId org, StackId stack, const ControlChange& change) {
  const std::array<std::string, 1> scopes = {
      std::string(access::scope_name(access::Scope::LlmInvoke))};
  const std::array<access::Realm, 1> realms = {access::Realm{
      .type = access::Realm::Type::Stack, .identifier = stack.value(), .label_policies = {}}};
  return access::check_ceiling(change.who(), org,
                               {.scopes = scopes, .realms = realms, .allowed_subnets = {}});
}

ControlResult<void> check_key_limit(OrgId org, StackId stack, ControlChange& change) {
  GANTRY_TRY(
      state::Statement select,
      change.tx().prepare("SELECT count(*) FROM gateway_keys WHERE org_id = ? AND stack_id = ?"));
  select.bind(org.value()).bind(stack.value());
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row || select.integer(0) < kGatewayKeysPerStackMax) return {};
  return access::refuse(
      Code::FailedPrecondition,
      fmt::format("the stack has {} gateway keys, which is the limit", select.integer(0)));
}

using NamedValues = std::vector<std::pair<std::string_view, std::string>>;

std::string number_or_none(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : "none";
}

/// For the audit log.
NamedValues describe(const GatewayKeySettings& settings) {
  constexpr std::int64_t kPicoPerUsd = 1'000'000'000'000;
  const auto yes_or_no = [](bool value) { return std::string(value ? "true" : "false"); };
  return {
      {"name", settings.name},
      {"limit", settings.limit ? fmt::format("{}.{:012}", settings.limit->value / kPicoPerUsd,
                                             settings.limit->value % kPicoPerUsd)
                               : "none"},
      {"limit_reset", std::string(limit_reset_name(settings.limit_reset))},
      {"include_byok_in_limit", yes_or_no(settings.includes_byok)},
      {"rpm", number_or_none(settings.rpm)},
      {"tpm", number_or_none(settings.tpm)},
      {"max_concurrent", number_or_none(settings.max_concurrent)},
      {"allowed_models", fmt::format("{}", fmt::join(settings.allowed_models, ","))},
      {"disabled", yes_or_no(settings.is_disabled)},
      {"expires_at", settings.expires_at ? core::format_rfc3339(*settings.expires_at) : "never"}};
}

std::vector<AuditChange> differences(const GatewayKeySettings& before,
                                     const GatewayKeySettings& after) {
  const NamedValues old_values = describe(before);
  const NamedValues new_values = describe(after);
  std::vector<AuditChange> changes;
  for (std::size_t i = 0; i < old_values.size(); ++i)
    if (old_values[i].second != new_values[i].second)
      changes.push_back({.field = std::string(old_values[i].first),
                         .before = old_values[i].second,
                         .after = new_values[i].second});
  return changes;
}

void record(ControlChange& change, std::string event, const GatewayKey& key,
            std::vector<AuditChange> changes = {}) {
  change.record(key.org, std::move(event),
                {.type = "gateway_key", .id = key.hash, .name = key.settings.name},
                std::move(changes), key.stack);
}

Result<void> insert_row(state::Transaction& tx, const GatewayKey& key, std::int64_t pepper_id) {
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO gateway_keys (id, org_id, stack_id, pepper_id, label, "
                        "created_by, created_at_ms, updated_at_ms, name, spend_limit, limit_reset, "
                        "includes_byok, rpm, tpm, max_concurrent, allowed_models, is_disabled, "
                        "expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                        "?)"));
  insert.bind(key.hash)
      .bind(key.org.value())
      .bind(key.stack.value())
      .bind(pepper_id)
      .bind(key.label)
      .bind(key.created_by)
      .bind(key.created_at.since_epoch)
      .bind(key.updated_at.since_epoch);
  bind_settings(insert, key.settings);
  return insert.run();
}

}  // namespace

std::string_view limit_reset_name(LimitReset reset) {
  return kResetNames[static_cast<std::size_t>(reset)];
}

std::optional<LimitReset> parse_limit_reset(std::string_view name) {
  for (std::size_t i = 0; i < kResetNames.size(); ++i)
    if (kResetNames[i] == name) return static_cast<LimitReset>(i);
  return std::nullopt;
}

bool GatewayKey::allows_model(std::string_view id) const {
  return settings.allowed_models.empty() ||
         std::ranges::find(settings.allowed_models, id) != settings.allowed_models.end();
}

ControlResult<IssuedGatewayKey> create_gateway_key(OrgId org, StackId stack, ControlChange& change,
                                                   const GatewayKeySettings& settings) {
  GANTRY_CHECK(access::read_stack(org, change.tx(), std::to_string(stack.value())));
  GANTRY_CHECK(check_right(org, stack, change));
  GANTRY_CHECK(check_settings(settings));
  GANTRY_CHECK(check_future(change, settings));
  GANTRY_CHECK(check_key_limit(org, stack, change));
  IssuedGatewayKey issued;
  issued.secret = std::string(kPrefix) + access::random_hexadecimal(kSecretBytes);
  issued.key = {.hash = hexadecimal(change.plane().hasher.hash(issued.secret)),
                .org = org,
                .stack = stack,
                .label = fmt::format("{}...{}", issued.secret.substr(0, kPrefix.size() + 3),
                                     issued.secret.substr(issued.secret.size() - 3)),
                .settings = settings,
                .created_by = change.who().actor.id,
                .created_at = change.now(),
                .updated_at = change.now()};
  GANTRY_CHECK(insert_row(change.tx(), issued.key, change.plane().hasher.current_pepper_id()));
  record(change, "gateway_key.created", issued.key, differences({}, settings));
  return issued;
}

ControlResult<GatewayKey> update_gateway_key(OrgId org, StackId stack, ControlChange& change,
                                             std::string_view hash,
                                             const GatewayKeySettings& settings) {
  GANTRY_TRY(GatewayKey key, read_gateway_key(org, stack, change.tx(), hash));
  GANTRY_CHECK(check_right(org, stack, change));
  GANTRY_CHECK(check_settings(settings));
  if (settings.expires_at != key.settings.expires_at) GANTRY_CHECK(check_future(change, settings));
  std::vector<AuditChange> changes = differences(key.settings, settings);
  if (changes.empty()) return key;
  key.settings = settings;
  key.updated_at = change.now();
  GANTRY_TRY(state::Statement update,
             change.tx().prepare(
                 "UPDATE gateway_keys SET name = ?, spend_limit = ?, limit_reset = ?, "
                 "includes_byok = ?, rpm = ?, tpm = ?, max_concurrent = ?, allowed_models = ?, "
                 "is_disabled = ?, expires_at_ms = ?, updated_at_ms = ? WHERE org_id = ? AND "
                 "stack_id = ? AND id = ?"));
  bind_settings(update, settings);
  update.bind(key.updated_at.since_epoch).bind(org.value()).bind(stack.value()).bind(hash);
  GANTRY_CHECK(update.run());
  record(change, "gateway_key.updated", key, std::move(changes));
  return key;
}

ControlResult<GatewayKey> delete_gateway_key(OrgId org, StackId stack, ControlChange& change,
                                             std::string_view hash) {
  GANTRY_TRY(GatewayKey key, read_gateway_key(org, stack, change.tx(), hash));
  GANTRY_CHECK(check_right(org, stack, change));
  GANTRY_TRY(
      state::Statement remove,
      change.tx().prepare("DELETE FROM gateway_keys WHERE org_id = ? AND stack_id = ? AND id = ?"));
  remove.bind(org.value()).bind(stack.value()).bind(hash);
  GANTRY_CHECK(remove.run());
  record(change, "gateway_key.deleted", key);
  return key;
}

ControlResult<GatewayKey> read_gateway_key(OrgId org, StackId stack, state::Transaction& tx,
                                           std::string_view hash) {
  GANTRY_TRY(
      state::Statement select,
      tx.prepare(GANTRY_GATEWAY_KEY_COLUMNS "WHERE k.org_id = ? AND k.stack_id = ? AND k.id = ?"));
  select.bind(org.value()).bind(stack.value()).bind(hash);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return access::refuse(Code::NotFound, "no such gateway key");
  return read_row(select);
}

ControlResult<GatewayKey> find_gateway_key(OrgId org, state::Transaction& tx,
                                           std::string_view hash) {
  if (!is_hexadecimal(hash, kHashCharacters))
    return access::refuse(Code::NotFound, "no such gateway key");
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_GATEWAY_KEY_COLUMNS
                        "JOIN stacks s ON s.id = k.stack_id AND s.org_id = k.org_id WHERE "
                        "k.org_id = ? AND k.id = ? AND s.status <> 'deleted'"));
  select.bind(org.value()).bind(hash);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return access::refuse(Code::NotFound, "no such gateway key");
  return read_row(select);
}

ControlResult<std::vector<GatewayKey>> list_gateway_keys(OrgId org, StackId stack,
                                                         state::Transaction& tx,
                                                         const GatewayKeyPage& page) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_GATEWAY_KEY_COLUMNS
                        "WHERE k.org_id = ? AND k.stack_id = ? AND (k.is_disabled = 0 OR ? = 1) "
                        "ORDER BY k.created_at_ms, k.id LIMIT ? OFFSET ?"));
  select.bind(org.value())
      .bind(stack.value())
      .bind(page.disabled == DisabledKeys::Included ? 1 : 0)
      .bind(page.limit)
      .bind(page.offset);
  std::vector<GatewayKey> keys;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return keys;
    keys.push_back(read_row(select));
  }
}

namespace {

struct HashOfHash {
  std::size_t operator()(const access::TokenHash& hash) const {
    std::size_t value = 0;
    std::memcpy(&value, hash.data(), sizeof value);
    return value;
  }
};

template <class Value>
using Cache = access::ExpiringCache<access::TokenHash, Value, HashOfHash>;

bool has_secret_form(std::string_view secret) {
  return secret.starts_with(kPrefix) &&
         is_hexadecimal(secret.substr(kPrefix.size()), 2 * kSecretBytes);
}

/// Null when there is none. Not bound to an organisation: the secret says which.
Result<std::shared_ptr<const GatewayKey>> find_by_hash(state::Transaction& tx,
                                                       const std::string& hash) {
  GANTRY_TRY(state::Statement select,
             tx.prepare(GANTRY_GATEWAY_KEY_COLUMNS
                        "JOIN stacks s ON s.id = k.stack_id AND s.org_id = k.org_id JOIN "
                        "organisations o ON o.id = k.org_id WHERE k.id = ? AND s.status <> "
                        "'deleted' AND o.deleted_at_ms IS NULL"));
  select.bind(hash);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return nullptr;
  auto key = std::make_shared<const GatewayKey>(read_row(select));
  const auto bytes = [](const std::string& text) {
    return std::span(reinterpret_cast<const unsigned char*>(text.data()), text.size());
  };
  GANTRY_ASSERT(access::is_equal_secret(bytes(key->hash), bytes(hash)), "the row was found by it");
  return key;
}

}  // namespace

struct GatewayKeyFinder::Impl {
  Impl(state::Db& the_db, const access::TokenHasher& the_hasher, const Clock& the_clock,
       core::MetricRegistry& registry, const Options& options)
      : db(the_db),
        hasher(the_hasher),
        clock(the_clock),
        known(options.entries_max, options.known_for),
        unknown(options.entries_max, options.unknown_for),
        malformed_refused(refused(registry, "malformed")),
        unknown_refused(refused(registry, "unknown")),
        disabled_refused(refused(registry, "disabled")),
        expired_refused(refused(registry, "expired")) {}

  static core::Counter& refused(core::MetricRegistry& registry, std::string_view reason) {
    return registry.counter("gantry_gateway_keys_refused_total",
                            "Calls with a gateway key that opens nothing.",
                            {{"reason", std::string(reason)}});
  }

  Result<std::shared_ptr<const GatewayKey>> look_up(std::string_view secret);

  state::Db& db;
  const access::TokenHasher& hasher;
  const Clock& clock;
  Cache<std::shared_ptr<const GatewayKey>> known;
  Cache<bool> unknown;
  core::Counter& malformed_refused;
  core::Counter& unknown_refused;
  core::Counter& disabled_refused;
  core::Counter& expired_refused;
};

/// Null: there is none.
Result<std::shared_ptr<const GatewayKey>> GatewayKeyFinder::Impl::look_up(std::string_view secret) {
  const TimestampMs now = clock.now();
  const std::vector<access::TokenHash> hashes = hasher.hashes(secret);
  if (auto found = known.find(hashes.front(), now)) return *std::move(found);
  if (unknown.find(hashes.front(), now)) return nullptr;
  const std::uint64_t known_generation = known.generation();
  const std::uint64_t unknown_generation = unknown.generation();
  GANTRY_TRY(state::Transaction tx, db.begin_read());
  for (const access::TokenHash& hash : hashes) {
    GANTRY_TRY(auto key, find_by_hash(tx, hexadecimal(hash)));
    if (key == nullptr) continue;
    known.put(hashes.front(), key, now, known_generation);
    return key;
  }
  unknown.put(hashes.front(), true, now, unknown_generation);
  return nullptr;
}

GatewayKeyFinder::GatewayKeyFinder(state::Db& db, const access::TokenHasher& hasher,
                                   const Clock& clock, core::MetricRegistry& registry,
                                   Options options)
    : impl_(std::make_unique<Impl>(db, hasher, clock, registry, options)) {}

GatewayKeyFinder::~GatewayKeyFinder() = default;

Result<std::shared_ptr<const GatewayKey>> GatewayKeyFinder::find(std::string_view secret) {
  const auto refuse = [](core::Counter& counter) -> std::shared_ptr<const GatewayKey> {
    counter.add();
    return nullptr;
  };
  if (!has_secret_form(secret)) return refuse(impl_->malformed_refused);
  GANTRY_TRY(auto key, impl_->look_up(secret));
  if (key == nullptr) return refuse(impl_->unknown_refused);
  if (key->settings.is_disabled) return refuse(impl_->disabled_refused);
  if (key->settings.expires_at && *key->settings.expires_at <= impl_->clock.now())
    return refuse(impl_->expired_refused);
  return key;
}

std::shared_ptr<const GatewayKey> GatewayKeyFinder::find_known(std::string_view secret) {
  if (!has_secret_form(secret)) return nullptr;
  const std::vector<access::TokenHash> hashes = impl_->hasher.hashes(secret);
  return impl_->known.find(hashes.front(), impl_->clock.now()).value_or(nullptr);
}

void GatewayKeyFinder::forget_all() {
  impl_->known.clear();
  impl_->unknown.clear();
}

}  // namespace gantry::gateway
