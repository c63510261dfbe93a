#include "server/people.h"

#include <algorithm>
#include <utility>

#include "access/console_origin.h"
#include "access/oidc_sign_in.h"
#include "access/password.h"
#include "access/sessions.h"
#include "access/sign_in.h"
#include "access/user_administration.h"
#include "api/admin_users.h"
#include "api/oidc.h"
#include "server/oidc_settings.h"

namespace gantry::server {
namespace {

access::Sessions::Options session_options(const Config& config) {
  return {.idle_max = config.session.idle_max,
          .lifetime = config.session.lifetime,
          .remembered_lifetime = config.session.remembered_lifetime};
}

/// Sign-ins wait on the threads that answer queries: at most half of them.
std::size_t password_queue(const Config& config) {
  return std::min<std::size_t>(access::PasswordHasher::Options().queue_max,
                               std::max<std::size_t>(1, config.query.concurrency / 2));
}

}  // namespace

struct People::Impl {
  Impl(const Parts& parts, const Config& config)
      : console(
            {.public_url = config.server.public_url, .insecure_dev = config.server.insecure_dev}),
        sessions(parts.db, parts.hasher, console, parts.clock, parts.audit, parts.registry,
                 session_options(config)),
        passwords({.queue_max = password_queue(config)}),
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
                 .audit = parts.audit,
                 .admit = [this](const net::Request& request, std::optional<access::OrgId> org) {
                   return sessions.authenticate(request, org);
                 }} {}

  access::ConsoleOrigin console;
  access::Sessions sessions;
  access::PasswordHasher passwords;
  access::PasswordSignIn sign_in;
  access::UserAdministration administration;
  api::PeopleServices services;
  std::vector<std::unique_ptr<access::OidcProvider>> providers;
  std::vector<std::unique_ptr<access::OidcSignIn>> oidc;  // one for each of them
};

People::People(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<People>> People::make(const Parts& parts, const Config& config) {
  auto impl = std::make_unique<Impl>(parts, config);
  GANTRY_TRY(std::vector<access::OidcSettings> all, make_oidc_settings(config));
  for (access::OidcSettings& settings : all) {
    const auto& provider = impl->providers.emplace_back(std::make_unique<access::OidcProvider>(
        std::move(settings),
        [&egress = parts.egress](const net::EgressRequest& request) {
          return egress.send(request);
        },
        parts.clock));
    const auto& oidc = impl->oidc.emplace_back(
        std::make_unique<access::OidcSignIn>(access::OidcSignIn::Parts{.db = parts.db,
                                                                       .sessions = impl->sessions,
                                                                       .provider = *provider,
                                                                       .hasher = parts.hasher,
                                                                       .audit = parts.audit,
                                                                       .clock = parts.clock}));
    impl->services.oidc.push_back(oidc.get());
  }
  return std::unique_ptr<People>(new People(std::move(impl)));
}

People::~People() = default;

const access::SessionAuthenticator& People::sessions() const {
  return impl_->sessions;
}

net::Router People::routes() const {
  net::Router router;
  api::add_session_routes(router, impl_->services);
  api::add_login_page_routes(router, impl_->services);
  api::add_admin_user_routes(router, impl_->services);
  if (!impl_->oidc.empty()) api::add_oidc_routes(router, impl_->services);
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
