#pragma once

// People, sessions and sign-in on a temporary database, seen through requests as a browser sends
// them. Password hashes are cheap ones.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "access/audit.h"
#include "access/console_origin.h"
#include "access/password.h"
#include "access/secret_key.h"
#include "access/sessions.h"
#include "access/sign_in.h"
#include "access/testing/directory_fixture.h"
#include "access/user_administration.h"
#include "access/users.h"

namespace gantry::access {

inline constexpr std::int64_t kMinuteMs = 60'000;
inline constexpr std::int64_t kHourMs = 60 * kMinuteMs;

class PeopleFixture : public DirectoryFixture {
 protected:
  PeopleFixture() {
    EXPECT_TRUE(prepare_cryptography());
    if (db_ == nullptr) return;  // the test is skipped
    audit_.emplace(*db_, clock_, registry_, AuditLog::Options{});
    sessions_.emplace(*db_, hasher_, console_, clock_, *audit_, registry_, Sessions::Options{});
    sign_in_.emplace(PasswordSignIn::Parts{.db = *db_,
                                           .sessions = *sessions_,
                                           .passwords = passwords_,
                                           .hasher = hasher_,
                                           .audit = *audit_,
                                           .clock = clock_});
    people_.emplace(UserAdministration::Parts{.db = *db_,
                                              .sessions = *sessions_,
                                              .hasher = hasher_,
                                              .audit = *audit_,
                                              .clock = clock_},
                    UserAdministration::Options{});
  }

  /// Returns the id.
  std::string add_person(std::string_view login, std::string_view password = "") {
    const std::string hash = password.empty() ? "" : *passwords_.hash(password);
    return write([&](state::Transaction& tx) {
      return add_user(tx, {.login = login, .password_hash = hash}, clock_.now());
    });
  }

  void make_super_admin(const std::string& id) {
    write([&](state::Transaction& tx) -> Result<void> {
      GANTRY_TRY(auto user, find_user(tx, id));
      user->is_super_admin = true;
      return update_user(tx, *user, clock_.now());
    });
    sessions_->forget_all();
  }

  void join(const std::string& id, OrgId org, Role role,
            std::optional<std::vector<std::string>> policies = std::nullopt) {
    write([&](state::Transaction& tx) {
      return set_membership(tx, id, {.org = org, .role = role, .label_policies = policies});
    });
    sessions_->forget_all();
  }

  IssuedSession begin(const std::string& user_id, Remember remember = Remember::No) {
    return write([&](state::Transaction& tx) {
      return sessions_->begin(tx, {.user_id = user_id,
                                   .provider = "password",
                                   .client = {.ip = "192.0.2.1"},
                                   .remember = remember});
    });
  }

  static net::Request request(std::string_view session, net::Method method = net::Method::Get) {
    net::Request made{.method = method};
    made.headers.add("Host", "gantry.example.com");
    made.headers.add("Cookie", "__Host-gantry_session=" + std::string(session));
    made.headers.add("Sec-Fetch-Site", "same-origin");
    made.peer_address = "192.0.2.1";
    made.is_tls = true;
    return made;
  }

  /// The reason for refusing it; "" when it is good.
  std::string refusal(std::string_view session) {
    const auto identity = sessions_->identify(request(session));
    return identity ? "" : std::string(identity.error().reason);
  }

  /// Of a fresh session of the person.
  ControlPrincipal as(const std::string& user_id, std::optional<OrgId> org = std::nullopt) {
    const auto principal = sessions_->authenticate(request(begin(user_id).value), org);
    EXPECT_TRUE(principal) << (principal ? "" : principal.error().message);
    return *principal;
  }

  /// Names of the audit events so far, newest first.
  std::vector<std::string> audited() {
    EXPECT_TRUE(audit_->flush());
    std::vector<std::string> names;
    for (const AuditRecord& record : *audit_->read({})) names.push_back(record.event.event);
    return names;
  }

  core::MetricRegistry registry_;
  ConsoleOrigin console_{{}};
  PasswordHasher passwords_{{.memory_bytes = 8 << 20, .passes = 1}};
  std::optional<AuditLog> audit_;
  std::optional<Sessions> sessions_;
  std::optional<PasswordSignIn> sign_in_;
  std::optional<UserAdministration> people_;
};

}  // namespace gantry::access
