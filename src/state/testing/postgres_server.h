#pragma once

// A private PostgreSQL server for tests: a cluster in a temporary directory, reached by a unix
// socket in it and by nothing else, without syncs to disk.
//
//   PostgresServer* const server = PostgresServer::shared();
//   if (server == nullptr) GTEST_SKIP() << PostgresServer::why_not();
//   const std::string url = server->make_database();

#include <filesystem>
#include <memory>
#include <string>

#include <sys/types.h>

namespace gantry::state {

class PostgresServer {
 public:
  /// Of this program: started by the first call, stopped at exit, and by the kernel when the
  /// program dies. Null when the machine has no PostgreSQL or it does not start; a failed test
  /// rather than a null when GANTRY_REQUIRE_POSTGRES is set.
  static PostgresServer* shared();

  [[nodiscard]] static const std::string& why_not();

  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// The URL of a new, empty database.
  std::string make_database();

  /// Runs SQL on a connection of its own; returns the first value of the result ("" without one).
  std::string run(const std::string& url, const std::string& sql);

  /// Every connection is cut at once, as in a crash.
  void stop();
  void start();

 private:
  explicit PostgresServer(std::filesystem::path programs);
  static std::unique_ptr<PostgresServer> make(std::string& problem);
  bool make_cluster(std::string& problem);
  bool start(std::string& problem);
  pid_t spawn(const std::string& program, const std::string& arguments) const;

  std::filesystem::path programs_;
  std::filesystem::path directory_;
  pid_t pid_ = -1;
  int database_count_ = 0;
};

}  // namespace gantry::state
