#include <algorithm>
#include <cmath>
#include <limits>

#include "core/number_format.h"
#include "promql/histogram/statistics.h"
#include "promql/testing/plain_functions.h"

namespace gantry::promql::promqltest {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Bucket {
  double bound = 0;
  double count = 0;
};

/// The buckets of a classic histogram, and its labels without `le`.
struct Classic {
  PlainLabels labels;
  std::vector<Bucket> buckets;
};

struct Histograms {
  PlainVector native;
  std::vector<Classic> classic;
};

std::string for_name(const std::string& name) {
  return name.empty() ? "" : " for metric name " + go_quoted(name);
}

Histograms sort_out(PlainContext& context, const PlainVector& vector, Position position) {
  const bool knows_names = context.options.delayed_name_removal;
  Histograms result;
  for (const PlainElement& element : vector) {
    if (element.histogram) {
      result.native.push_back(element);
      continue;
    }
    const std::string text = label_of(element.labels, "le");
    const auto bound = core::parse_float(text);
    if (!bound) {
      context.notes.warn("bucket label \"le\" is missing or has a malformed value of " +
                             go_quoted(text) +
                             for_name(knows_names ? label_of(element.labels, "__name__") : ""),
                         position);
      continue;
    }
    PlainLabels labels = element.labels;
    labels.erase("le");
    auto found = std::ranges::find(result.classic, labels, &Classic::labels);
    if (found == result.classic.end())
      found = result.classic.insert(result.classic.end(),
                                    Classic{.labels = std::move(labels), .buckets = {}});
    found->buckets.push_back({.bound = *bound, .count = element.value});
  }
  std::erase_if(result.native, [&](const PlainElement& element) {
    const bool is_both = std::erase_if(result.classic, [&](const Classic& classic) {
                           return classic.labels == element.labels;
                         }) > 0;
    if (is_both) {
      context.notes.warn("vector contains a mix of classic and native histograms" +
                             for_name(knows_names ? label_of(element.labels, "__name__") : ""),
                         position);
    }
    return is_both;
  });
  return result;
}

/// Sorted, equal bounds added up. Empty when the last bound is not infinite.
std::vector<Bucket> merged(std::vector<Bucket> buckets) {
  std::ranges::stable_sort(buckets, {}, &Bucket::bound);
  if (buckets.back().bound != kInfinity) return {};
  std::vector<Bucket> result;
  for (const Bucket& bucket : buckets) {
    if (!result.empty() && result.back().bound == bucket.bound) {
      result.back().count += bucket.count;
    } else {
      result.push_back(bucket);
    }
  }
  return result;
}

bool is_almost_equal(double a, double b) {
  constexpr double kTolerance = 1e-12;
  if (std::isnan(a) && std::isnan(b)) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  constexpr double kLeastNormal = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || sum < kLeastNormal) return difference < kTolerance * kLeastNormal;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kTolerance;
}

struct Repaired {
  bool is_repaired = false;
  PlainNotes::Repair repair{.first = kInfinity, .last = -kInfinity, .difference = 0};
};

Repaired make_monotonic(std::vector<Bucket>& buckets) {
  Repaired result;
  double before = buckets[0].count;
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    Bucket& bucket = buckets[i];
    if (bucket.count == before) continue;
    if (is_almost_equal(before, bucket.count)) {
      bucket.count = before;
    } else if (bucket.count < before) {
      result.is_repaired = true;
      result.repair.first = std::min(result.repair.first, bucket.bound);
      result.repair.last = std::max(result.repair.last, bucket.bound);
      result.repair.difference = std::max(result.repair.difference, before - bucket.count);
      bucket.count = before;
    } else {
      before = bucket.count;
    }
  }
  return result;
}

struct ClassicQuantile {
  double value = 0;
  Repaired repaired;
};

ClassicQuantile classic_quantile(double phi, const std::vector<Bucket>& given) {
  if (std::isnan(phi)) return {.value = phi};
  if (phi < 0) return {.value = -kInfinity};
  if (phi > 1) return {.value = kInfinity};
  std::vector<Bucket> buckets = merged(given);
  if (buckets.empty()) return {.value = std::nan("")};
  ClassicQuantile result{.value = std::nan(""), .repaired = make_monotonic(buckets)};
  if (buckets.size() < 2 || buckets.back().count == 0) return result;
  double rank = phi * buckets.back().count;
  // A binary search in the reference: it matters where counts are NaN.
  std::size_t low = 0;
  std::size_t high = buckets.size() - 1;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (buckets[middle].count >= rank) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low == buckets.size() - 1) {
    result.value = buckets[buckets.size() - 2].bound;
  } else if (low == 0 && buckets[0].bound <= 0) {
    result.value = buckets[0].bound;
  } else {
    const double below = low > 0 ? buckets[low - 1].bound : 0;
    double count = buckets[low].count;
    if (low > 0) {
      count -= buckets[low - 1].count;
      rank -= buckets[low - 1].count;
    }
    result.value = below + ((buckets[low].bound - below) * (rank / count));
  }
  return result;
}

/// How many observations are below `value`.
double classic_rank(double value, const std::vector<Bucket>& buckets) {
  const double total = buckets.back().count;
  double rank = 0;
  double lower = buckets[0].bound <= 0 ? -kInfinity : 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    if (i > 0) lower = buckets[i - 1].bound;
    const double upper = buckets[i].bound;
    double found = rank;
    if (lower < value && upper > value) {
      found = lower == -kInfinity
                  ? buckets[i].count
                  : rank + ((buckets[i].count - rank) * (value - lower) / (upper - lower));
    } else if (lower < value) {
      rank = buckets[i].count;
      continue;
    }
    return found > total ? total : found;
  }
  return total;
}

double classic_fraction(double lower, double upper, const std::vector<Bucket>& given) {
  const std::vector<Bucket> buckets = merged(given);
  if (buckets.empty()) return std::nan("");
  const double total = buckets.back().count;
  if (total == 0 || std::isnan(lower) || std::isnan(upper)) return std::nan("");
  if (lower >= upper) return 0;
  return (classic_rank(upper, buckets) - classic_rank(lower, buckets)) / total;
}

class Maker {
 public:
  Maker(PlainContext& context, std::int64_t step_ms, Position position)
      : context_(context), step_ms_(step_ms), position_(position) {}

  void quantiles(double phi, const Histograms& histograms, const std::string& label,
                 PlainVector& result) {
    for (PlainElement element : histograms.native) {
      const auto found = histogram::quantile(phi, *element.histogram);
      finish(element, found.value);
      const std::string name = for_name(label_of(element.labels, "__name__"));
      const std::string text = "input to histogram_quantile has NaN observations, result is ";
      if (found.nan_effect == histogram::NanEffect::ResultIsNan)
        context_.notes.info(text + "NaN" + name, position_);
      if (found.nan_effect == histogram::NanEffect::SkewedHigher)
        context_.notes.info(text + "skewed higher" + name, position_);
      add(std::move(element), phi, label, result);
    }
    for (const Classic& classic : histograms.classic) {
      const ClassicQuantile found = classic_quantile(phi, classic.buckets);
      if (found.repaired.is_repaired)
        note_repair(found.repaired.repair, label_of(classic.labels, "__name__"));
      PlainElement element{
          .labels = classic.labels, .drops_name = false, .value = 0, .histogram = nullptr};
      finish(element, found.value);
      add(std::move(element), phi, label, result);
    }
  }

  void fractions(double lower, double upper, const Histograms& histograms, PlainVector& result) {
    for (PlainElement element : histograms.native) {
      const auto found = histogram::fraction(lower, upper, *element.histogram);
      finish(element, found.value);
      if (found.excludes_nan) {
        context_.notes.info(
            "input to histogram_fraction has NaN observations, which are excluded from all "
            "fractions" +
                for_name(label_of(element.labels, "__name__")),
            position_);
      }
      result.push_back(std::move(element));
    }
    for (const Classic& classic : histograms.classic) {
      PlainElement element{
          .labels = classic.labels, .drops_name = false, .value = 0, .histogram = nullptr};
      finish(element, classic_fraction(lower, upper, classic.buckets));
      result.push_back(std::move(element));
    }
  }

 private:
  void finish(PlainElement& element, double value) {
    drop_name(context_, element);
    element.value = value;
    element.histogram = nullptr;
  }

  static void add(PlainElement element, double phi, const std::string& label, PlainVector& result) {
    if (!label.empty()) set_label(element.labels, label, open_metrics_text(phi));
    result.push_back(std::move(element));
  }

  static std::string open_metrics_text(double value) {
    std::string text = general_text(value);
    if (std::isfinite(value) && text.find_first_of("e.") == std::string::npos) text += ".0";
    return text;
  }

  void note_repair(const PlainNotes::Repair& repair, const std::string& name) {
    context_.notes.repaired(
        "input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)" +
            for_name(context_.options.delayed_name_removal ? name : ""),
        repair, step_ms_, position_);
  }

  PlainContext& context_;
  std::int64_t step_ms_;
  Position position_;
};

void check_quantile(PlainContext& context, double phi, Position position) {
  if (phi >= 0 && phi <= 1) return;
  context.notes.warn("quantile value should be between 0 and 1, got " + general_text(phi),
                     position);
}

}  // namespace

PlainVector histogram_call(PlainContext& context, const PlainArguments& arguments) {
  PlainVector result;
  switch (arguments.call.function->id) {
    case FunctionId::HistogramQuantile: {
      const double phi = arguments.scalars[0];
      const Position position = arguments.argument_position(1);
      check_quantile(context, phi, arguments.argument_position(0));
      const Histograms histograms = sort_out(context, arguments.vectors[1], position);
      Maker(context, arguments.step_ms, position).quantiles(phi, histograms, "", result);
      break;
    }
    case FunctionId::HistogramQuantiles: {
      const Position position = arguments.argument_position(0);
      for (std::size_t i = 2; i < arguments.scalars.size(); ++i)
        check_quantile(context, arguments.scalars[i], arguments.argument_position(i));
      const Histograms histograms = sort_out(context, arguments.vectors[0], position);
      for (std::size_t i = 2; i < arguments.scalars.size(); ++i) {
        Maker(context, arguments.step_ms, position)
            .quantiles(arguments.scalars[i], histograms, arguments.texts[1], result);
      }
      break;
    }
    default: {
      const Position position = arguments.argument_position(2);
      const Histograms histograms = sort_out(context, arguments.vectors[2], position);
      Maker(context, arguments.step_ms, position)
          .fractions(arguments.scalars[0], arguments.scalars[1], histograms, result);
    }
  }
  return result;
}

}  // namespace gantry::promql::promqltest
