#include "access/principal.h"

namespace gantry::access {

Principal system_principal(OrgId org, StackId stack, ScopeSet scopes) {
  return Principal{.kind = PrincipalKind::System,
                   .policy_id = "system",
                   .policy_name = "system",
                   .token_id = {},
                   .org = org,
                   .stack = stack,
                   .scopes = scopes,
                   .visibility = Visibility::everything()};
}

}  // namespace gantry::access
