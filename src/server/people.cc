#include "server/people.h"

#include <utility>

#include "access/console_origin.h"
#include "access/password.h"
#include "access/sessions.h"
#include "access/sign_in.h"
#include "access/user_administration.h"
#include "api/admin_users.h"

namespace gantry::server {
namespace {

access::Sessions::Options session_options(const Config& config) {
  return {.idle_max = config.session.idle_max,
          .lifetime = config.session.lifetime,
          .remembered_lifetime = config.session.remembered_lifetime};
}

}  // namespace

struct People::Impl {
  Impl(const Parts& parts, const Config& config)
      : console(
            {.public_url = config.server.public_url, .insecure_dev = config.server.insecure_dev}),
        sessions(parts.db, parts.hasher, console, parts.clock, parts.audit, parts.registry,
                 session_options(config)),
        passwords({}),
        sign_in({.db = parts.db,
                 .sessions = sessions,
                 .passwords = passwords,
                 .hasher = parts.hasher,
                 .audit = parts.audit,
                 .clock = parts.clock}),
        administration({.db = parts.db,
                        .sessions = sessions,
                        .hasher = parts.hasher,
                        .audit = parts.audit,
                        .clock = parts.clock},
                       {}),
        services{.sessions = sessions,
                 .sign_in = sign_in,
                 .people = administration,
                 .admit = [this](const net::Request& request, std::optional<access::OrgId> org) {
                   return sessions.authenticate(request, org);
                 }} {}

  access::ConsoleOrigin console;
  access::Sessions sessions;
  access::PasswordHasher passwords;
  access::PasswordSignIn sign_in;
  access::UserAdministration administration;
  api::PeopleServices services;
};

People::People(const Parts& parts, const Config& config)
    : impl_(std::make_unique<Impl>(parts, config)) {}

People::~People() = default;

const access::SessionAuthenticator& People::sessions() const {
  return impl_->sessions;
}

net::Router People::routes() const {
  net::Router router;
  api::add_session_routes(router, impl_->services);
  api::add_login_page_routes(router, impl_->services);
  api::add_admin_user_routes(router, impl_->services);
  return api::rotate_sessions(router, impl_->sessions);
}

void People::admit_with(decltype(api::PeopleServices::admit) admit) {
  impl_->services.admit = std::move(admit);
}

void People::forget_all() {
  impl_->sessions.forget_all();
}

Result<void> People::flush() {
  GANTRY_CHECK(impl_->sessions.flush());
  return impl_->sign_in.expire();
}

}  // namespace gantry::server
