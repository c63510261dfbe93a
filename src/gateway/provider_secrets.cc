#include "gateway/provider_secrets.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "gateway/served_catalogue.h"

namespace gantry::gateway {
namespace {

using access::OrgId;
using access::SealPlace;

constexpr std::string_view kSealed = "sealed:";
constexpr std::string_view kTable = "gateway";
constexpr std::string_view kRow = "providers";
constexpr std::size_t kNameBytesMax = 64;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

std::unexpected<Error> no_such(std::string_view name) {
  return fail(Code::NotFound,
              fmt::format("{}{}: not set: gantry gateway-secrets set {}", kSealed, name, name));
}

/// What goes into a header field.
Result<void> check(std::string_view name, std::string_view text) {
  if (!is_name(name)) {
    return fail(Code::InvalidArgument,
                fmt::format("a secret's name is 1 to {} of letters, digits, '.', '_' and '-'",
                            kNameBytesMax));
  }
  std::vector<access::FieldProblem> problems;
  access::check_secret_text(problems, name, text, {});
  if (!problems.empty()) {
    return fail(Code::InvalidArgument, fmt::format("the secret {}", problems.front().reason));
  }
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; })) {
    return fail(Code::InvalidArgument, "the secret is not one line of visible ASCII characters");
  }
  return {};
}

Result<std::optional<OrgId>> find_keeper(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT id FROM organisations WHERE deleted_at_ms IS NULL ORDER BY id "
                        "LIMIT 1"));
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  return OrgId(select.integer(0));
}

SealPlace place_of(OrgId org, std::string_view name) {
  return {.org = org, .table = kTable, .column = name, .row = kRow};
}

/// Of the installation, not of an organisation.
access::AuditEvent event_of(std::string event, access::AuditChange change) {
  return {.event = std::move(event),
          .actor = {.type = access::Actor::Type::System, .name = "gantry"},
          .target = {.type = "gateway_secret", .name = change.field},
          .changes = {std::move(change)}};
}

}  // namespace

Result<void> ProviderSecrets::set(std::string_view name, const access::Secret& clear) const {
  GANTRY_CHECK(check(name, clear.view()));
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(const std::optional<OrgId> org, find_keeper(tx));
  if (!org) return fail(Code::NotFound, "there is no organisation yet: the first start makes it");
  const access::StoredSecrets secrets(parts_.sealer);
  GANTRY_TRY(access::AuditChange change,
             secrets.set(tx, place_of(*org, name), clear, parts_.clock.now()));
  GANTRY_CHECK(parts_.audit.append(tx, event_of("gateway_secret.set", std::move(change))));
  return tx.commit();
}

Result<void> ProviderSecrets::erase(std::string_view name) const {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_write());
  GANTRY_TRY(const std::optional<OrgId> org, find_keeper(tx));
  if (!org || !is_name(name)) return no_such(name);
  GANTRY_TRY(std::optional<access::AuditChange> change,
             access::erase_secret(tx, place_of(*org, name)));
  if (!change) return no_such(name);
  GANTRY_CHECK(parts_.audit.append(tx, event_of("gateway_secret.deleted", *std::move(change))));
  return tx.commit();
}

Result<std::vector<access::SecretSummary>> ProviderSecrets::list() const {
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
  GANTRY_TRY(const std::optional<OrgId> org, find_keeper(tx));
  if (!org) return std::vector<access::SecretSummary>();
  return access::list_secrets(*org, tx, kTable, kRow);
}

Result<std::string> ProviderSecrets::read_reference(std::string_view reference) const {
  if (!reference.starts_with(kSealed)) return read_secret(reference);
  const std::string_view name = reference.substr(kSealed.size());
  if (!is_name(name)) {
    return fail(Code::InvalidArgument,
                "sealed: is followed by a secret's name: letters, digits, "
                "'.', '_' and '-'");
  }
  GANTRY_TRY(state::Transaction tx, parts_.db.begin_read());
  GANTRY_TRY(const std::optional<OrgId> org, find_keeper(tx));
  if (!org) return no_such(name);
  const access::StoredSecrets secrets(parts_.sealer);
  auto clear = secrets.open(tx, place_of(*org, name));
  if (!clear)
    return fail(clear.error().code, fmt::format("{}: {}", reference, clear.error().message));
  if (!*clear) return no_such(name);
  return std::string((*clear)->view());
}

}  // namespace gantry::gateway
