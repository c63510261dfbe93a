#pragma once

// One SQLite connection and its statement cache. Used by one thread at a time.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "state/db.h"

struct sqlite3;

namespace gantry::state {

enum class OpenMode : std::uint8_t { ReadWrite, ReadOnly };

class Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path, OpenMode mode,
                                                  std::int32_t busy_timeout_ms);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<Statement> prepare(std::string_view sql);
  Result<void> execute(std::string_view sql);

  /// Our error for a SQLite result code, with SQLite's message and what was being done.
  [[nodiscard]] Error error(int sqlite_code, std::string_view doing) const;

  /// A statement is no longer used: reset it for the next time.
  void give_back(sqlite3_stmt* handle, bool is_cached);

  [[nodiscard]] std::int64_t changed_rows() const;

 private:
  struct Cached {
    sqlite3_stmt* handle = nullptr;
    bool is_in_use = false;
  };

  explicit Connection(sqlite3* handle) : handle_(handle) {}

  sqlite3* handle_;
  std::map<std::string, Cached, std::less<>> cache_;
};

}  // namespace gantry::state
