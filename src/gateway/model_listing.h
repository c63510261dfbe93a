#pragma once

// The catalogue as clients read it: OpenRouter's shape, with what OpenAI's SDKs want besides.
// Prices are decimal strings of USD per token; what is not known is null.

#include <string>

#include "gateway/catalogue.h"

namespace gantry::gateway {

/// GET /models: {"object":"list","data":[…],"total_count":…,"links":{}}, of the models that
/// `allowed` allows.
[[nodiscard]] std::string print_models(const Catalogue& catalogue, const AllowedModels& allowed);

/// GET /models/count: {"data":{"count":…}}
[[nodiscard]] std::string print_model_count(const Catalogue& catalogue,
                                            const AllowedModels& allowed);

/// GET /models/{author}/{slug}/endpoints: {"data":{…,"endpoints":[…]}}. Nothing of a provider's
/// address, headers or keys is in it.
[[nodiscard]] std::string print_endpoints(const Model& model);

}  // namespace gantry::gateway
