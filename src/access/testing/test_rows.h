#pragma once

// Rows as tests want them: with secrets of their choice, and without what the acts of the control
// plane add, which are checks, ceilings and audit events.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "access/control_rows_internal.h"
#include "access/token_rows_internal.h"
#include "state/auth_epoch.h"
#include "state/db.h"

namespace gantry::access {

/// Every call commits; one that fails fails the test. What it is made of must outlive it.
class TestRows {
 public:
  TestRows(state::Db& db, const TokenHasher& hasher, const Clock& clock)
      : db_(db), hasher_(hasher), clock_(clock) {}

  OrgId add_organisation(std::string_view slug) {
    Organisation organisation{.id = {},
                              .slug = std::string(slug),
                              .name = std::string(slug),
                              .created_at = clock_.now(),
                              .updated_at = clock_.now()};
    write([&](state::Transaction& tx) { return insert_organisation(tx, organisation); });
    return organisation.id;
  }

  StackId add_stack(OrgId org, std::string_view slug) {
    Stack stack{.id = {},
                .org = org,
                .slug = std::string(slug),
                .name = std::string(slug),
                .zone = "local",
                .description = {},
                .labels = {},
                .settings = {},
                .created_at = clock_.now(),
                .updated_at = clock_.now()};
    write([&](state::Transaction& tx) { return insert_stack(tx, stack); });
    return stack.id;
  }

  struct NewPolicy {
    OrgId org;
    std::string_view name;
    std::vector<Scope> scopes;
    std::vector<Realm> realms;
    std::string_view attributes = "{}";
  };

  /// Returns the id.
  std::string add_policy(const NewPolicy& draft) {
    Policy policy{.id = make_uuid(),
                  .org = draft.org,
                  .name = std::string(draft.name),
                  .display_name = std::string(draft.name),
                  .scopes = {},
                  .realms = draft.realms,
                  .allowed_subnets = {},
                  .attributes = std::string(draft.attributes),
                  .created_at = clock_.now(),
                  .updated_at = clock_.now()};
    for (const Scope scope : draft.scopes) policy.scopes.emplace_back(scope_name(scope));
    write([&](state::Transaction& tx) { return insert_policy(tx, policy); });
    return policy.id;
  }

  struct NewToken {
    OrgId org;
    std::string_view policy_id;
    std::string_view name;
    std::string_view secret;
    std::optional<TimestampMs> expires_at = {};
  };

  /// Returns the id.
  std::string add_token(const NewToken& draft) {
    const Token token{.id = make_uuid(),
                      .policy_id = std::string(draft.policy_id),
                      .org = draft.org,
                      .name = std::string(draft.name),
                      .display_name = std::string(draft.name),
                      .hint = token_display_hint(draft.secret),
                      .created_at = clock_.now(),
                      .created_by = {},
                      .updated_at = clock_.now(),
                      .expires_at = draft.expires_at};
    write([&](state::Transaction& tx) { return insert_token(tx, token, draft.secret, hasher_); });
    return token.id;
  }

  /// As another process does: caches hear of it by the epoch only.
  void revoke_token(std::string_view id) {
    update_one("UPDATE tokens SET revoked_at_ms = ? WHERE id = ?", clock_.now().since_epoch, id);
  }

  /// The same.
  void set_policy_status(std::string_view id, std::string_view status) {
    update_one("UPDATE access_policies SET status = ? WHERE id = ?", status, id);
  }

 private:
  template <class Body>
  void write(Body body) {
    auto tx = db_.begin_write();
    ASSERT_TRUE(tx) << tx.error().message;
    const Result<void> done = body(*tx);
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_TRUE(tx->commit());
  }

  template <class Value>
  void update_one(std::string_view sql, const Value& value, std::string_view id) {
    write([&](state::Transaction& tx) -> Result<void> {
      {
        GANTRY_TRY(state::Statement update, tx.prepare(sql));
        update.bind(value).bind(id);
        GANTRY_CHECK(update.run());
      }
      EXPECT_EQ(tx.changed_rows(), 1);
      return state::bump_auth_epoch(tx, clock_.now());
    });
  }

  state::Db& db_;
  const TokenHasher& hasher_;
  const Clock& clock_;
};

}  // namespace gantry::access
