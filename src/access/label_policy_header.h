#pragma once

// The request header X-Prom-Label-Policy, with which Grafana says what its user may read. It is
// believed only from tokens whose access policy says so, and it only ever narrows.

#include <span>
#include <string>
#include <string_view>

#include "access/access_error.h"
#include "access/principal.h"
#include "core/ids.h"

namespace gantry::access {

/// `own`, narrowed by the header's `values` when `attributes`, the access policy's JSON object,
/// has `"acceptLabelPolicyHeader": true`; else just `own`. A value is a list of
/// `<tenant>:<percent-encoded selector>`, separated by commas; any of all selectors suffices.
/// Errors: 400 for what cannot be read and for a tenant that is not `stack`.
[[nodiscard]] AccessResult<Visibility> narrow_by_header(const Visibility& own,
                                                        std::string_view attributes, StackId stack,
                                                        std::span<const std::string> values);

}  // namespace gantry::access
