#pragma once

// The section `gateway` of the configuration: what the gateway does, and its catalogue. Strict, as
// all of the configuration: an unknown or ill-typed key is an error that says where it is.
//
//   gateway:
//     enabled: true
//     providers:
//       - slug: openai
//         base_url: https://api.openai.com/v1
//         keys: [{secret: env:OPENAI_API_KEY}]
//     models:
//       - id: openai/gpt-4o
//         pricing: {prompt: "0.0000025", completion: "0.00001"}
//         endpoints: [{provider: openai, model: gpt-4o}]

#include <string_view>

#include "core/error.h"
#include "gateway/catalogue.h"
#include "gateway/gateway.h"
#include "gateway/gateway_metrics.h"
#include "gateway/generation_trace.h"
#include "gateway/setting_node.h"

namespace gantry::gateway {

struct GatewaySettings {
  bool is_enabled = false;
  TraceOptions trace;          ///< Its namespace is options.calls' too.
  bool keeps_content = false;  ///< io_logging: prompts and completions in the stack's own traces.
  SemanticConventions conventions = SemanticConventions::Both;
  GatewayOptions options;
  CatalogueConfig catalogue;
};

/// `section` is the value of `gateway`. Errors, InvalidArgument, with the node's place if it is
/// known: "gantry.yaml:12:7: gateway.providers[0].slog: unknown key", "…: must be a list", and what
/// Catalogue::build finds. Values that may be secrets are not repeated.
[[nodiscard]] Result<GatewaySettings> read_gateway_settings(const SettingNode& section);

/// Whether Gateway::serve takes over a change of the section's `key`; others need a new Gateway.
[[nodiscard]] bool is_reloadable_setting(std::string_view key);

}  // namespace gantry::gateway
