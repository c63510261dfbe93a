#pragma once

// The rules of a stack for what it receives: /api/v1/observability/pipeline. Errors are those of
// destinations: {"error":{"code":<status>,"message":…,"metadata":{"reason","fields"}}}.

#include <functional>

#include "access/control_plane.h"
#include "access/gate.h"
#include "api/cloud.h"
#include "core/error.h"
#include "net/router.h"

namespace gantry::api {

/// All referenced parts outlive the routes. Thread-safe to use.
struct PipelineServices {
  const access::Gate& gate;
  const access::ControlPlane& control;
  RequestRate& rate;
  /// Has this process apply what was committed. Its error is not the caller's: what is saved is
  /// saved, and is tried again.
  std::function<Result<void>()> refresh;
};

/// GET, PUT (replaces all rules), PATCH (those that are given) and DELETE, and POST …/test, which
/// shows what rules make of given spans and samples and keeps nothing. Callers need pipelines:read
/// to look and to test, pipelines:write to change, in both cases for all data of the stack that
/// `workspace_id` names (as for destinations). `version` in a body has to be that of the rules: 409
/// when somebody else has changed them since.
void add_pipeline_routes(net::Router& router, const PipelineServices& services);

}  // namespace gantry::api
