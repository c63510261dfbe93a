#pragma once

// A keyring file beside a directory's database, with what seals by it.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/secrets/keyring_canary.h"
#include "access/secrets/stored_secrets.h"
#include "access/testing/directory_fixture.h"
#include "core/metrics.h"

namespace gantry::access {

class SecretsFixture : public DirectoryFixture {
 protected:
  void SetUp() override {
    DirectoryFixture::SetUp();
    if (IsSkipped()) return;
    org_ = add_organisation("acme");
    open_audit();
    write_keyring(Keyring::make("k1"));
  }

  /// Over the database as it is open now.
  void open_audit() {
    audit_.emplace(*db_, clock_, registry_, AuditLog::Options{});
    live_.emplace(source(), std::nullopt);
    sealer_.emplace(parts(), Sealer::Options{});
    secrets_.emplace(*sealer_);
  }

  [[nodiscard]] KeyringSource source() const {
    return {.kind = KeyringSource::Kind::File, .path = path_ / kKeyringFile, .text = {}};
  }

  [[nodiscard]] DataKeys::Parts parts() {
    return {.keyring = *live_, .audit = *audit_, .clock = clock_};
  }

  void write_keyring(const Keyring& keyring) {
    std::filesystem::remove(source().path);
    const auto made = create_keyring(source(), keyring);
    ASSERT_TRUE(made) << made.error().message;
  }

  /// As an operator takes one out of the file; it must not be the last one there.
  static Keyring without_key(const Keyring& keyring, const std::string& id) {
    std::string text(keyring.format().view());
    const std::size_t begin = text.find("\"" + id + "\":\"");
    text.erase(begin, text.find(',', begin) + 1 - begin);
    auto rest = Keyring::parse(text);
    EXPECT_TRUE(rest) << rest.error().message;
    return *std::move(rest);
  }

  [[nodiscard]] static SealPlace place(OrgId org, std::string_view row,
                                       std::string_view column = "apiKey") {
    return {.org = org, .table = "destinations", .column = column, .row = row};
  }

  void set(const SealPlace& where, std::string_view text) {
    auto tx = directory_->begin_write();
    ASSERT_TRUE(tx);
    const auto changed = secrets_->set(*tx, where, Secret::copy_of(text), clock_.now());
    ASSERT_TRUE(changed) << changed.error().message;
    ASSERT_TRUE(tx->commit());
  }

  /// "-": none is set; "error: …".
  std::string read(const SealPlace& where) {
    auto tx = directory_->begin_read();
    if (!tx) return "error: " + tx.error().message;
    const auto clear = secrets_->open(*tx, where);
    if (!clear) return "error: " + clear.error().message;
    return *clear ? std::string((*clear)->view()) : "-";
  }

  /// The first column of the first row; "" for none.
  std::string query(std::string_view sql) {
    auto tx = directory_->begin_read();
    auto select = tx->prepare(sql);
    EXPECT_TRUE(select) << select.error().message;
    const auto has_row = select->step();
    EXPECT_TRUE(has_row) << has_row.error().message;
    return *has_row ? std::string(select->text(0)) : "";
  }

  std::int64_t count(std::string_view table) {
    auto tx = directory_->begin_read();
    auto select = tx->prepare("SELECT count(*) FROM " + std::string(table));
    EXPECT_TRUE(select && *select->step());
    return select->integer(0);
  }

  void execute(std::string_view sql) {
    auto tx = directory_->begin_write();
    const auto done = tx->execute(sql);
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_TRUE(tx->commit());
  }

  core::MetricRegistry registry_;
  OrgId org_;
  std::optional<AuditLog> audit_;
  std::optional<LiveKeyring> live_;
  std::optional<Sealer> sealer_;
  std::optional<StoredSecrets> secrets_;
};

}  // namespace gantry::access
