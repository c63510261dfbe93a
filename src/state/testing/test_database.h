#pragma once

// A fresh database of either kind, for the length of a test.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/error.h"
#include "state/db.h"

namespace gantry::state {

enum class BackendKind : std::uint8_t { Sqlite, Postgres };

class TestDatabase {
 public:
  explicit TestDatabase(BackendKind kind);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  /// What GANTRY_TEST_STATE says (sqlite or postgres), else SQLite: the same tests run on each.
  [[nodiscard]] static BackendKind kind_from_environment();

  /// No PostgreSQL here: skip the test.
  [[nodiscard]] bool is_missing() const { return is_missing_; }

  /// Opens it, also several times at once.
  [[nodiscard]] Result<std::unique_ptr<Db>> open(std::span<const Migration> migrations,
                                                 Db::Options options = {}) const;

  /// As the setting `state.url`: "" for SQLite.
  [[nodiscard]] const std::string& url() const { return url_; }

  /// A temporary directory; SQLite's file is in it.
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

 private:
  std::filesystem::path directory_;
  std::string url_;
  bool is_missing_ = false;
};

}  // namespace gantry::state
