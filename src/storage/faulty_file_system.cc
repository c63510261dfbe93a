#include "storage/faulty_file_system.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "fmt/core.h"

namespace gantry::storage {
namespace {

using Operation = FaultyFileSystem::Operation;
using Fault = FaultyFileSystem::Fault;
using Unsynced = FaultyFileSystem::Unsynced;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kOperationCount = 13;
constexpr std::size_t kPageBytes = 4096;
constexpr std::uint64_t kUnlimited = ~0ULL;

/// A file or a directory, as it is now and as it would be after a power cut.
struct Node {
  bool is_directory = false;
  Bytes bytes;
  Bytes durable_bytes;
  std::map<std::string, std::shared_ptr<Node>> children;
  std::map<std::string, std::shared_ptr<Node>> durable_children;
};

std::unexpected<Error> failure(Code code, std::string_view what, const Path& path,
                               std::string_view why) {
  return fail(code, fmt::format("cannot {} \"{}\": {}", what, path.native(), why));
}

std::unexpected<Error> injected(Fault fault, std::string_view what, const Path& path) {
  if (fault == Fault::DiskFull || fault == Fault::ShortWrite) {
    return failure(Code::ResourceExhausted, what, path, "No space left on device");
  }
  return failure(Code::Internal, what, path, "Input/output error");
}

Bytes surviving_bytes(const Node& node, Unsynced unsynced, std::mt19937_64& random) {
  if (unsynced == Unsynced::Lost || node.bytes == node.durable_bytes) return node.durable_bytes;
  Bytes survivor = node.durable_bytes;
  if (unsynced == Unsynced::RandomPrefix) {
    if (node.bytes.size() <= survivor.size()) return survivor;
    const std::size_t gained = random() % (node.bytes.size() - survivor.size() + 1);
    const auto from = node.bytes.begin() + static_cast<std::ptrdiff_t>(survivor.size());
    survivor.insert(survivor.end(), from, from + static_cast<std::ptrdiff_t>(gained));
    return survivor;
  }
  survivor.resize(std::max(survivor.size(), node.bytes.size()));
  for (std::size_t page = 0; page < node.bytes.size(); page += kPageBytes) {
    if (random() % 2 == 0) continue;
    const std::size_t count = std::min(kPageBytes, node.bytes.size() - page);
    std::copy_n(node.bytes.begin() + static_cast<std::ptrdiff_t>(page), count,
                survivor.begin() + static_cast<std::ptrdiff_t>(page));
  }
  return survivor;
}

void forget_unsynced(Node& node, Unsynced unsynced, std::mt19937_64& random) {
  if (node.is_directory) {
    node.children = node.durable_children;
    for (auto& [name, child] : node.children) forget_unsynced(*child, unsynced, random);
    return;
  }
  node.bytes = surviving_bytes(node, unsynced, random);
  node.durable_bytes = node.bytes;
}

std::uint64_t used_bytes(const Node& node) {
  std::uint64_t sum = node.bytes.size();
  for (const auto& [name, child] : node.children) sum += used_bytes(*child);
  return sum;
}

}  // namespace

struct FaultyFileSystem::State {
  core::Mutex mutex;
  std::shared_ptr<Node> root GANTRY_GUARDED_BY(mutex);
  std::vector<Injection> injections GANTRY_GUARDED_BY(mutex);
  std::array<std::uint64_t, kOperationCount> counts GANTRY_GUARDED_BY(mutex){};
  std::uint64_t capacity_bytes GANTRY_GUARDED_BY(mutex) = kUnlimited;
  std::set<std::string> locks GANTRY_GUARDED_BY(mutex);
  std::uint64_t lock_generation GANTRY_GUARDED_BY(mutex) = 0;

  State() : root(std::make_shared<Node>()) { root->is_directory = true; }

  /// Counts the operation and says which fault, if any, hits it.
  std::optional<Fault> strike(Operation operation) GANTRY_REQUIRES(mutex) {
    ++counts[static_cast<std::size_t>(operation)];
    ++counts[static_cast<std::size_t>(Operation::Any)];
    for (Injection& injection : injections) {
      const bool applies =
          injection.operation == operation || injection.operation == Operation::Any;
      if (!applies || injection.hit_count == 0) continue;
      if (injection.skip_count > 0) {
        --injection.skip_count;
        continue;
      }
      --injection.hit_count;
      return injection.fault;
    }
    return std::nullopt;
  }

  /// The node, or null.
  std::shared_ptr<Node> find(const Path& path) GANTRY_REQUIRES(mutex) {
    std::shared_ptr<Node> node = root;
    for (const Path& step : path.lexically_normal().relative_path()) {
      if (step.empty()) continue;
      const auto child = node->children.find(step.native());
      if (child == node->children.end()) return nullptr;
      node = child->second;
    }
    return node;
  }

  [[nodiscard]] std::uint64_t available() GANTRY_REQUIRES(mutex) {
    if (capacity_bytes == kUnlimited) return kUnlimited;
    const std::uint64_t used = used_bytes(*root);
    return used < capacity_bytes ? capacity_bytes - used : 0;
  }
};

namespace {

class FaultyFile final : public File {
 public:
  FaultyFile(std::shared_ptr<FaultyFileSystem::State> state, std::shared_ptr<Node> node, Path path,
             OpenMode mode)
      : state_(std::move(state)),
        node_(std::move(node)),
        path_(std::move(path)),
        is_writable_(mode != OpenMode::Read) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    const core::Lock lock(state_->mutex);
    const std::optional<Fault> fault = state_->strike(Operation::Read);
    if (fault && *fault != Fault::BitFlip) return injected(*fault, "read", path_);
    if (offset >= node_->bytes.size()) return 0;
    const std::size_t count = std::min<std::size_t>(into.size(), node_->bytes.size() - offset);
    std::copy_n(node_->bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
    if (fault && count > 0) into[count / 2] ^= std::byte{0x10};
    return count;
  }

  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const core::Lock lock(state_->mutex);
    GANTRY_ASSERT(is_writable_, "a file opened for reading is not written");
    const std::optional<Fault> fault = state_->strike(Operation::Write);
    if (fault && *fault != Fault::ShortWrite) return injected(*fault, "write to", path_);
    std::size_t count = fault ? bytes.size() / 2 : bytes.size();
    const std::uint64_t end = offset + count;
    bool is_full = fault.has_value();
    if (end > node_->bytes.size() && end - node_->bytes.size() > state_->available()) {
      is_full = true;
      const std::uint64_t end_max = node_->bytes.size() + state_->available();
      count = end_max > offset ? static_cast<std::size_t>(end_max - offset) : 0;
    }
    if (offset + count > node_->bytes.size()) node_->bytes.resize(offset + count);
    std::copy_n(bytes.begin(), count, node_->bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    if (is_full) return injected(Fault::DiskFull, "write to", path_);
    return {};
  }

  Result<void> sync_data() override {
    const core::Lock lock(state_->mutex);
    const std::optional<Fault> fault = state_->strike(Operation::Sync);
    if (fault == Fault::LostSync) return {};
    if (fault) return injected(*fault, "sync", path_);
    node_->durable_bytes = node_->bytes;
    return {};
  }

  Result<void> truncate(std::uint64_t size_bytes) override {
    const core::Lock lock(state_->mutex);
    if (const auto fault = state_->strike(Operation::Truncate)) {
      return injected(*fault, "truncate", path_);
    }
    node_->bytes.resize(size_bytes);
    return {};
  }

  Result<void> preallocate(std::uint64_t size_bytes) override {
    const core::Lock lock(state_->mutex);
    if (const auto fault = state_->strike(Operation::Preallocate)) {
      return injected(*fault, "reserve space for", path_);
    }
    if (size_bytes > node_->bytes.size() &&
        size_bytes - node_->bytes.size() > state_->available()) {
      return injected(Fault::DiskFull, "reserve space for", path_);
    }
    return {};
  }

  Result<std::uint64_t> size() const override {
    const core::Lock lock(state_->mutex);
    return node_->bytes.size();
  }

 private:
  const std::shared_ptr<FaultyFileSystem::State> state_;
  const std::shared_ptr<Node> node_;
  const Path path_;
  const bool is_writable_;
};

class FaultyFileLock final : public FileLock {
 public:
  FaultyFileLock(std::shared_ptr<FaultyFileSystem::State> state, std::string path,
                 std::uint64_t generation)
      : state_(std::move(state)), path_(std::move(path)), generation_(generation) {}

  ~FaultyFileLock() override {
    const core::Lock lock(state_->mutex);
    // A lock from before a power cut is not the one that somebody may hold now.
    if (generation_ == state_->lock_generation) state_->locks.erase(path_);
  }

 private:
  const std::shared_ptr<FaultyFileSystem::State> state_;
  const std::string path_;
  const std::uint64_t generation_;
};

}  // namespace

FaultyFileSystem::FaultyFileSystem() : state_(std::make_shared<State>()) {}

FaultyFileSystem::~FaultyFileSystem() = default;

void FaultyFileSystem::inject(Injection injection) {
  const core::Lock lock(state_->mutex);
  state_->injections.push_back(injection);
}

void FaultyFileSystem::clear_injections() {
  const core::Lock lock(state_->mutex);
  state_->injections.clear();
}

std::uint64_t FaultyFileSystem::operation_count(Operation operation) const {
  const core::Lock lock(state_->mutex);
  return state_->counts[static_cast<std::size_t>(operation)];
}

void FaultyFileSystem::cut_power(Unsynced unsynced, std::uint64_t seed) {
  const core::Lock lock(state_->mutex);
  std::mt19937_64 random(seed);
  forget_unsynced(*state_->root, unsynced, random);
  state_->locks.clear();
  ++state_->lock_generation;
}

void FaultyFileSystem::set_capacity(std::uint64_t bytes) {
  const core::Lock lock(state_->mutex);
  state_->capacity_bytes = bytes;
}

Result<void> FaultyFileSystem::corrupt(const Path& path, std::uint64_t offset, std::uint8_t bit) {
  const core::Lock lock(state_->mutex);
  const std::shared_ptr<Node> node = state_->find(path);
  if (!node || offset >= node->bytes.size()) {
    return failure(Code::NotFound, "corrupt", path, "no such byte");
  }
  const std::byte mask{static_cast<std::uint8_t>(1U << (bit % 8))};
  node->bytes[offset] ^= mask;
  if (offset < node->durable_bytes.size()) node->durable_bytes[offset] ^= mask;
  return {};
}

Result<std::unique_ptr<File>> FaultyFileSystem::open(const Path& path, OpenMode mode) {
  const core::Lock lock(state_->mutex);
  if (const auto fault = state_->strike(Operation::Open)) return injected(*fault, "open", path);
  std::shared_ptr<Node> node = state_->find(path);
  if (mode == OpenMode::Create) {
    if (node) return failure(Code::AlreadyExists, "open", path, "File exists");
    const std::shared_ptr<Node> parent = state_->find(path.parent_path());
    if (!parent) return failure(Code::NotFound, "open", path, "No such file or directory");
    node = std::make_shared<Node>();
    parent->children.emplace(path.filename().native(), node);
  }
  if (!node) return failure(Code::NotFound, "open", path, "No such file or directory");
  if (node->is_directory) return failure(Code::Internal, "open", path, "Is a directory");
  return std::make_unique<FaultyFile>(state_, std::move(node), path, mode);
}

Result<void> FaultyFileSystem::rename(const Path& from, const Path& to) {
  const core::Lock lock(state_->mutex);
  if (const auto fault = state_->strike(Operation::Rename)) return injected(*fault, "rename", from);
  const std::shared_ptr<Node> node = state_->find(from);
  const std::shared_ptr<Node> parent = state_->find(to.parent_path());
  if (!node || !parent) {
    return failure(Code::NotFound, "rename", from, "No such file or directory");
  }
  const std::shared_ptr<Node> target = state_->find(to);
  if (target && target->is_directory && !target->children.empty()) {
    return failure(Code::Internal, "rename", from, "Directory not empty");
  }
  state_->find(from.parent_path())->children.erase(from.filename().native());
  parent->children[to.filename().native()] = node;
  return {};
}

Result<void> FaultyFileSystem::remove(const Path& path) {
  const core::Lock lock(state_->mutex);
  if (const auto fault = state_->strike(Operation::Remove)) return injected(*fault, "remove", path);
  const std::shared_ptr<Node> node = state_->find(path);
  if (!node) return failure(Code::NotFound, "remove", path, "No such file or directory");
  if (!node->children.empty()) {
    return failure(Code::Internal, "remove", path, "Directory not empty");
  }
  state_->find(path.parent_path())->children.erase(path.filename().native());
  return {};
}

Result<void> FaultyFileSystem::remove_all(const Path& path) {
  const core::Lock lock(state_->mutex);
  if (const auto fault = state_->strike(Operation::Remove)) return injected(*fault, "remove", path);
  const std::shared_ptr<Node> parent = state_->find(path.parent_path());
  if (parent) parent->children.erase(path.filename().native());
  return {};
}

Result<void> FaultyFileSystem::create_directories(const Path& path) {
  const core::Lock lock(state_->mutex);
  if (const auto fault = state_->strike(Operation::CreateDirectory)) {
    return injected(*fault, "create directory", path);
  }
  std::shared_ptr<Node> node = state_->root;
  for (const Path& step : path.lexically_normal().relative_path()) {
    if (step.empty()) continue;
    std::shared_ptr<Node>& child = node->children[step.native()];
    if (!child) {
      child = std::make_shared<Node>();
      child->is_directory = true;
    }
    if (!child->is_directory) {
      return failure(Code::Internal, "create directory", path, "Not a directory");
    }
    node = child;
  }
  return {};
}

Result<std::vector<DirectoryEntry>> FaultyFileSystem::list(const Path& directory) {
  const core::Lock lock(state_->mutex);
  if (const auto fault = state_->strike(Operation::List))
    return injected(*fault, "list", directory);
  const std::shared_ptr<Node> node = state_->find(directory);
  if (!node) return failure(Code::NotFound, "list", directory, "No such file or directory");
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, child] : node->children) {
    entries.push_back(
        {.name = name, .is_directory = child->is_directory, .size_bytes = child->bytes.size()});
  }
  return entries;
}

Result<bool> FaultyFileSystem::exists(const Path& path) {
  const core::Lock lock(state_->mutex);
  return state_->find(path) != nullptr;
}

Result<void> FaultyFileSystem::sync_directory(const Path& directory) {
  const core::Lock lock(state_->mutex);
  const std::optional<Fault> fault = state_->strike(Operation::SyncDirectory);
  if (fault == Fault::LostSync) return {};
  if (fault) return injected(*fault, "sync directory", directory);
  const std::shared_ptr<Node> node = state_->find(directory);
  if (!node)
    return failure(Code::NotFound, "sync directory", directory, "No such file or directory");
  node->durable_children = node->children;
  return {};
}

Result<std::uint64_t> FaultyFileSystem::available_bytes(const Path& path) {
  const core::Lock lock(state_->mutex);
  if (const auto fault = state_->strike(Operation::AvailableBytes)) {
    return injected(*fault, "ask for space of", path);
  }
  return state_->available();
}

Result<std::unique_ptr<FileLock>> FaultyFileSystem::lock(const Path& path) {
  const core::Lock lock(state_->mutex);
  if (!state_->locks.insert(path.native()).second) {
    return fail(Code::FailedPrecondition,
                fmt::format("\"{}\" is held by another process", path.native()));
  }
  return std::make_unique<FaultyFileLock>(state_, path.native(), state_->lock_generation);
}

}  // namespace gantry::storage
