#pragma once

// Signing in with an OpenID provider, by its name:
//
//   GET /login/oidc/{provider}                      to the provider; ?reauth=1 for a session's
//   person POST /login/oidc/{provider}/link                the same for the person of a session, to
//   add it GET /login/oidc/{provider}/callback             and back POST
//   /login/oidc/{provider}/backchannel-logout  the provider ends sessions

#include "access/oidc_sign_in.h"
#include "api/session.h"
#include "net/router.h"

namespace gantry::api {

void add_oidc_routes(net::Router& router, const PeopleServices& services);

}  // namespace gantry::api
