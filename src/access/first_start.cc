#include "access/first_start.h"

#include <array>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <unistd.h>

#include "access/organisations.h"
#include "access/password.h"
#include "access/pepper_canary.h"
#include "access/policies.h"
#include "access/stacks.h"
#include "access/tokens.h"
#include "access/users.h"
#include "core/json_writer.h"
#include "core/utf8.h"

namespace gantry::access {
namespace {

constexpr std::array kWriteScopes = {Scope::MetricsWrite, Scope::LogsWrite, Scope::TracesWrite};
constexpr std::array kReadScopes = {Scope::MetricsRead, Scope::LogsRead, Scope::TracesRead,
                                    Scope::RulesRead, Scope::AlertsRead};

std::vector<Scope> every_scope() {
  std::vector<Scope> scopes;
  for (std::size_t i = 0; i < kScopeCount; ++i) scopes.push_back(static_cast<Scope>(i));
  return scopes;
}

struct PolicyPlan {
  std::string_view policy_name;
  std::string_view token_name;
  std::span<const Scope> scopes;
  RealmDraft realm;
};

/// Returns the token's secret.
ControlResult<std::string> add_policy_with_token(OrgId org, ControlChange& change,
                                                 const PolicyPlan& plan) {
  PolicyDraft draft{.name = std::string(plan.policy_name),
                    .display_name = {},
                    .scopes = {},
                    .realms = {plan.realm},
                    .allowed_subnets = {}};
  for (const Scope scope : plan.scopes) draft.scopes.emplace_back(scope_name(scope));
  GANTRY_TRY(const Policy policy, create_policy(org, change, draft));
  GANTRY_TRY(IssuedToken issued, create_token(org, change,
                                              {.policy_id = policy.id,
                                               .name = std::string(plan.token_name),
                                               .display_name = {},
                                               .expires_at = std::nullopt,
                                               .zone = {}}));
  return std::move(issued.secret);
}

ControlResult<void> add_tokens(OrgId org, ControlChange& change, FirstStart& first) {
  const std::vector<Scope> every = every_scope();
  const RealmDraft stack{.type = "stack",
                         .identifier = std::to_string(first.instance_id.value()),
                         .label_policies = {}};
  const RealmDraft organisation{
      .type = "org", .identifier = std::to_string(org.value()), .label_policies = {}};
  const std::array<std::pair<PolicyPlan, std::string*>, 3> plans = {{
      {{"write", "first-write", kWriteScopes, stack}, &first.write_token},
      {{"read", "first-read", kReadScopes, stack}, &first.read_token},
      {{"admin", "first-admin", every, organisation}, &first.admin_token},
  }};
  for (const auto& [plan, secret] : plans) {
    GANTRY_TRY(*secret, add_policy_with_token(org, change, plan));
  }
  return {};
}

/// A super-admin who is admin of the organisation as well.
ControlResult<void> add_admin(OrgId org, ControlChange& change, const std::string& login,
                              std::string_view password_hash) {
  GANTRY_TRY(const std::string id,
             add_user(change.tx(),
                      {.login = login, .password_hash = password_hash, .is_super_admin = true},
                      change.now()));
  GANTRY_CHECK(set_membership(change.tx(), id, {.org = org, .role = Role::Admin}));
  change.record(org, "user.created", {.type = "user", .id = id, .name = login},
                {{.field = "login", .before = {}, .after = login},
                 {.field = "role", .before = {}, .after = std::string(role_name(Role::Admin))},
                 {.field = "isGrafanaAdmin", .before = "false", .after = "true"}});
  return {};
}

/// What an operator does about a missing or wrong key.
std::string_view where_keys_are(const Directory& directory) {
  return directory.database().is_shared()
             ? "copy secret.key from another replica, or restore it from its backup"
             : "restore it from its backup";
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

/// A path need not be UTF-8, text in the database must.
std::string to_utf8(std::string_view bytes) {
  std::string text;
  for (std::size_t position = 0; position < bytes.size();)
    core::append_utf8(text, core::next_code_point(bytes, position));
  return text;
}

Result<void> note_place(state::Transaction& tx, const std::filesystem::path& file,
                        TimestampMs now) {
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO first_start (id, at_ms, host, file) VALUES (1, ?, ?, ?)"));
  insert.bind(now.since_epoch).bind(to_utf8(host_name())).bind(to_utf8(file.string()));
  return insert.run();
}

/// False: somebody else has made it while this waited for its turn.
ControlResult<bool> make_first_stack(Directory& directory, ControlChange& change,
                                     std::string_view password_hash, FirstStart& first) {
  GANTRY_TRY(const bool is_empty, directory.is_empty(change.tx()));
  if (!is_empty) return false;
  GANTRY_TRY(const Organisation org, create_organisation(change, "main", "main"));
  GANTRY_TRY(
      const Stack stack,
      create_stack(org.id, change,
                   {.slug = "main", .name = {}, .zone = {}, .description = {}, .labels = {}}));
  first.instance_id = stack.id;
  GANTRY_CHECK(add_admin(org.id, change, first.admin_user, password_hash));
  GANTRY_CHECK(add_tokens(org.id, change, first));
  return true;
}

}  // namespace

std::string format_first_start(const FirstStart& first) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_object();
  json.key("url").string(first.url);
  json.key("instance_id").integer(first.instance_id.value());
  json.key("admin_user").string(first.admin_user);
  json.key("admin_password").string(first.admin_password);
  json.key("write_token").string(first.write_token);
  json.key("read_token").string(first.read_token);
  json.key("admin_token").string(first.admin_token);
  json.end_object();
  text += '\n';
  return text;
}

Result<SecretKey> open_secret_key(const std::filesystem::path& data_directory,
                                  Directory& directory) {
  const std::filesystem::path path = data_directory / kSecretKeyFile;
  const std::string& database = directory.database().name();
  auto key = read_secret_key(path);
  if (!key && key.error().code != Code::NotFound) return key;
  GANTRY_CHECK(prepare_cryptography());
  GANTRY_TRY(const bool has_tokens, directory.has_tokens());
  // Under the writers' lock, so that of replicas that start at once one makes the key.
  GANTRY_TRY(state::Transaction tx, directory.begin_write());
  GANTRY_TRY(const bool has_key, has_pepper_canaries(tx));
  if (!key) {
    if (has_tokens || has_key)
      return fail(Code::FailedPrecondition,
                  fmt::format("{} is missing, and without it no token in {} can be checked: {}",
                              path.string(), database, where_keys_are(directory)));
    key = create_secret_key(path);
    if (!key) return key;
  }
  GANTRY_TRY(const bool belongs, check_pepper_canaries(tx, *key));
  if (!belongs)
    return fail(Code::FailedPrecondition,
                fmt::format("{} is not the key of the tokens in {}: {}", path.string(), database,
                            where_keys_are(directory)));
  GANTRY_CHECK(tx.commit());
  return key;
}

Result<std::optional<FirstStart>> create_first_stack(const std::filesystem::path& data_directory,
                                                     Directory& directory,
                                                     const ControlPlane& plane,
                                                     std::string_view url) {
  GANTRY_TRY(const bool is_empty, directory.is_empty());
  if (!is_empty) return std::nullopt;
  FirstStart first{.url = std::string(url),
                   .instance_id = {},
                   .admin_user = "admin",
                   .admin_password = make_password(),
                   .write_token = {},
                   .read_token = {},
                   .admin_token = {}};
  PasswordHasher passwords({});
  GANTRY_TRY(const std::string password_hash, passwords.hash(first.admin_password));
  GANTRY_TRY(ControlChange change, ControlChange::begin(plane, system_control_principal(OrgId())));
  const auto made = make_first_stack(directory, change, password_hash, first);
  if (!made) return fail(made.error().code, made.error().message);
  if (!*made) return std::nullopt;

  const std::filesystem::path file = data_directory / kFirstStartFile;
  GANTRY_CHECK(note_place(change.tx(), file, change.now()));
  std::error_code ignored;  // usually there is none to remove
  std::filesystem::remove(file, ignored);
  GANTRY_CHECK(write_private_file(file, format_first_start(first)));
  GANTRY_CHECK(change.commit());
  return first;
}

Result<std::optional<FirstStartPlace>> find_first_start(Directory& directory) {
  GANTRY_TRY(state::Transaction tx, directory.begin_read());
  GANTRY_TRY(state::Statement select, tx.prepare("SELECT host, file FROM first_start"));
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return FirstStartPlace{.host = std::string(select.text(0)), .file = std::string(select.text(1))};
}

}  // namespace gantry::access
