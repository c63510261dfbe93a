#include "access/testing/label_source.h"

#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>

namespace gantry::access {
namespace {

promql::LabelStrings cut(const std::set<std::string>& all, std::size_t limit) {
  promql::LabelStrings out{.values = {all.begin(), all.end()}};
  out.is_truncated = limit > 0 && all.size() > limit;
  if (out.is_truncated) out.values.resize(limit);
  return out;
}

bool matches(const telemetry::Labels& labels, std::span<const promql::Matcher> matchers) {
  return std::ranges::all_of(matchers, [&](const promql::Matcher& matcher) {
    return matcher.matches(telemetry::find_label(labels, matcher.name()));
  });
}

}  // namespace

class LabelSource::Set final : public promql::SeriesSet {
 public:
  Set(const LabelSource& source, std::vector<std::size_t> series, bool is_truncated)
      : source_(source), series_(std::move(series)), is_truncated_(is_truncated) {}

  [[nodiscard]] std::size_t size() const override { return series_.size(); }

  [[nodiscard]] std::span<const promql::LabelSymbols> labels(std::size_t series) const override {
    return source_.labels_[series_[series]];
  }

  [[nodiscard]] std::string_view symbol(std::uint32_t id) const override {
    return source_.symbols_[id];
  }

  Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                    promql::SampleColumns& out) const override {
    out.clear();
    for (const auto& [time, value] : source_.series_[series_[series]].samples) {
      if (time < start_ms || time > end_ms) continue;
      out.timestamps_ms.push_back(time);
      out.values.push_back(value);
    }
    return {};
  }

  [[nodiscard]] bool is_truncated() const override { return is_truncated_; }

  [[nodiscard]] std::vector<std::string> warnings() const override { return {"a part is damaged"}; }

 private:
  const LabelSource& source_;
  std::vector<std::size_t> series_;
  bool is_truncated_;
};

LabelSource::LabelSource(std::vector<TestSeries> series) : series_(std::move(series)) {
  std::map<std::string, std::uint32_t> index;
  const auto intern = [&](const std::string& text) {
    const auto [entry, is_new] =
        index.try_emplace(text, static_cast<std::uint32_t>(symbols_.size()));
    if (is_new) symbols_.push_back(text);
    return entry->second;
  };
  for (const TestSeries& one : series_) {
    std::vector<promql::LabelSymbols>& labels = labels_.emplace_back();
    for (const telemetry::Label& label : one.labels)
      labels.push_back({.name = intern(label.name), .value = intern(label.value)});
  }
}

std::vector<std::size_t> LabelSource::match(std::span<const promql::Matcher> matchers,
                                            std::int64_t start_ms, std::int64_t end_ms) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < series_.size(); ++i) {
    const bool has_sample = std::ranges::any_of(series_[i].samples, [&](const auto& sample) {
      return sample.first >= start_ms && sample.first <= end_ms;
    });
    if (has_sample && matches(series_[i].labels, matchers)) found.push_back(i);
  }
  last_ = {.matcher_count = matchers.size(), .series_limit = 0, .match_count = found.size()};
  return found;
}

Result<std::unique_ptr<promql::SeriesSet>> LabelSource::select(const promql::SelectRequest& request,
                                                               const CancelToken&) const {
  std::vector<std::size_t> found = match(request.matchers, request.start_ms, request.end_ms);
  last_.series_limit = request.series_limit;
  const bool is_over = request.series_limit > 0 && found.size() > request.series_limit;
  if (is_over && !request.truncate) {
    return fail(Code::ResourceExhausted,
                fmt::format("the selector matches {} series, the limit is {}", found.size(),
                            request.series_limit));
  }
  if (is_over) found.resize(request.series_limit);
  return std::make_unique<Set>(*this, std::move(found), is_over);
}

Result<promql::LabelStrings> LabelSource::label_names(std::span<const promql::Matcher> matchers,
                                                      std::int64_t start_ms, std::int64_t end_ms,
                                                      std::size_t limit, const CancelToken&) const {
  std::set<std::string> names;
  for (const std::size_t i : match(matchers, start_ms, end_ms))
    for (const telemetry::Label& label : series_[i].labels) names.insert(label.name);
  return cut(names, limit);
}

Result<promql::LabelStrings> LabelSource::label_values(std::string_view name,
                                                       std::span<const promql::Matcher> matchers,
                                                       std::int64_t start_ms, std::int64_t end_ms,
                                                       std::size_t limit,
                                                       const CancelToken&) const {
  std::set<std::string> values;
  for (const std::size_t i : match(matchers, start_ms, end_ms)) {
    const std::string_view value = telemetry::find_label(series_[i].labels, name);
    if (!value.empty()) values.emplace(value);
  }
  return cut(values, limit);
}

Result<std::vector<promql::ExemplarSeries>> LabelSource::exemplars(
    std::span<const std::vector<promql::Matcher>> selectors, std::int64_t start_ms,
    std::int64_t end_ms, const CancelToken&) const {
  std::vector<promql::ExemplarSeries> out;
  for (const TestSeries& one : series_) {
    promql::ExemplarSeries found;
    for (const auto& [time, trace_id] : one.exemplars) {
      if (time >= start_ms && time <= end_ms)
        found.points.push_back({.timestamp_ms = time, .labels = {{"trace_id", trace_id}}});
    }
    const bool is_asked_for = std::ranges::any_of(
        selectors, [&](const auto& matchers) { return matches(one.labels, matchers); });
    if (found.points.empty() || !is_asked_for) continue;
    for (const telemetry::Label& label : one.labels)
      found.labels.emplace_back(label.name, label.value);
    out.push_back(std::move(found));
  }
  std::ranges::sort(out, {}, &promql::ExemplarSeries::labels);
  return out;
}

telemetry::Labels test_labels(
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  std::vector<telemetry::Label> out;
  for (const auto& [name, value] : labels)
    out.push_back({.name = std::string(name), .value = std::string(value)});
  return telemetry::make_labels(std::move(out));
}

std::vector<std::string> describe(const promql::SeriesSet& set) {
  std::vector<std::string> out;
  promql::SampleColumns samples;
  for (std::size_t i = 0; i < set.size(); ++i) {
    telemetry::Labels labels;
    for (const promql::LabelSymbols& label : set.labels(i))
      labels.push_back({.name = std::string(set.symbol(label.name)),
                        .value = std::string(set.symbol(label.value))});
    std::string text = telemetry::format_series(labels);
    constexpr std::int64_t kEverMs = std::numeric_limits<std::int64_t>::max();
    if (const auto read = set.read(i, -kEverMs, kEverMs, samples); !read)
      text += " error: " + read.error().message;
    for (std::size_t at = 0; at < samples.timestamps_ms.size(); ++at)
      text += fmt::format(" {}@{}", samples.values[at], samples.timestamps_ms[at]);
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace gantry::access
