#include "api/wanted_organisation.h"

#include <charconv>
#include <cstdint>
#include <string_view>

namespace gantry::api {

access::ControlResult<std::optional<access::OrgId>> wanted_organisation(
    const net::Parameters& query) {
  const auto text = query.find("orgId");
  if (!text || text->empty()) return std::nullopt;
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), id);
  if (error != std::errc() || end != text->data() + text->size() || id < 0)
    return access::refuse_field("orgId", "must be the id of an organisation");
  return access::OrgId(id);
}

}  // namespace gantry::api
