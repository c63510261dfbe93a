#include "broadcast/dead_letters.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <ranges>
#include <utility>

#include "fmt/core.h"

#include "broadcast/dead_letter_file_internal.h"
#include "broadcast/queue_format_internal.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mutex.h"
#include "storage/directory.h"

namespace gantry::broadcast {
namespace {

using storage::Path;

constexpr std::string_view kSuffix = ".letters";
constexpr std::size_t kNameDigits = 12;
constexpr std::uint64_t kPlaceBits = 16;  // of a letter's id; the rest is its file's number
constexpr std::uint64_t kFileBytesMax = 8 << 20;

std::string file_name(std::uint64_t number) {
  return fmt::format("{:0{}}{}", number, kNameDigits, kSuffix);
}

std::optional<std::uint64_t> parse_file_name(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = name.data() + kNameDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

struct LetterFile {
  std::uint64_t letters = 0;
  std::uint64_t bytes = 0;
  std::int64_t refused_ms = 0;
  bool is_taken = false;  ///< By a replay: nobody else may.
};

/// Of one destination. Its mutex is held while files are read and written: the one thread that
/// sends to the destination and the people who look at its letters wait for each other.
struct Box {
  explicit Box(Path path) : directory(std::move(path)) {}

  const Path directory;
  core::Mutex mutex;
  std::map<std::uint64_t, LetterFile> files GANTRY_GUARDED_BY(mutex);
  std::uint64_t next_number GANTRY_GUARDED_BY(mutex) = 1;
  DeadLetterCount count GANTRY_GUARDED_BY(mutex);

  void insert(std::uint64_t number, const LetterFile& file) GANTRY_REQUIRES(mutex) {
    files[number] = file;
    next_number = std::max(next_number, number + 1);
    count.letters += file.letters;
    count.bytes += file.bytes;
  }
};

using BoxPtr = std::shared_ptr<Box>;

class FiledDeadLetters final : public DeadLetters {
 public:
  FiledDeadLetters(storage::FileSystem& files, Path directory, const Clock& clock,
                   const Options& options, std::unique_ptr<storage::FileLock> lock)
      : files_(files),
        directory_(std::move(directory)),
        clock_(clock),
        options_(options),
        lock_(std::move(lock)) {}

  /// Finds what is there.
  Result<void> start();

  Result<void> add(const DestinationId& id, std::span<const QueuedItem> items,
                   const Refusal& refusal) override;
  Result<DeadLetterPage> list(const DestinationId& id, std::optional<std::uint64_t> before,
                              std::size_t limit) override;
  Result<DeadLetterContent> read(const DestinationId& id, std::uint64_t letter) override;
  Result<std::uint64_t> replay(const DestinationId& id, Queue& queue,
                               std::uint64_t letters_max) override;
  Result<std::uint64_t> clear(const DestinationId& id) override;
  DeadLetterCount count(const DestinationId& id) const override;
  Result<void> maintain() override;

 private:
  [[nodiscard]] BoxPtr find_box(const DestinationId& id) const;
  Result<BoxPtr> make_box(const DestinationId& id);
  Result<void> restore_box(const DestinationId& id);
  Result<std::vector<LetterPlace>> read_head(const Path& path);
  Result<void> set_aside(const Box& box, std::uint64_t number, const Error& reason);
  /// As read_head; a damaged file is set aside and has no letters.
  Result<std::vector<LetterPlace>> read_head_of(Box& box, std::uint64_t number)
      GANTRY_REQUIRES(box.mutex);
  Result<std::string> read_payload(const Path& path, const LetterPlace& place);
  Result<void> add_file(Box& box, std::span<const QueuedItem> items, const Refusal& refusal)
      GANTRY_REQUIRES(box.mutex);
  /// Oldest first, as the limits want it.
  Result<void> evict(Box& box) GANTRY_REQUIRES(box.mutex);
  Result<void> remove_file(Box& box, std::uint64_t number) GANTRY_REQUIRES(box.mutex);
  Result<std::uint64_t> replay_file(const DestinationId& id, const Path& path,
                                    std::span<const LetterPlace> places, Queue& queue);

  storage::FileSystem& files_;
  const Path directory_;
  const Clock& clock_;
  const Options options_;
  const std::unique_ptr<storage::FileLock> lock_;
  mutable core::Mutex mutex_;
  std::map<DestinationId, BoxPtr> boxes_ GANTRY_GUARDED_BY(mutex_);
};

Result<std::vector<LetterPlace>> FiledDeadLetters::read_head(const Path& path) {
  GANTRY_TRY(const auto file, files_.open(path, storage::OpenMode::Read));
  std::vector<std::byte> bytes(kLetterPrefixBytes);
  GANTRY_CHECK(read_exactly(*file, 0, bytes, path));
  GANTRY_TRY(const std::size_t head_bytes, letter_head_bytes(bytes));
  bytes.resize(head_bytes);
  GANTRY_CHECK(read_exactly(*file, 0, bytes, path));
  return decode_letter_head(bytes);
}

Result<void> FiledDeadLetters::set_aside(const Box& box, std::uint64_t number,
                                         const Error& reason) {
  GANTRY_TRY(const Path kept_as, move_to_quarantine(files_, box.directory / file_name(number),
                                                    box.directory / "quarantine"));
  log::error("dead letters damaged", {{"reason", reason.message}, {"kept_as", kept_as.native()}});
  return {};
}

Result<std::vector<LetterPlace>> FiledDeadLetters::read_head_of(Box& box, std::uint64_t number) {
  auto places = read_head(box.directory / file_name(number));
  if (places || places.error().code != Code::DataLoss) return places;
  GANTRY_CHECK(set_aside(box, number, places.error()));
  GANTRY_CHECK(remove_file(box, number));
  return std::vector<LetterPlace>{};
}

Result<std::string> FiledDeadLetters::read_payload(const Path& path, const LetterPlace& place) {
  GANTRY_TRY(const auto file, files_.open(path, storage::OpenMode::Read));
  GANTRY_TRY(const std::uint64_t size, file->size());
  if (place.offset_bytes + place.letter.payload_bytes > size) {
    return fail(Code::DataLoss, fmt::format("\"{}\" is shorter than its head says", path.native()));
  }
  std::string payload(place.letter.payload_bytes, '\0');
  GANTRY_CHECK(read_exactly(*file, place.offset_bytes,
                            std::as_writable_bytes(std::span<char>(payload)), path));
  if (core::crc32c(core::as_bytes(payload)) != place.payload_crc) {
    return fail(Code::DataLoss, fmt::format("letter {} in \"{}\" fails its checksum",
                                            place.letter.id, path.native()));
  }
  return payload;
}

Result<void> FiledDeadLetters::start() {
  GANTRY_TRY(const auto entries, files_.list(directory_));
  for (const storage::DirectoryEntry& entry : entries) {
    if (!entry.is_directory || !is_destination_id(entry.name)) continue;
    GANTRY_CHECK(restore_box(entry.name));
  }
  return {};
}

Result<void> FiledDeadLetters::restore_box(const DestinationId& id) {
  const auto box = std::make_shared<Box>(directory_ / id);
  GANTRY_CHECK(remove_temporaries(files_, box->directory));
  GANTRY_TRY(const auto entries, files_.list(box->directory));
  const core::Lock box_lock(box->mutex);
  for (const storage::DirectoryEntry& entry : entries) {
    const std::optional<std::uint64_t> number = parse_file_name(entry.name);
    if (!number || entry.is_directory) continue;
    auto places = read_head(box->directory / entry.name);
    if (!places) {
      if (places.error().code != Code::DataLoss) return std::unexpected(places.error());
      GANTRY_CHECK(set_aside(*box, *number, places.error()));
      // Its number is not given again: pages are told apart by it.
      box->next_number = std::max(box->next_number, *number + 1);
      continue;
    }
    LetterFile file{.letters = places->size()};
    for (const LetterPlace& place : *places) {
      file.bytes += place.letter.payload_bytes;
      file.refused_ms = place.letter.refused_ms;
    }
    box->insert(*number, file);
  }
  GANTRY_CHECK(evict(*box));
  const core::Lock lock(mutex_);
  boxes_.emplace(id, box);
  return {};
}

BoxPtr FiledDeadLetters::find_box(const DestinationId& id) const {
  const core::Lock lock(mutex_);
  const auto box = boxes_.find(id);
  return box == boxes_.end() ? nullptr : box->second;
}

Result<BoxPtr> FiledDeadLetters::make_box(const DestinationId& id) {
  if (BoxPtr box = find_box(id)) return box;
  if (!is_destination_id(id)) {
    return fail(Code::InvalidArgument, fmt::format("\"{}\" is no destination's id", id));
  }
  GANTRY_CHECK(make_directories(files_, directory_ / id));
  const core::Lock lock(mutex_);
  return boxes_.emplace(id, std::make_shared<Box>(directory_ / id)).first->second;
}

Result<void> FiledDeadLetters::add(const DestinationId& id, std::span<const QueuedItem> items,
                                   const Refusal& refusal) {
  GANTRY_TRY(const BoxPtr box, make_box(id));
  const core::Lock lock(box->mutex);
  while (!items.empty()) {
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    while (count < items.size() && count < kLettersPerFileMax) {
      bytes += items[count].payload.size();
      if (count > 0 && bytes > kFileBytesMax) break;
      ++count;
    }
    GANTRY_CHECK(add_file(*box, items.first(count), refusal));
    items = items.subspan(count);
  }
  return evict(*box);
}

Result<void> FiledDeadLetters::add_file(Box& box, std::span<const QueuedItem> items,
                                        const Refusal& refusal) {
  const std::int64_t now_ms = clock_.now().since_epoch;
  const std::uint64_t number = box.next_number;
  GANTRY_CHECK(write_file_atomically(files_, box.directory / file_name(number),
                                     encode_letters(items, refusal, now_ms)));
  LetterFile file{.letters = items.size(), .refused_ms = now_ms};
  for (const QueuedItem& item : items) file.bytes += item.payload.size();
  box.insert(number, file);
  return {};
}

Result<void> FiledDeadLetters::evict(Box& box) {
  const std::int64_t oldest_ms = clock_.now().since_epoch - options_.age_max.count;
  bool has_removed = false;
  for (auto entry = box.files.begin(); entry != box.files.end();) {
    const auto [number, file] = *entry++;
    const bool is_too_much =
        entry != box.files.end() &&
        (box.count.letters > options_.letters_max || box.count.bytes > options_.bytes_max);
    if (file.is_taken || (!is_too_much && file.refused_ms >= oldest_ms)) continue;
    GANTRY_CHECK(remove_file(box, number));
    box.count.evicted += file.letters;
    has_removed = true;
  }
  return has_removed ? files_.sync_directory(box.directory) : Result<void>{};
}

Result<void> FiledDeadLetters::remove_file(Box& box, std::uint64_t number) {
  auto removed = files_.remove(box.directory / file_name(number));
  if (!removed && removed.error().code != Code::NotFound) return removed;
  const auto file = box.files.find(number);
  box.count.letters -= file->second.letters;
  box.count.bytes -= file->second.bytes;
  box.files.erase(file);
  return {};
}

Result<DeadLetterPage> FiledDeadLetters::list(const DestinationId& id,
                                              std::optional<std::uint64_t> before,
                                              std::size_t limit) {
  DeadLetterPage page;
  const BoxPtr box = find_box(id);
  if (!box || limit == 0) return page;
  const core::Lock lock(box->mutex);
  GANTRY_CHECK(evict(*box));
  for (auto file = box->files.end(); file != box->files.begin();) {
    const std::uint64_t number = (--file)->first;
    if (before && (number << kPlaceBits) >= *before) continue;
    GANTRY_TRY(std::vector<LetterPlace> places, read_head_of(*box, number));
    file = box->files.lower_bound(number);
    for (LetterPlace& place : places | std::views::reverse) {
      place.letter.id += number << kPlaceBits;
      if (before && place.letter.id >= *before) continue;
      if (page.letters.size() == limit) {
        page.before = page.letters.back().id;
        return page;
      }
      page.letters.push_back(std::move(place.letter));
    }
  }
  return page;
}

Result<DeadLetterContent> FiledDeadLetters::read(const DestinationId& id, std::uint64_t letter) {
  const auto absent = [&] {
    return fail(Code::NotFound, fmt::format("no dead letter {} of destination \"{}\"", letter, id));
  };
  const std::uint64_t number = letter >> kPlaceBits;
  const std::uint64_t index = letter & ((std::uint64_t{1} << kPlaceBits) - 1);
  const BoxPtr box = find_box(id);
  if (!box) return absent();
  const core::Lock lock(box->mutex);
  GANTRY_CHECK(evict(*box));
  if (!box->files.contains(number)) return absent();
  const Path path = box->directory / file_name(number);
  GANTRY_TRY(std::vector<LetterPlace> places, read_head_of(*box, number));
  if (index >= places.size()) return absent();
  GANTRY_TRY(std::string payload, read_payload(path, places[index]));
  DeadLetterContent content{.letter = std::move(places[index].letter),
                            .payload = std::move(payload)};
  content.letter.id = letter;
  return content;
}

Result<std::uint64_t> FiledDeadLetters::replay_file(const DestinationId& id, const Path& path,
                                                    std::span<const LetterPlace> places,
                                                    Queue& queue) {
  std::uint64_t count = 0;
  for (const LetterPlace& place : places) {
    const auto payload = read_payload(path, place);
    if (!payload && payload.error().code == Code::DataLoss) {
      log::error("dead letter damaged", {{"destination", id}, {"reason", payload.error().message}});
      continue;
    }
    if (!payload) return std::unexpected(payload.error());
    const DeadLetter& letter = place.letter;
    // With its own time the queue might find it too old to be sent.
    GANTRY_CHECK(queue.append({.stack = letter.stack,
                               .signal = letter.signal,
                               .created_ms = clock_.now().since_epoch,
                               .item_count = letter.item_count,
                               .order_key = letter.order_key,
                               .destinations = {lane_of(id, letter.signal)},
                               .payload = core::as_bytes(*payload)}));
    ++count;
  }
  return count;
}

Result<std::uint64_t> FiledDeadLetters::replay(const DestinationId& id, Queue& queue,
                                               std::uint64_t letters_max) {
  std::uint64_t count = 0;
  const BoxPtr box = find_box(id);
  std::uint64_t skipped = 0;  // Files up to this one that the queue has no place for.
  while (box && count < letters_max) {
    const std::vector<DestinationId> known = queue.destinations();
    std::uint64_t number = 0;
    std::vector<LetterPlace> places;
    {
      const core::Lock lock(box->mutex);
      const auto file = std::ranges::find_if(box->files, [&](const auto& entry) {
        return entry.first > skipped && !entry.second.is_taken;
      });
      if (file == box->files.end()) break;
      number = file->first;
      GANTRY_TRY(places, read_head_of(*box, number));
      if (places.empty()) continue;
      // All that were refused together are of one signal.
      if (std::ranges::find(known, lane_of(id, places.front().letter.signal)) == known.end()) {
        skipped = number;
        continue;
      }
      file->second.is_taken = true;
    }
    // Not under the lock: each append waits for the disk.
    const auto replayed = replay_file(id, box->directory / file_name(number), places, queue);
    const core::Lock lock(box->mutex);
    const auto file = box->files.find(number);
    const bool is_there = file != box->files.end();
    if (is_there) file->second.is_taken = false;
    if (!replayed && is_there) return replayed;
    // Cleared meanwhile: what is left of it is no longer wanted.
    if (!replayed) continue;
    if (is_there) {
      GANTRY_CHECK(remove_file(*box, number));
      GANTRY_CHECK(files_.sync_directory(box->directory));
    }
    count += *replayed;
  }
  if (count == 0 && skipped != 0)
    return fail(Code::NotFound, fmt::format("no destination \"{}\" in the queue", id));
  return count;
}

Result<std::uint64_t> FiledDeadLetters::clear(const DestinationId& id) {
  const BoxPtr box = find_box(id);
  if (!box) return 0;
  const core::Lock lock(box->mutex);
  std::uint64_t count = 0;
  while (!box->files.empty()) {
    const auto [number, file] = *box->files.begin();
    GANTRY_CHECK(remove_file(*box, number));
    count += file.letters;
  }
  GANTRY_CHECK(files_.sync_directory(box->directory));
  return count;
}

DeadLetterCount FiledDeadLetters::count(const DestinationId& id) const {
  const BoxPtr box = find_box(id);
  if (!box) return {};
  const core::Lock lock(box->mutex);
  return box->count;
}

Result<void> FiledDeadLetters::maintain() {
  std::vector<BoxPtr> boxes;
  {
    const core::Lock lock(mutex_);
    for (const auto& [id, box] : boxes_) boxes.push_back(box);
  }
  Result<void> result;
  for (const BoxPtr& box : boxes) {
    const core::Lock lock(box->mutex);
    if (auto evicted = evict(*box); !evicted) result = std::move(evicted);
  }
  return result;
}

}  // namespace

Result<std::unique_ptr<DeadLetters>> DeadLetters::open(storage::FileSystem& files,
                                                       const storage::Path& directory,
                                                       const Clock& clock, const Options& options) {
  GANTRY_TRY(std::unique_ptr<storage::FileLock> lock, lock_directory(files, directory));
  auto letters =
      std::make_unique<FiledDeadLetters>(files, directory, clock, options, std::move(lock));
  GANTRY_CHECK(letters->start());
  return letters;
}

}  // namespace gantry::broadcast
