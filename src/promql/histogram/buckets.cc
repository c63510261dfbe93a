#include <algorithm>
#include <limits>
#include <utility>

#include "promql/histogram/buckets_internal.h"
#include "promql/kernels/sum.h"
#include "telemetry/bucket_bound.h"

namespace gantry::promql::histogram {
namespace {

using kernels::neumaier_add;
using telemetry::BucketSpan;
using telemetry::FloatHistogram;

/// Adds `value` and the rounding error that came with it to bucket `at`.
void add_to_bucket(MutableBuckets& into, std::size_t at, double value, double error) {
  if (into.compensation == nullptr) {
    into.counts[at] += value;
    return;
  }
  neumaier_add(value, into.counts[at], (*into.compensation)[at]);
  if (error != 0) neumaier_add(error, into.counts[at], (*into.compensation)[at]);
}

double error_at(const Addend& addend, std::size_t position) {
  return addend.compensation.empty() ? 0 : addend.sign * addend.compensation[position];
}

/// Hot: per bucket of histograms that are added. `length` buckets that follow each other on both
/// sides.
void add_run(MutableBuckets& into, std::size_t to, const Addend& addend, std::size_t from,
             std::size_t length) {
  if (into.compensation == nullptr) {
    double* const sums = into.counts.data() + to;
    const double* const values = addend.buckets.counts.data() + from;
    for (std::size_t i = 0; i < length; ++i) sums[i] += addend.sign * values[i];
    return;
  }
  for (std::size_t i = 0; i < length; ++i) {
    add_to_bucket(into, to + i, addend.sign * addend.buckets.counts[from + i],
                  error_at(addend, from + i));
  }
}

/// A span with its place among indexes and counts.
struct Run {
  std::int64_t first_index = 0;
  std::size_t first_position = 0;
  std::uint32_t length = 0;

  [[nodiscard]] std::int64_t end_index() const { return first_index + length; }
};

class RunCursor {
 public:
  explicit RunCursor(std::span<const BucketSpan> spans) : spans_(spans) {}

  bool next() {
    if (at_ == spans_.size()) return false;
    run_.first_position += run_.length;
    run_.first_index = run_.end_index() + spans_[at_].offset;
    run_.length = spans_[at_].length;
    ++at_;
    return true;
  }

  [[nodiscard]] const Run& run() const { return run_; }

 private:
  std::span<const BucketSpan> spans_;
  std::size_t at_ = 0;
  Run run_;
};

/// Calls visit(position in into, position in addend, length) for the pieces of the addend's spans
/// that are left after the skipped ones; false as soon as one is not within a span of `into`.
template <class Visit>
bool for_each_shared_run(std::span<const BucketSpan> into, std::span<const BucketSpan> addend,
                         std::size_t skipped, Visit visit) {
  RunCursor outer(into);
  bool has_outer = outer.next();
  for (RunCursor inner(addend); inner.next();) {
    Run run = inner.run();
    if (run.length == 0 || run.first_position + run.length <= skipped) continue;
    if (run.first_position < skipped) {
      const auto cut = static_cast<std::uint32_t>(skipped - run.first_position);
      run = {.first_index = run.first_index + cut,
             .first_position = skipped,
             .length = run.length - cut};
    }
    while (has_outer && outer.run().end_index() <= run.first_index) has_outer = outer.next();
    if (!has_outer || outer.run().first_index > run.first_index ||
        outer.run().end_index() < run.end_index()) {
      return false;
    }
    const auto offset = static_cast<std::size_t>(run.first_index - outer.run().first_index);
    visit(outer.run().first_position + offset, run.first_position, run.length);
  }
  return true;
}

/// The general case: the union of the buckets, into new vectors.
void merge_buckets(MutableBuckets& into, const Addend& addend, std::size_t skipped) {
  std::vector<BucketSpan> spans;
  std::vector<double> counts;
  std::vector<double> errors;
  counts.reserve(into.counts.size() + addend.buckets.counts.size());
  std::int64_t last = 0;
  const auto append = [&](std::int64_t index, double count, double error) {
    append_bucket(spans, last, index);
    last = index;
    counts.push_back(count);
    if (into.compensation != nullptr) errors.push_back(error);
  };
  BucketCursor left({.spans = into.spans, .counts = into.counts});
  BucketCursor right(addend.buckets);
  bool has_left = left.next();
  bool has_right = right.next();
  while (has_right && right.position() < skipped) has_right = right.next();
  while (has_left || has_right) {
    const bool takes_left = has_left && (!has_right || left.index() <= right.index());
    const bool takes_right = has_right && (!has_left || right.index() <= left.index());
    if (takes_left && takes_right) {
      add_to_bucket(into, left.position(), addend.sign * right.count(),
                    error_at(addend, right.position()));
    }
    if (takes_left) {
      append(left.index(), left.count(),
             into.compensation == nullptr ? 0 : (*into.compensation)[left.position()]);
      has_left = left.next();
    } else {
      append(right.index(), addend.sign * right.count(), error_at(addend, right.position()));
    }
    if (takes_right) has_right = right.next();
  }
  into.spans = std::move(spans);
  into.counts = std::move(counts);
  if (into.compensation != nullptr) *into.compensation = std::move(errors);
}

}  // namespace

BucketsView view(const FloatHistogram& histogram, Side side) {
  if (side == Side::Negative) {
    return {.spans = histogram.negative_spans, .counts = histogram.negative_counts};
  }
  return {.spans = histogram.positive_spans, .counts = histogram.positive_counts};
}

MutableBuckets edit(FloatHistogram& histogram, Compensation* compensation, Side side) {
  if (side == Side::Negative) {
    return {.spans = histogram.negative_spans,
            .counts = histogram.negative_counts,
            .compensation = compensation == nullptr ? nullptr : &compensation->negative_counts};
  }
  return {.spans = histogram.positive_spans,
          .counts = histogram.positive_counts,
          .compensation = compensation == nullptr ? nullptr : &compensation->positive_counts};
}

ReverseBucketCursor::ReverseBucketCursor(BucketsView buckets)
    : buckets_(buckets), position_(buckets.counts.size()) {
  for (const BucketSpan& span : buckets.spans) index_ += std::int64_t{span.offset} + span.length;
  if (buckets.spans.empty()) return;
  span_ = buckets.spans.size() - 1;
  in_span_ = buckets.spans[span_].length;
}

Bounds bounds_of(const FloatHistogram& histogram, Side side, std::int64_t index) {
  if (histogram.uses_custom_buckets()) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const std::vector<double>& bounds = histogram.custom_values;
    const auto size = static_cast<std::int64_t>(bounds.size());
    const auto bound = [&](std::int64_t i) {
      if (i < 0) return -kInfinity;
      return i < size ? bounds[static_cast<std::size_t>(i)] : kInfinity;
    };
    return {.lower = bound(index - 1), .upper = bound(index)};
  }
  const double inner = telemetry::exponential_bound(histogram.schema, index - 1);
  const double outer = telemetry::exponential_bound(histogram.schema, index);
  if (side == Side::Negative) return {.lower = -outer, .upper = -inner};
  return {.lower = inner, .upper = outer};
}

void append_bucket(std::vector<BucketSpan>& spans, std::int64_t last, std::int64_t index) {
  if (!spans.empty() && index == last + 1) {
    ++spans.back().length;
    return;
  }
  const std::int64_t offset = spans.empty() ? index : index - last - 1;
  spans.push_back({.offset = static_cast<std::int32_t>(offset), .length = 1});
}

void coarsen(MutableBuckets buckets, std::int32_t levels) {
  // In place: the target never has more spans or buckets than were read so far.
  std::size_t span_count = 0;
  std::size_t size = 0;
  std::size_t position = 0;
  std::int64_t index = 0;
  std::int64_t last = 0;
  for (std::size_t i = 0; i < buckets.spans.size(); ++i) {
    const BucketSpan span = buckets.spans[i];
    index += span.offset;
    for (std::uint32_t k = 0; k < span.length; ++k, ++index, ++position) {
      const std::int64_t target = coarser_index(index, levels);
      const double count = buckets.counts[position];
      const double error = buckets.compensation == nullptr ? 0 : (*buckets.compensation)[position];
      if (size > 0 && target == last) {
        add_to_bucket(buckets, size - 1, count, error);
        continue;
      }
      if (size > 0 && target == last + 1) {
        ++buckets.spans[span_count - 1].length;
      } else {
        const std::int64_t offset = size == 0 ? target : target - last - 1;
        buckets.spans[span_count] = {.offset = static_cast<std::int32_t>(offset), .length = 1};
        ++span_count;
      }
      buckets.counts[size] = count;
      if (buckets.compensation != nullptr) (*buckets.compensation)[size] = error;
      ++size;
      last = target;
    }
  }
  buckets.spans.resize(span_count);
  buckets.counts.resize(size);
  if (buckets.compensation != nullptr) buckets.compensation->resize(size);
}

void compact(MutableBuckets buckets) {
  const auto is_idle_span = [](const BucketSpan& span) { return span.length == 0; };
  const bool is_compact = std::ranges::find(buckets.counts, 0.0) == buckets.counts.end() &&
                          std::ranges::none_of(buckets.spans, is_idle_span) &&
                          (buckets.spans.size() < 2 ||
                           std::ranges::find(buckets.spans.begin() + 1, buckets.spans.end(), 0,
                                             &BucketSpan::offset) == buckets.spans.end());
  if (is_compact) return;
  std::vector<BucketSpan> spans;
  std::size_t size = 0;
  std::int64_t last = 0;
  for (BucketCursor cursor({.spans = buckets.spans, .counts = buckets.counts}); cursor.next();) {
    const double error =
        buckets.compensation == nullptr ? 0 : (*buckets.compensation)[cursor.position()];
    if (cursor.count() == 0 && error == 0) continue;
    append_bucket(spans, last, cursor.index());
    last = cursor.index();
    buckets.counts[size] = cursor.count();
    if (buckets.compensation != nullptr) (*buckets.compensation)[size] = error;
    ++size;
  }
  buckets.spans = std::move(spans);
  buckets.counts.resize(size);
  if (buckets.compensation != nullptr) buckets.compensation->resize(size);
}

void add_buckets(MutableBuckets into, const Addend& addend, std::size_t skipped) {
  if (skipped == 0 && std::ranges::equal(into.spans, addend.buckets.spans)) {
    add_run(into, 0, addend, 0, into.counts.size());
    return;
  }
  constexpr auto kNothing = [](std::size_t, std::size_t, std::uint32_t) {};
  if (!for_each_shared_run(into.spans, addend.buckets.spans, skipped, kNothing)) {
    merge_buckets(into, addend, skipped);
    return;
  }
  for_each_shared_run(into.spans, addend.buckets.spans, skipped,
                      [&](std::size_t to, std::size_t from, std::uint32_t length) {
                        add_run(into, to, addend, from, length);
                      });
}

}  // namespace gantry::promql::histogram
