#include "broadcast/destination_source.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "access/secrets/keyring_canary.h"
#include "access/testing/control_fixture.h"
#include "broadcast/destination_config.h"

namespace gantry::broadcast {
namespace {

using access::ControlChange;
using access::Keyring;
using access::KeyringSource;

constexpr std::string_view kSecret = "glc_0123456789AbCd";

class DestinationSourceTest : public access::ControlFixture {
 protected:
  void SetUp() override {
    ControlFixture::SetUp();
    if (IsSkipped()) return;
    const auto made = access::create_keyring(keyring_source_, Keyring::make("k1"));
    ASSERT_TRUE(made) << made.error().message;
    source_ = make_stored_destinations(*db_, secrets_);
  }

  StoredDestination made(access::OrgId org, StackId stack) {
    Destination draft;
    draft.stack = stack.value();
    draft.name = "copy";
    draft.config = default_config(draft.type);
    draft.config.instance_id = "1";
    draft.config.secret = kSecret;
    const auto stored = change(access::system_control_principal(org), [&](ControlChange& change) {
      return create_destination(org, change, secrets_, draft, Verified::Yes);
    });
    EXPECT_TRUE(stored) << (stored ? "" : stored.error().message);
    return stored.value_or(StoredDestination());
  }

  KeyringSource keyring_source_{
      .kind = KeyringSource::Kind::File, .path = path_ / access::kKeyringFile, .text = {}};
  access::LiveKeyring keyring_{keyring_source_, std::nullopt};
  access::Sealer sealer_{{.keyring = keyring_, .audit = audit_, .clock = clock_},
                         access::Sealer::Options{}};
  access::StoredSecrets secrets_{sealer_};
  std::unique_ptr<DestinationSource> source_;
};

TEST_F(DestinationSourceTest, ListsThoseOfAllStacksWithoutSecrets) {
  const StoredDestination own = made(org_, stack_);
  const StoredDestination foreign = made(other_org_, foreign_stack_);
  const auto all = source_->list();
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 2U);
  for (const KnownDestination& known : *all) {
    EXPECT_EQ(known.stored.destination.config.secret, "");
    const bool is_own = known.stored.destination.id == own.destination.id;
    EXPECT_EQ(known.org, is_own ? org_ : other_org_);
    const auto opened = source_->open(known);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->config.secret, kSecret);
    EXPECT_EQ(opened->id, is_own ? own.destination.id : foreign.destination.id);
  }
}

TEST_F(DestinationSourceTest, OpensNoOtherVersionThanWasListed) {
  made(org_, stack_);
  auto all = source_->list();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1U);
  KnownDestination known = all->front();
  Destination after = known.stored.destination;
  after.name = "renamed";
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return update_destination(org_, change, secrets_,
                              {.after = after, .version = known.stored.version});
  }));
  const auto changed = source_->open(known);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::NotFound);
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return delete_destination(org_, change, known.stored.destination.id);
  }));
  const auto deleted = source_->open(known);
  ASSERT_FALSE(deleted);
  EXPECT_EQ(deleted.error().code, Code::NotFound);
  EXPECT_TRUE(source_->list()->empty());
}

}  // namespace
}  // namespace gantry::broadcast
