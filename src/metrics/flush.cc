#include "metrics/flush.h"

#include <algorithm>
#include <utility>

#include "storage/directory.h"

namespace gantry::metrics {
namespace {

/// Parts that are written at the same time; a backfill of more days takes several passes.
constexpr std::size_t kWritersMax = 16;

/// Positions [first, last) of ascending times in [start_ms, end_ms].
std::pair<std::size_t, std::size_t> find_range(std::span<const std::int64_t> times,
                                               std::int64_t start_ms, std::int64_t end_ms) {
  const auto first = std::ranges::lower_bound(times, start_ms);
  const auto last = std::upper_bound(first, times.end(), end_ms);
  return {static_cast<std::size_t>(first - times.begin()),
          static_cast<std::size_t>(last - times.begin())};
}

template <class T>
std::span<const T> slice(const std::vector<T>& values, std::size_t first, std::size_t last) {
  return values.empty() ? std::span<const T>() : std::span(values).subspan(first, last - first);
}

/// The samples of [start_ms, end_ms], floats and histograms in one ascending order.
Result<void> add_samples(const SeriesColumns& columns, std::int64_t start_ms, std::int64_t end_ms,
                         PartWriter& writer) {
  const FloatColumns& floats = columns.floats;
  const HistogramColumns& histograms = columns.histograms;
  auto [float_at, float_end] = find_range(floats.timestamps_ms, start_ms, end_ms);
  auto [histogram_at, histogram_end] = find_range(histograms.timestamps_ms, start_ms, end_ms);
  while (float_at < float_end || histogram_at < histogram_end) {
    std::size_t last = float_end;
    if (histogram_at < histogram_end) {
      last = find_range(floats.timestamps_ms, start_ms, histograms.timestamps_ms[histogram_at] - 1)
                 .second;
      last = std::clamp(last, float_at, float_end);
    }
    if (last > float_at) {
      GANTRY_CHECK(writer.add_floats(slice(floats.timestamps_ms, float_at, last),
                                     slice(floats.values, float_at, last),
                                     slice(floats.start_timestamps_ms, float_at, last)));
      float_at = last;
    }
    last = histogram_end;
    if (float_at < float_end) {
      last =
          find_range(histograms.timestamps_ms, start_ms, floats.timestamps_ms[float_at] - 1).second;
      last = std::clamp(last, histogram_at, histogram_end);
    }
    if (last > histogram_at) {
      GANTRY_CHECK(
          writer.add_histograms(slice(histograms.timestamps_ms, histogram_at, last),
                                slice(histograms.histograms, histogram_at, last),
                                slice(histograms.start_timestamps_ms, histogram_at, last)));
      histogram_at = last;
    }
  }
  return {};
}

}  // namespace

Result<storage::Path> prepare_part(storage::FileSystem& files, const storage::Path& path) {
  const storage::Path day = path.parent_path();
  GANTRY_TRY(const bool exists, files.exists(day));
  if (!exists) {
    GANTRY_CHECK(files.create_directories(day));
    GANTRY_CHECK(files.sync_directory(day.parent_path()));
  }
  return storage::prepare_directory(files, path);
}

Result<void> HeadFlush::add_days(const SealedBlock* newest) {
  bool is_wide = false;
  for_each_sealed(newest, [&](std::int64_t min_ms, std::int64_t max_ms) {
    days_.insert(day_of(min_ms));
    days_.insert(day_of(max_ms));
    is_wide = is_wide || day_of(max_ms) - day_of(min_ms) > 1;
  });
  if (!is_wide) return {};
  GANTRY_CHECK(read_sealed(newest, columns_));
  for (const std::int64_t time : columns_.floats.timestamps_ms) days_.insert(day_of(time));
  for (const std::int64_t time : columns_.histograms.timestamps_ms) days_.insert(day_of(time));
  return {};
}

Result<void> HeadFlush::survey(std::span<const std::uint32_t> order) {
  for (const std::uint32_t series : order) {
    const SealedBlock* newest = nullptr;
    state_.head.with_series(series, [&](SeriesRecord& record, HeadContext& context) {
      if (has_data(record)) roll(record, context, generation_);
      state_.head.deactivate_if_empty(record, context);
      newest = sealed_before(record, generation_);
    });
    if (newest == nullptr) continue;
    series_.push_back(series);
    GANTRY_CHECK(add_days(newest));
  }
  return {};
}

Result<HeadFlush::DayWriters> HeadFlush::make_writers(std::span<const std::int64_t> days) {
  DayWriters writers;
  for (const std::int64_t day : days) {
    DayWriter& writer = writers[day];
    writer.entry = {
        .number = catalog_.next_part_number(), .day = day, .clean_sequence = clean_sequence_};
    GANTRY_TRY(writer.temporary, prepare_part(files_, catalog_.part_path(writer.entry)));
    GANTRY_TRY(writer.writer, PartWriter::create(files_, writer.temporary, {.level = 0}));
  }
  return writers;
}

Result<void> HeadFlush::write_series(std::uint32_t series, DayWriters& writers) {
  const SealedBlock* const newest =
      state_.head.with_series(series, [this](const SeriesRecord& record, HeadContext&) {
        return sealed_before(record, generation_);
      });
  GANTRY_CHECK(read_sealed(newest, columns_));
  state_.registry.labels_of(series, labels_);
  for (auto& [day, writer] : writers) {
    const std::int64_t start_ms = day * kDayMs;
    const std::int64_t end_ms = start_ms + kDayMs - 1;
    const auto floats = find_range(columns_.floats.timestamps_ms, start_ms, end_ms);
    const auto histograms = find_range(columns_.histograms.timestamps_ms, start_ms, end_ms);
    if (floats.first == floats.second && histograms.first == histograms.second) continue;
    GANTRY_CHECK(writer.writer->begin_series(labels_));
    GANTRY_CHECK(add_samples(columns_, start_ms, end_ms, *writer.writer));
  }
  return {};
}

Result<void> HeadFlush::finish(DayWriters& writers,
                               std::vector<std::shared_ptr<const Part>>& parts) {
  for (auto& [day, writer] : writers) {
    GANTRY_TRY(const PartSummary summary, writer.writer->finish());
    writer.writer.reset();
    if (summary.series_count == 0) {
      GANTRY_CHECK(files_.remove_all(writer.temporary));
      continue;
    }
    const storage::Path path = catalog_.part_path(writer.entry);
    GANTRY_CHECK(
        storage::publish_directory(files_, writer.temporary, path, storage::FilesSynced::Yes));
    GANTRY_TRY(auto part, catalog_.open_part(writer.entry));
    parts.push_back(std::move(part));
  }
  return {};
}

Result<void> HeadFlush::write_days(DayWriters& writers) {
  for (const std::uint32_t series : series_) GANTRY_CHECK(write_series(series, writers));
  return {};
}

void HeadFlush::remove_written(std::span<const std::shared_ptr<const Part>> parts) {
  for (const auto& part : parts) {
    for (const std::uint32_t series : part->series()) {
      state_.registry.record(series).part_count().fetch_sub(1, std::memory_order_relaxed);
    }
    // Best effort: what stays is removed when the store is opened.
    static_cast<void>(files_.remove_all(catalog_.part_path(part->entry())));
  }
}

Result<std::vector<std::shared_ptr<const Part>>> HeadFlush::write(
    std::span<const std::uint32_t> order) {
  GANTRY_CHECK(survey(order));
  const std::vector<std::int64_t> days(days_.begin(), days_.end());
  std::vector<std::shared_ptr<const Part>> parts;
  for (std::size_t first = 0; first < days.size(); first += kWritersMax) {
    const std::size_t count = std::min(kWritersMax, days.size() - first);
    auto writers = make_writers(std::span(days).subspan(first, count));
    Result<void> written =
        writers ? write_days(*writers) : Result<void>(std::unexpected(writers.error()));
    if (written) written = finish(*writers, parts);
    if (written) continue;
    if (writers) {
      for (auto& [day, writer] : *writers) {
        writer.writer.reset();
        static_cast<void>(files_.remove_all(writer.temporary));
      }
    }
    remove_written(parts);
    return std::unexpected(written.error());
  }
  return parts;
}

}  // namespace gantry::metrics
