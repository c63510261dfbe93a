#include "access/sign_in.h"

#include <utility>
#include <vector>

#include <fmt/core.h>

#include "access/one_time_secrets.h"
#include "access/sign_in_support_internal.h"
#include "core/log.h"
#include "state/auth_epoch.h"

namespace gantry::access {
namespace {

constexpr std::string_view kProvider = "password";
constexpr std::int64_t kBusySeconds = 2;

AccessError wrong_password() {
  return make_access_error(401, Code::Unauthenticated, "Invalid user name or password",
                           "login_failed");
}

AccessError too_many(std::int64_t seconds) {
  AccessError error = make_access_error(
      429, Code::ResourceExhausted, fmt::format("Too many attempts, try again in {} s", seconds),
      "login_throttled");
  error.headers.add("Retry-After", std::to_string(seconds));
  return error;
}

AccessError link_is_void() {
  return make_access_error(401, Code::Unauthenticated,
                           "The link is not valid any more: it works once and for a limited time",
                           "link_void");
}

/// A failure that is not about the person.
AccessError of(const Error& error) {
  if (error.code == Code::ResourceExhausted) return too_many(kBusySeconds);
  log::error("sign-in failed", {{"error", error.message}});
  return access_unavailable();
}

}  // namespace

PasswordSignIn::PasswordSignIn(const Parts& parts)
    : parts_(parts), throttle_(parts.db, parts.hasher, parts.clock) {}

void PasswordSignIn::note_failure(const SignInAttempt& attempt, const User* user,
                                  const ClientContext& client, std::string_view reason) {
  // A name that is nobody's may be a password typed into the wrong field: it is not written down.
  AuditEvent event{.event = reason == "throttled" ? "login.throttled" : "login.fail",
                   .outcome = Outcome::Denied,
                   .target = {.type = "user"},
                   .client = client,
                   .reason = std::string(reason)};
  if (user != nullptr) {
    event.target.id = user->id;
    event.target.name = user->login;
  }
  if (reason == "throttled")
    parts_.audit.note_sampled(fmt::format("throttled|{}|{}", attempt.ip, event.target.id),
                              std::move(event));
  else
    parts_.audit.note(std::move(event));
}

AccessResult<User> PasswordSignIn::check_password(const SignInAttempt& attempt,
                                                  const std::string& password,
                                                  const ClientContext& client) {
  std::optional<User> user;
  {
    GANTRY_TRY(state::Transaction tx, to_access(parts_.db.begin_read(), of));
    GANTRY_TRY(user, to_access(find_user_by_login(tx, attempt.login), of));
  }
  const User* const known = user ? &*user : nullptr;
  GANTRY_TRY(const SignInThrottle::Admission admission, to_access(throttle_.admit(attempt), of));
  if (!admission.is_admitted) {
    note_failure(attempt, known, client, "throttled");
    return std::unexpected(too_many((admission.retry_after.count + 999) / 1000));
  }
  bool is_right = false;
  if (user && !user->password_hash.empty()) {
    GANTRY_TRY(is_right, to_access(parts_.passwords.verify(password, user->password_hash), of));
  } else {
    GANTRY_CHECK(to_access(parts_.passwords.verify_nobody(password), of));
  }
  if (!is_right || user->is_disabled) {
    note_failure(attempt, known, client,
                 !user      ? "unknown_user"
                 : is_right ? "user_disabled"
                            : "wrong_password");
    return std::unexpected(wrong_password());
  }
  GANTRY_CHECK(to_access(throttle_.forgive(attempt), of));
  return *std::move(user);
}

AccessResult<bool> PasswordSignIn::is_known_device(std::string_view login,
                                                   std::string_view device) {
  if (device.empty()) return false;
  GANTRY_TRY(state::Transaction tx, to_access(parts_.db.begin_read(), of));
  GANTRY_TRY(const std::optional<User> user, to_access(find_user_by_login(tx, login), of));
  GANTRY_TRY(
      const std::optional<OneTimeSecret> mark,
      to_access(find_one_time_secret(tx, parts_.hasher, "device", device, parts_.clock.now()), of));
  return user && mark && mark->user_id == user->id;
}

AccessResult<SignedIn> PasswordSignIn::sign_in(const PasswordSignInRequest& request) {
  GANTRY_TRY(const bool is_known, is_known_device(request.login, request.device));
  GANTRY_TRY(
      const User user,
      check_password({.login = request.login, .ip = request.client.ip, .is_known_device = is_known},
                     request.password, request.client));
  std::string better_hash;
  if (parts_.passwords.is_outdated(user.password_hash)) {
    // Failing to is no reason to keep somebody out.
    if (auto hash = parts_.passwords.hash(request.password)) better_hash = *std::move(hash);
  }
  const auto begin_session = [&]() -> Result<SignedIn> {
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
    const TimestampMs now = parts_.clock.now();
    if (!better_hash.empty()) GANTRY_CHECK(set_password_hash(tx, user.id, better_hash, now));
    GANTRY_CHECK(record_login(tx, user.id, now));
    SignedIn signed_in;
    GANTRY_TRY(signed_in.session, parts_.sessions.begin(tx, {.user_id = user.id,
                                                             .provider = std::string(kProvider),
                                                             .client = request.client,
                                                             .remember = request.remember}));
    if (!is_known) {
      const OneTimeSecret mark{.purpose = "device",
                               .user_id = user.id,
                               .payload = "{}",
                               .expires_at = now + DurationMs{kDeviceSeconds * 1000}};
      GANTRY_TRY(signed_in.device, add_one_time_secret(tx, parts_.hasher, mark, now));
    }
    AuditEvent event = event_about("login.ok", user, request.client);
    event.reason = kProvider;
    GANTRY_CHECK(parts_.audit.append(tx, event));
    GANTRY_CHECK(tx.commit());
    return signed_in;
  };
  return to_access(begin_session(), of);
}

AccessResult<IssuedSession> PasswordSignIn::confirm(const SessionIdentity& identity,
                                                    const std::string& password,
                                                    const ClientContext& client) {
  GANTRY_TRY(
      const User user,
      check_password({.login = identity.user.login, .ip = client.ip, .is_known_device = true},
                     password, client));
  const auto renew = [&]() -> Result<IssuedSession> {
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
    GANTRY_TRY(IssuedSession session, parts_.sessions.renew(tx, identity));
    GANTRY_CHECK(parts_.audit.append(tx, event_about("reauth", user, client)));
    GANTRY_CHECK(tx.commit());
    return session;
  };
  auto renewed = to_access(renew(), of);
  parts_.sessions.forget_all();
  return renewed;
}

AccessResult<std::string> PasswordSignIn::hash_new(const User& user, const std::string& next) {
  std::vector<std::string> context = {user.login, user.name,
                                      user.email.substr(0, user.email.find('@'))};
  {
    GANTRY_TRY(state::Transaction tx, to_access(parts_.db.begin_read(), of));
    GANTRY_TRY(const std::vector<Membership> memberships,
               to_access(list_memberships(tx, user.id), of));
    for (const Membership& membership : memberships) {
      context.push_back(membership.org_slug);
      context.push_back(membership.org_name);
    }
  }
  if (const auto good = check_new_password(next, context); !good)
    return std::unexpected(
        make_access_error(400, Code::InvalidArgument, good.error().message, "bad_new_password"));
  return to_access(parts_.passwords.hash(next), of);
}

AccessResult<IssuedSession> PasswordSignIn::change_password(const SessionIdentity& identity,
                                                            const std::string& current,
                                                            const std::string& next,
                                                            const ClientContext& client) {
  GANTRY_TRY(
      const User user,
      check_password({.login = identity.user.login, .ip = client.ip, .is_known_device = true},
                     current, client));
  GANTRY_TRY(const std::string hash, hash_new(user, next));
  const auto change = [&]() -> Result<IssuedSession> {
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
    GANTRY_CHECK(set_password_hash(tx, user.id, hash, parts_.clock.now()));
    GANTRY_TRY(const std::int64_t ended, remove_sessions(tx, user.id, identity.row.family_id));
    GANTRY_CHECK(remove_one_time_secrets(tx, "password", user.id));
    GANTRY_CHECK(remove_one_time_secrets(tx, "device", user.id));
    GANTRY_TRY(IssuedSession session, parts_.sessions.renew(tx, identity));
    AuditEvent event = event_about("password.changed", user, client);
    event.changes.push_back({.field = "password", .before = "set", .after = "changed"});
    event.reason = fmt::format("{} other sessions ended", ended);
    GANTRY_CHECK(parts_.audit.append(tx, event));
    GANTRY_CHECK(state::bump_auth_epoch(tx, parts_.clock.now()));
    GANTRY_CHECK(tx.commit());
    return session;
  };
  auto changed = to_access(change(), of);
  parts_.sessions.forget_all();
  return changed;
}

AccessResult<std::string> PasswordSignIn::find_link(std::string_view secret) {
  GANTRY_TRY(state::Transaction tx, to_access(parts_.db.begin_read(), of));
  GANTRY_TRY(
      const std::optional<OneTimeSecret> link,
      to_access(find_one_time_secret(tx, parts_.hasher, "password", secret, parts_.clock.now()),
                of));
  if (!link) return std::unexpected(link_is_void());
  GANTRY_TRY(const std::optional<User> user, to_access(find_user(tx, link->user_id), of));
  if (!user || user->is_disabled) return std::unexpected(link_is_void());
  return user->login;
}

AccessResult<void> PasswordSignIn::set_password_by_link(std::string_view secret,
                                                        const std::string& next,
                                                        const ClientContext& client) {
  GANTRY_TRY(const std::string login, find_link(secret));
  std::optional<User> user;
  {
    GANTRY_TRY(state::Transaction tx, to_access(parts_.db.begin_read(), of));
    GANTRY_TRY(user, to_access(find_user_by_login(tx, login), of));
  }
  if (!user) return std::unexpected(link_is_void());
  GANTRY_TRY(const std::string hash, hash_new(*user, next));
  const auto set = [&]() -> Result<bool> {
    const TimestampMs now = parts_.clock.now();
    GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
    GANTRY_TRY(const std::optional<OneTimeSecret> link,
               take_one_time_secret(tx, parts_.hasher, "password", secret, now));
    if (!link || link->user_id != user->id) return false;
    GANTRY_CHECK(set_password_hash(tx, user->id, hash, now));
    GANTRY_TRY(const std::int64_t ended, remove_sessions(tx, user->id, {}));
    GANTRY_CHECK(remove_one_time_secrets(tx, "device", user->id));
    AuditEvent event = event_about("password.reset", *user, client);
    event.changes.push_back({.field = "password",
                             .before = user->password_hash.empty() ? "unset" : "set",
                             .after = "changed"});
    event.reason = fmt::format("{} sessions ended", ended);
    GANTRY_CHECK(parts_.audit.append(tx, event));
    GANTRY_CHECK(state::bump_auth_epoch(tx, now));
    GANTRY_CHECK(tx.commit());
    return true;
  };
  GANTRY_TRY(const bool was_good, to_access(set(), of));
  parts_.sessions.forget_all();
  if (!was_good) return std::unexpected(link_is_void());
  return {};
}

Result<void> PasswordSignIn::expire() {
  GANTRY_CHECK(throttle_.expire());
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_CHECK(remove_expired_one_time_secrets(tx, parts_.clock.now()));
  return tx.commit();
}

}  // namespace gantry::access
