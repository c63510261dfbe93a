#include "access/first_start.h"

#include <array>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "access/password.h"
#include "core/json_writer.h"

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
  Realm realm;
};

/// Returns the token's secret.
Result<std::string> add_policy_with_token(Directory& directory, state::Transaction& tx, OrgId org,
                                          std::string_view zone, const PolicyPlan& plan,
                                          const TokenHasher& hasher, TimestampMs now) {
  GANTRY_TRY(const std::string policy_id, directory.add_policy(tx,
                                                               {.org = org,
                                                                .name = plan.policy_name,
                                                                .scopes = plan.scopes,
                                                                .realms = std::span(&plan.realm, 1),
                                                                .is_system = false},
                                                               now));
  std::string secret = issue_access_token(
      {.org = org, .policy_name = plan.policy_name, .token_name = plan.token_name, .zone = zone});
  GANTRY_TRY(const std::string token_id, directory.add_token(tx,
                                                             {.policy_id = policy_id,
                                                              .org = org,
                                                              .name = plan.token_name,
                                                              .secret = secret,
                                                              .expires_at = std::nullopt},
                                                             hasher, now));
  return secret;
}

Result<void> add_tokens(Directory& directory, state::Transaction& tx, OrgId org,
                        std::string_view zone, const TokenHasher& hasher, TimestampMs now,
                        FirstStart& first) {
  const std::vector<Scope> every = every_scope();
  const Realm stack{.type = Realm::Type::Stack, .identifier = first.instance_id.value()};
  const Realm organisation{.type = Realm::Type::Org, .identifier = org.value()};
  const std::array<std::pair<PolicyPlan, std::string*>, 3> plans = {{
      {{"write", "first-write", kWriteScopes, stack}, &first.write_token},
      {{"read", "first-read", kReadScopes, stack}, &first.read_token},
      {{"admin", "first-admin", every, organisation}, &first.admin_token},
  }};
  for (const auto& [plan, secret] : plans) {
    GANTRY_TRY(*secret, add_policy_with_token(directory, tx, org, zone, plan, hasher, now));
  }
  return {};
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
  auto key = read_secret_key(path);
  if (key || key.error().code != Code::NotFound) return key;
  GANTRY_TRY(const bool has_tokens, directory.has_tokens());
  if (has_tokens)
    return fail(Code::FailedPrecondition,
                fmt::format("{} is missing, and without it no token in gantry.db can be checked: "
                            "restore it from its backup",
                            path.string()));
  return create_secret_key(path);
}

Result<std::optional<FirstStart>> create_first_stack(const std::filesystem::path& data_directory,
                                                     Directory& directory,
                                                     const TokenHasher& hasher, const Clock& clock,
                                                     const FirstStartOptions& options) {
  GANTRY_TRY(const bool is_empty, directory.is_empty());
  if (!is_empty) return std::nullopt;
  FirstStart first{.url = options.url,
                   .instance_id = {},
                   .admin_user = "admin",
                   .admin_password = make_password(),
                   .write_token = {},
                   .read_token = {},
                   .admin_token = {}};
  PasswordHasher passwords({});
  GANTRY_TRY(const std::string password_hash, passwords.hash(first.admin_password));
  const TimestampMs now = clock.now();
  GANTRY_TRY(state::Transaction tx, directory.begin_write());
  GANTRY_TRY(const OrgId org, directory.add_organisation(tx, "main", "main", now));
  GANTRY_TRY(first.instance_id, directory.add_stack(tx, org, "main", options.zone, now));
  GANTRY_TRY(const std::string user_id,
             directory.add_admin(tx, org, first.admin_user, password_hash, now));
  GANTRY_CHECK(add_tokens(directory, tx, org, options.zone, hasher, now, first));

  const std::filesystem::path file = data_directory / kFirstStartFile;
  std::error_code ignored;  // usually there is none to remove
  std::filesystem::remove(file, ignored);
  GANTRY_CHECK(write_private_file(file, format_first_start(first)));
  GANTRY_CHECK(tx.commit());
  return first;
}

}  // namespace gantry::access
