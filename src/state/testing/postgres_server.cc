#include "state/testing/postgres_server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gantry::state {
namespace {

constexpr auto kStartTimeout = std::chrono::seconds(60);

/// The directory of initdb and postgres: Debian's, one of PATH, or an unpacked package.
std::filesystem::path find_programs() {
  std::vector<std::filesystem::path> candidates;
  const auto add_versions = [&](const std::filesystem::path& versions) {
    std::error_code ignored;  // no such directory: nothing to add
    for (const auto& version : std::filesystem::directory_iterator(versions, ignored))
      candidates.push_back(version.path() / "bin");
  };
  add_versions("/usr/lib/postgresql");
  if (const char* const path = std::getenv("PATH")) {
    std::istringstream directories{std::string(path)};
    for (std::string directory; std::getline(directories, directory, ':');)
      candidates.emplace_back(directory);
  }
  if (const char* const peers = std::getenv("GANTRY_PEERS"))
    add_versions(std::filesystem::path(peers) / "postgresql-15/usr/lib/postgresql");
  const auto found = std::ranges::find_if(candidates, [](const std::filesystem::path& directory) {
    return ::access((directory / "initdb").c_str(), X_OK) == 0 &&
           ::access((directory / "postgres").c_str(), X_OK) == 0;
  });
  return found == candidates.end() ? std::filesystem::path() : *found;
}

/// PostgreSQL refuses to run as root: then it runs as this user. Null: as who we are.
const passwd* server_user() {
  if (::geteuid() != 0) return nullptr;
  const passwd* const postgres = ::getpwnam("postgres");
  return postgres != nullptr ? postgres : ::getpwnam("nobody");
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Why there is no server.
std::string& problem() {
  static std::string text;
  return text;
}

/// In the child: no memory is allocated between fork and exec.
[[noreturn]] void become(const passwd* user, const char* directory, const char* log,
                         char* const* arguments) {
  if (user != nullptr &&
      (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
    ::_exit(126);
  // After setuid, which forgets it: an immediate shutdown when this program dies.
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
  const int out = ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  if (::chdir(directory) == 0) ::execv(arguments[0], arguments);
  ::_exit(127);
}

}  // namespace

PostgresServer* PostgresServer::shared() {
  static const std::unique_ptr<PostgresServer> server = make(problem());
  if (server == nullptr && std::getenv("GANTRY_REQUIRE_POSTGRES") != nullptr)
    ADD_FAILURE() << problem();
  return server.get();
}

const std::string& PostgresServer::why_not() {
  return problem();
}

std::unique_ptr<PostgresServer> PostgresServer::make(std::string& problem) {
  const std::filesystem::path programs = find_programs();
  if (programs.empty()) {
    problem =
        "no PostgreSQL server: neither /usr/lib/postgresql/*/bin nor PATH has initdb and postgres "
        "(Debian: postgresql-15)";
    return nullptr;
  }
  std::unique_ptr<PostgresServer> server(new PostgresServer(programs));
  if (!server->make_cluster(problem) || !server->start(problem)) return nullptr;
  return server;
}

PostgresServer::PostgresServer(std::filesystem::path programs) : programs_(std::move(programs)) {
  // Not below TMPDIR: the path of a unix socket has 107 characters at most.
  std::string pattern = "/tmp/gantry-postgres-XXXXXX";
  directory_ = ::mkdtemp(pattern.data());
  if (const passwd* const user = server_user())
    EXPECT_EQ(::chown(directory_.c_str(), user->pw_uid, user->pw_gid), 0);
}

PostgresServer::~PostgresServer() {
  stop();
  std::filesystem::remove_all(directory_);
}

pid_t PostgresServer::spawn(const std::string& program, const std::string& arguments) const {
  std::vector<std::string> words = {(programs_ / program).string()};
  std::istringstream stream(arguments);
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const std::string log = directory_ / "log";
  const passwd* const user = server_user();
  const pid_t pid = ::fork();
  if (pid == 0) become(user, directory_.c_str(), log.c_str(), pointers.data());
  return pid;
}

bool PostgresServer::make_cluster(std::string& problem) {
  // A locale that sorts "a" before "B": what depends on the server's sorting shows.
  const pid_t pid = spawn("initdb",
                          "-D data -U gantry -A trust -E UTF8 --no-sync --no-instructions "
                          "--locale=C --locale-provider=icu --icu-locale=en-US");
  int status = 0;
  if (pid > 0 && ::waitpid(pid, &status, 0) == pid && status == 0) return true;
  problem = "initdb failed: " + read_file(directory_ / "log");
  return false;
}

bool PostgresServer::start(std::string& problem) {
  pid_ = spawn("postgres", fmt::format("-D data -c listen_addresses= -k {} -c fsync=off "
                                       "-c full_page_writes=off -c shared_buffers=16MB "
                                       "-c max_connections=60 -c autovacuum=off -c jit=off",
                                       directory_.string()));
  const std::string url = fmt::format("host={} user=gantry dbname=postgres", directory_.string());
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  while (std::chrono::steady_clock::now() < deadline) {
    if (PQping(url.c_str()) == PQPING_OK) return true;
    int status = 0;
    if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) == pid_) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  problem = "postgres did not start: " + read_file(directory_ / "log");
  stop();
  return false;
}

void PostgresServer::start() {
  std::string problem;
  ASSERT_TRUE(start(problem)) << problem;
}

void PostgresServer::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGQUIT);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string PostgresServer::make_database() {
  const std::string name = fmt::format("test_{}", ++database_count_);
  const auto url_of = [&](std::string_view database) {
    return fmt::format("postgres:///{}?host={}&user=gantry&password=never-shown", database,
                       directory_.string());
  };
  run(url_of("postgres"), "CREATE DATABASE " + name);
  return url_of(name);
}

std::string PostgresServer::run(const std::string& url, const std::string& sql) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(url.c_str()), PQfinish);
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection.get(), sql.c_str()),
                                                              PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
      << PQerrorMessage(connection.get());
  if (status != PGRES_TUPLES_OK || PQntuples(result.get()) == 0) return {};
  return PQgetvalue(result.get(), 0, 0);
}

}  // namespace gantry::state
