#include "metrics/partition/catalog.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "core/log.h"
#include "metrics/query/matching.h"
#include "storage/directory.h"

namespace gantry::metrics {
namespace {

constexpr std::string_view kManifestName = "manifest";
constexpr std::string_view kPartitions = "partitions";
constexpr std::string_view kQuarantine = "quarantine";
constexpr std::string_view kAnnotationsPrefix = "annotations-";

bool is_in(std::span<const std::shared_ptr<const Part>> parts, std::uint64_t number) {
  return std::ranges::any_of(parts,
                             [&](const auto& part) { return part->entry().number == number; });
}

std::vector<PartEntry> entries_of(std::span<const std::shared_ptr<const Part>> parts) {
  std::vector<PartEntry> entries;
  for (const auto& part : parts) entries.push_back(part->entry());
  return entries;
}

}  // namespace

storage::Path Catalog::annotations_path(std::uint64_t number) const {
  return directory_ / fmt::format("{}{:012}", kAnnotationsPrefix, number);
}

Result<void> Catalog::open() {
  const core::Lock lock(mutex_);
  GANTRY_CHECK(files_.create_directories(directory_ / kPartitions));
  GANTRY_CHECK(files_.sync_directory(directory_));
  GANTRY_CHECK(storage::remove_temporaries(files_, directory_));
  GANTRY_TRY(manifest_, read_manifest(files_, directory_ / kManifestName));
  GANTRY_CHECK(open_parts());
  GANTRY_CHECK(remove_unknown());
  resolve_tombstones();
  publish();
  return {};
}

Result<void> Catalog::open_parts() {
  const std::vector<PartEntry> entries = manifest_.parts;
  for (const PartEntry& entry : entries) {
    auto part = open_part(entry);
    if (part) {
      parts_.push_back(*std::move(part));
      continue;
    }
    if (part.error().code != Code::DataLoss && part.error().code != Code::NotFound) {
      return std::unexpected(part.error());
    }
    const TimeRange day{.start_ms = entry.day * kDayMs, .end_ms = (entry.day + 1) * kDayMs - 1};
    GANTRY_CHECK(set_aside(entry, day, part.error().message));
  }
  if (parts_.size() == entries.size()) return {};
  Manifest next = manifest_;
  next.parts = entries_of(parts_);
  return commit(std::move(next), parts_);
}

Result<void> Catalog::set_aside(const PartEntry& entry, TimeRange range, std::string_view why) {
  const storage::Path path = part_path(entry);
  std::string place = "nowhere: it is missing";
  GANTRY_TRY(const bool exists, files_.exists(path));
  if (exists) {
    GANTRY_TRY(const storage::Path moved,
               storage::move_to_quarantine(files_, path, directory_ / kQuarantine));
    place = moved.string();
  }
  manifest_.quarantined.push_back(
      {.name = entry.path().string(), .time_ms_min = range.start_ms, .time_ms_max = range.end_ms});
  log::error("metrics part set aside",
             {{"part", entry.path().string()}, {"reason", why}, {"now_at", place}});
  return {};
}

Result<void> Catalog::remove_unknown() {
  std::set<std::string> known;
  for (const PartEntry& entry : manifest_.parts) known.insert(entry.path().string());
  const storage::Path partitions = directory_ / kPartitions;
  GANTRY_TRY(const auto days, files_.list(partitions));
  for (const storage::DirectoryEntry& day : days) {
    if (!day.is_directory) continue;
    GANTRY_TRY(const auto parts, files_.list(partitions / day.name));
    std::size_t kept = 0;
    for (const storage::DirectoryEntry& part : parts) {
      const storage::Path below = storage::Path(kPartitions) / day.name / part.name;
      if (known.contains(below.string())) {
        ++kept;
        continue;
      }
      GANTRY_CHECK(files_.remove_all(directory_ / below));
    }
    if (kept == 0) GANTRY_CHECK(files_.remove_all(partitions / day.name));
  }
  GANTRY_TRY(const auto entries, files_.list(directory_));
  for (const storage::DirectoryEntry& entry : entries) {
    if (entry.name.starts_with(kAnnotationsPrefix) &&
        directory_ / entry.name != annotations_path(manifest_.annotations_number)) {
      GANTRY_CHECK(files_.remove(directory_ / entry.name));
    }
  }
  return {};
}

void Catalog::resolve_tombstones() {
  const SeriesRegistry::Reader registry(state_.registry);
  for (const TombstoneEntry& entry : manifest_.tombstones) {
    auto series = match_series(registry, state_.regexes, entry.matchers, CancelToken());
    GANTRY_ASSERT(series.has_value(), "a token that nobody cancels does not fire");
    tombstones_.push_back(std::make_shared<const Tombstone>(entry, *std::move(series)));
  }
}

std::uint64_t Catalog::next_part_number() {
  const core::Lock lock(mutex_);
  return manifest_.next_part_number++;
}

std::uint64_t Catalog::tombstone_sequence() const {
  const core::Lock lock(mutex_);
  return manifest_.tombstone_sequence;
}

storage::LogPosition Catalog::log_start() const {
  const core::Lock lock(mutex_);
  return manifest_.log_start;
}

std::uint64_t Catalog::annotations_number() const {
  const core::Lock lock(mutex_);
  return manifest_.annotations_number;
}

Result<std::shared_ptr<const Part>> Catalog::open_part(const PartEntry& entry) {
  GANTRY_TRY(auto part, Part::open(files_, directory_, entry, state_.frames, state_.registry));
  return part;
}

Result<void> Catalog::commit(Manifest next, std::vector<std::shared_ptr<const Part>> parts) {
  GANTRY_CHECK(write_manifest(files_, directory_ / kManifestName, next));
  manifest_ = std::move(next);
  parts_ = std::move(parts);
  return {};
}

void Catalog::publish() {
  auto view = std::make_shared<PartView>();
  view->parts = parts_;
  view->tombstones = tombstones_;
  view->quarantined = manifest_.quarantined;
  view->version = ++version_;
  for (const auto& part : parts_) {
    view->time_ms_max = std::max(view->time_ms_max, part->summary().time_ms_max);
  }
  state_.publish(std::move(view));
}

void Catalog::retire(const std::shared_ptr<const Part>& part) {
  for (const std::uint32_t series : part->series()) {
    state_.registry.record(series).part_count().fetch_sub(1, std::memory_order_relaxed);
  }
  retired_.push_back(part);
}

Result<void> Catalog::commit_flush(const Flushed& flushed) {
  const core::Lock lock(mutex_);
  std::vector<std::shared_ptr<const Part>> parts = parts_;
  parts.insert(parts.end(), flushed.parts.begin(), flushed.parts.end());
  std::ranges::stable_sort(parts, {}, [](const auto& part) { return part->entry().day; });
  Manifest next = manifest_;
  next.parts = entries_of(parts);
  next.log_start = flushed.log_start;
  next.annotations_number = flushed.annotations_number;
  GANTRY_CHECK(commit(std::move(next), std::move(parts)));
  publish();
  return {};
}

Result<void> Catalog::commit_merge(std::span<const std::shared_ptr<const Part>> inputs,
                                   std::shared_ptr<const Part> output) {
  const core::Lock lock(mutex_);
  std::vector<std::shared_ptr<const Part>> parts;
  std::size_t found = 0;
  for (const auto& part : parts_) {
    if (!is_in(inputs, part->entry().number)) {
      parts.push_back(part);
      continue;
    }
    // In the place of the newest: what lies between is older than the newest input.
    if (++found == inputs.size() && output) parts.push_back(output);
  }
  if (found != inputs.size()) {
    return fail(Code::FailedPrecondition, "a part was removed while it was merged");
  }
  Manifest next = manifest_;
  next.parts = entries_of(parts);
  GANTRY_CHECK(commit(std::move(next), std::move(parts)));
  publish();
  for (const auto& input : inputs) retire(input);
  return {};
}

Result<void> Catalog::commit_removal(std::span<const std::shared_ptr<const Part>> removed) {
  const core::Lock lock(mutex_);
  std::vector<std::shared_ptr<const Part>> parts;
  std::vector<std::shared_ptr<const Part>> gone;
  for (const auto& part : parts_) {
    (is_in(removed, part->entry().number) ? gone : parts).push_back(part);
  }
  Manifest next = manifest_;
  next.parts = entries_of(parts);
  if (!parts.empty()) {
    const std::int64_t oldest = parts.front()->summary().time_ms_min;
    std::erase_if(next.quarantined,
                  [&](const QuarantinedPart& part) { return part.time_ms_max < oldest; });
  }
  GANTRY_CHECK(commit(std::move(next), std::move(parts)));
  publish();
  for (const auto& part : gone) retire(part);
  return {};
}

Result<void> Catalog::commit_tombstone(TombstoneEntry entry, std::vector<std::uint32_t> series) {
  const core::Lock lock(mutex_);
  Manifest next = manifest_;
  entry.sequence = ++next.tombstone_sequence;
  next.tombstones.push_back(entry);
  GANTRY_CHECK(commit(std::move(next), parts_));
  tombstones_.push_back(std::make_shared<const Tombstone>(std::move(entry), std::move(series)));
  publish();
  return {};
}

Result<void> Catalog::forget_tombstones() {
  const core::Lock lock(mutex_);
  const auto is_needed = [&](const TombstoneEntry& entry) GANTRY_REQUIRES(mutex_) {
    return std::ranges::any_of(parts_, [&](const auto& part) {
      return part->entry().clean_sequence < entry.sequence &&
             part->overlaps(entry.start_ms, entry.end_ms);
    });
  };
  Manifest next = manifest_;
  std::erase_if(next.tombstones,
                [&](const auto& entry) GANTRY_REQUIRES(mutex_) { return !is_needed(entry); });
  if (next.tombstones.size() == manifest_.tombstones.size()) return {};
  GANTRY_CHECK(commit(std::move(next), parts_));
  std::erase_if(tombstones_, [&](const auto& tombstone)
                                 GANTRY_REQUIRES(mutex_) { return !is_needed(tombstone->entry); });
  publish();
  return {};
}

Result<void> Catalog::quarantine(std::uint64_t part_number) {
  const core::Lock lock(mutex_);
  const auto found = std::ranges::find_if(
      parts_, [&](const auto& part) { return part->entry().number == part_number; });
  if (found == parts_.end()) return {};
  const std::shared_ptr<const Part> part = *found;
  std::vector<std::shared_ptr<const Part>> parts = parts_;
  parts.erase(parts.begin() + (found - parts_.begin()));
  // The directory moves first: after a crash in between the part is found missing and noted.
  GANTRY_CHECK(
      set_aside(part->entry(),
                {.start_ms = part->summary().time_ms_min, .end_ms = part->summary().time_ms_max},
                "a checksum failed while it was read"));
  Manifest next = manifest_;
  next.parts = entries_of(parts);
  GANTRY_CHECK(commit(std::move(next), std::move(parts)));
  publish();
  for (const std::uint32_t series : part->series()) {
    state_.registry.record(series).part_count().fetch_sub(1, std::memory_order_relaxed);
  }
  return {};
}

void Catalog::remove_retired() {
  std::vector<std::shared_ptr<const Part>> unused;
  {
    const core::Lock lock(mutex_);
    std::erase_if(retired_, [&](const std::shared_ptr<const Part>& part) {
      // Nobody can get a new reference: no published view has the part.
      if (part.use_count() > 1) return false;
      unused.push_back(part);
      return true;
    });
  }
  for (std::shared_ptr<const Part>& part : unused) {
    const storage::Path path = part_path(part->entry());
    part.reset();
    const auto removed = files_.remove_all(path);
    if (!removed) {
      log::warn("removal of a merged part failed",
                {{"path", path.string()}, {"error", removed.error().message}});
    }
  }
}

}  // namespace gantry::metrics
