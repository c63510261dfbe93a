#include "metrics/testing/store_fixture.h"

namespace gantry::metrics {

std::uint32_t TestBatch::series(const telemetry::Labels& labels) {
  const auto [entry, is_new] =
      index_.try_emplace(labels, static_cast<std::uint32_t>(labels_.size()));
  if (is_new) {
    labels_.push_back(labels);
    std::string text;
    for (const telemetry::Label& label : labels) text += label.name + '\0' + label.value + '\0';
    batch_.series.push_back({.key = core::hash128(text, core::process_hash_seed())});
  }
  return entry->second;
}

TestBatch& TestBatch::add(const telemetry::Labels& labels, std::int64_t timestamp_ms, double value,
                          std::int64_t start_timestamp_ms) {
  if (start_timestamp_ms != 0 || !batch_.start_timestamps_ms.empty()) {
    batch_.start_timestamps_ms.resize(batch_.samples.size());
    batch_.start_timestamps_ms.push_back(start_timestamp_ms);
  }
  batch_.samples.push_back(
      {.series = series(labels), .timestamp_ms = timestamp_ms, .value = value});
  return *this;
}

TestBatch& TestBatch::add(const telemetry::Labels& labels, std::int64_t timestamp_ms,
                          telemetry::NativeHistogram histogram, std::int64_t start_timestamp_ms) {
  batch_.histograms.push_back({.series = series(labels),
                               .timestamp_ms = timestamp_ms,
                               .start_timestamp_ms = start_timestamp_ms,
                               .histogram = std::move(histogram)});
  return *this;
}

TestBatch& TestBatch::add_exemplar(const telemetry::Labels& labels, std::int64_t timestamp_ms,
                                   double value, std::string trace_id) {
  strings_.push_back(std::move(trace_id));
  batch_.exemplars.push_back({.series = series(labels),
                              .timestamp_ms = timestamp_ms,
                              .value = value,
                              .labels = {{.name = "trace_id", .value = strings_.back()}}});
  return *this;
}

TestBatch& TestBatch::add_metadata(std::string family, telemetry::MetricType type,
                                   std::string help) {
  strings_.push_back(std::move(family));
  const std::string_view name = strings_.back();
  strings_.push_back(std::move(help));
  batch_.metadata.push_back({.family = name, .type = type, .help = strings_.back(), .unit = {}});
  return *this;
}

TestBatch& TestBatch::set_policy(telemetry::DuplicatePolicy policy) {
  for (telemetry::BatchSeries& series : batch_.series) series.duplicates = policy;
  return *this;
}

TestBatch& TestBatch::set_body_bytes(std::uint64_t bytes) {
  batch_.body_bytes = bytes;
  return *this;
}

TestBatch& TestBatch::set_best_effort() {
  for (telemetry::BatchSeries& series : batch_.series) series.is_best_effort = true;
  return *this;
}

Result<void> TestBatch::resolve(std::uint32_t series, core::Arena&,
                                std::vector<telemetry::LabelView>& labels) const {
  ++resolve_count_;
  for (const telemetry::Label& label : labels_[series]) {
    labels.push_back({.name = label.name, .value = label.value});
  }
  return {};
}

telemetry::Labels make_test_labels(
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  telemetry::Labels out;
  for (const auto& [name, value] : labels) {
    out.push_back({.name = std::string(name), .value = std::string(value)});
  }
  return out;
}

telemetry::Labels numbered_series(std::uint64_t number) {
  return make_test_labels({{"__name__", "m"}, {"series", std::to_string(number)}});
}

telemetry::NativeHistogram test_histogram(std::uint64_t count) {
  telemetry::IntegerHistogram histogram;
  histogram.schema = 1;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = 1;
  histogram.count = 2 * count + 1;
  histogram.sum = static_cast<double>(count) * 1.5;
  histogram.positive_spans = {{.offset = 0, .length = 2}};
  histogram.positive_counts = {count, count};
  return histogram;
}

std::map<std::string, Points> read_all(const promql::SeriesSource& source,
                                       std::span<const promql::Matcher> matchers,
                                       std::int64_t start_ms, std::int64_t end_ms) {
  std::map<std::string, Points> out;
  const auto set =
      source.select({.matchers = matchers, .start_ms = start_ms, .end_ms = end_ms}, CancelToken());
  EXPECT_TRUE(set.has_value()) << (set ? "" : set.error().message);
  if (!set) return out;
  promql::SampleColumns columns;
  for (std::size_t i = 0; i < (*set)->size(); ++i) {
    telemetry::Labels labels;
    for (const promql::LabelSymbols& label : (*set)->labels(i)) {
      labels.push_back({.name = std::string((*set)->symbol(label.name)),
                        .value = std::string((*set)->symbol(label.value))});
    }
    const auto read = (*set)->read(i, start_ms, end_ms, columns);
    EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().message);
    Points& points = out[telemetry::format_series(labels)];
    for (std::size_t at = 0; at < columns.timestamps_ms.size(); ++at) {
      points.emplace_back(columns.timestamps_ms[at], columns.values[at]);
    }
    for (const auto& point : columns.histograms) {
      points.emplace_back(point.timestamp_ms, point.histogram->count);
    }
  }
  return out;
}

promql::Matcher matcher(promql::MatchOp op, std::string name, std::string value) {
  auto made = promql::Matcher::make(op, std::move(name), std::move(value));
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return *made;
}

std::map<std::string, Points> read_metric(const promql::SeriesSource& source, std::string_view name,
                                          std::int64_t start_ms, std::int64_t end_ms) {
  const promql::Matcher matchers[] = {
      matcher(promql::MatchOp::Equal, "__name__", std::string(name))};
  return read_all(source, matchers, start_ms, end_ms);
}

void StoreFixture::open(StoreOptions options) {
  store_.reset();
  auto opened = StoreImpl::open("/data/metrics", options, environment(), Background::Off);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  store_ = *std::move(opened);
}

telemetry::AppendResult StoreFixture::append(const TestBatch& batch, const AppendOptions& options) {
  auto result = store_->append(batch.batch(), options);
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().message);
  return result ? *std::move(result) : telemetry::AppendResult();
}

}  // namespace gantry::metrics
