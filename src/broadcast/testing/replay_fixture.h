#pragma once

// A control plane with destinations, and their replays, for tests.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "access/secrets/keyring_canary.h"
#include "access/stacks.h"
#include "access/testing/control_fixture.h"
#include "broadcast/destination_rows.h"
#include "broadcast/replay_rows.h"

namespace gantry::broadcast::testing {

class ReplayFixture : public access::ControlFixture {
 protected:
  /// The id of a new destination of the stack, without secrets.
  std::string add_destination(std::string_view name = "copy", bool is_enabled = true) {
    Destination draft{.stack = stack_.value(), .type = DestinationType::Webhook};
    draft.name = name;
    draft.is_enabled = is_enabled;
    draft.config = default_config(draft.type);
    draft.config.url = "https://hub.example.com/traces";
    const auto made = change(admin(), [&](access::ControlChange& change) {
      return create_destination(org_, change, secrets_, draft, Verified::Yes);
    });
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return made ? made->destination.id : "";
  }

  /// One that takes metrics, or both, without secrets.
  std::string add_metric_destination(std::string_view name, SignalSet signals) {
    Destination draft{.stack = stack_.value(), .type = DestinationType::OtelCollector};
    draft.name = name;
    draft.config = default_config(draft.type);
    draft.config.url = "https://hub.example.com/v1/traces";
    draft.config.signals = signals;
    const auto made = change(admin(), [&](access::ControlChange& change) {
      return create_destination(org_, change, secrets_, draft, Verified::Yes);
    });
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return made ? made->destination.id : "";
  }

  void remove_destination(const std::string& id) {
    EXPECT_TRUE(change(admin(), [&](access::ControlChange& change) {
      return delete_destination(org_, change, id);
    }));
  }

  template <class Edit>
  void edit_destination(const std::string& id, Edit edit) {
    const auto before =
        read([&](state::Transaction& tx) { return read_destination(org_, tx, id); });
    ASSERT_TRUE(before) << before.error().message;
    Destination after = before->destination;
    edit(after);
    const auto edited = change(admin(), [&](access::ControlChange& change) {
      return update_destination(
          org_, change, secrets_,
          {.after = after, .config = ConfigChange::Replaced, .version = before->version});
    });
    EXPECT_TRUE(edited) << (edited ? "" : edited.error().message);
  }

  void remove_stack() {
    EXPECT_TRUE(change(admin(), [&](access::ControlChange& change) -> access::ControlResult<void> {
      GANTRY_CHECK(delete_destinations(org_, change, stack_));
      GANTRY_CHECK(access::delete_stack(org_, change, std::to_string(stack_.value())));
      return {};
    }));
  }

  /// "cancelled: why"; "" when the replay is not the last one of its destination.
  std::string outcome(const Replay& replay) {
    const auto found =
        read([&](state::Transaction& tx) { return find_replay_outcome(tx, replay); });
    EXPECT_TRUE(found) << (found ? "" : found.error().message);
    if (!found || !*found) return "";
    return std::string(replay_state_name((*found)->state)) + ": " + (*found)->problem;
  }

  /// Traces that begin in the first `end_ms` milliseconds after 1970.
  access::ControlResult<Replay> start(const std::string& id, std::int64_t end_ms = 1000,
                                      std::string_view replica = "") {
    return change(admin(), [&](access::ControlChange& change) {
      return start_replay(org_, change, replica,
                          {.destination = id, .range = {.start = {0}, .end = {end_ms}}});
    });
  }

  access::ControlResult<Replay> cancel(const std::string& id, std::string_view replica = "") {
    return change(admin(), [&](access::ControlChange& change) {
      return cancel_replay(org_, change, replica, id);
    });
  }

  std::optional<Replay> find(const std::string& id, std::string_view replica = "") {
    auto found = read([&](state::Transaction& tx) { return find_replay(org_, tx, replica, id); });
    EXPECT_TRUE(found) << (found ? "" : found.error().message);
    return found ? *std::move(found) : std::nullopt;
  }

  access::KeyringSource source_{
      .kind = access::KeyringSource::Kind::File, .path = path_ / access::kKeyringFile, .text = {}};
  access::LiveKeyring keyring_{source_, std::nullopt};
  access::Sealer sealer_{{.keyring = keyring_, .audit = audit_, .clock = clock_},
                         access::Sealer::Options{}};
  access::StoredSecrets secrets_{sealer_};
};

}  // namespace gantry::broadcast::testing
