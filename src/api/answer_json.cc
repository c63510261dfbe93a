#include "api/answer_json.h"

#include <memory>
#include <utility>
#include <variant>

#include "api/prometheus_support.h"
#include "core/json_writer.h"
#include "core/number_format.h"

namespace gantry::api {
namespace {

constexpr std::size_t kPieceBytes = 256 << 10;

/// Answers with fewer points than this are built whole: some 22 bytes a point.
constexpr std::size_t kStreamFromPoints = 20'000;

void append_value(std::string& out, std::int64_t timestamp_ms, double value) {
  out.push_back('[');
  core::append_seconds(out, timestamp_ms);
  out += ",\"";
  core::append_float_api(out, value);
  out += "\"]";
}

void append_histogram_point(std::string& out, std::int64_t timestamp_ms,
                            const telemetry::FloatHistogram& histogram) {
  out.push_back('[');
  core::append_seconds(out, timestamp_ms);
  out.push_back(',');
  append_histogram(out, histogram);
  out.push_back(']');
}

void append_element(std::string& out, const promql::VectorElement& element) {
  out += R"({"metric":)";
  append_label_object(out, element.labels);
  if (element.histogram) {
    out += R"(,"histogram":)";
    append_histogram_point(out, element.timestamp_ms, *element.histogram);
  } else {
    out += R"(,"value":)";
    append_value(out, element.timestamp_ms, element.value);
  }
  out.push_back('}');
}

void append_series(std::string& out, const promql::ResultSeries& series) {
  out += R"({"metric":)";
  append_label_object(out, series.labels);
  if (!series.points.empty()) {
    out += R"(,"values":[)";
    for (std::size_t i = 0; i < series.points.size(); ++i) {
      if (i > 0) out.push_back(',');
      append_value(out, series.points[i].timestamp_ms, series.points[i].value);
    }
    out.push_back(']');
  }
  if (!series.histograms.empty()) {
    out += R"(,"histograms":[)";
    for (std::size_t i = 0; i < series.histograms.size(); ++i) {
      if (i > 0) out.push_back(',');
      append_histogram_point(out, series.histograms[i].timestamp_ms,
                             *series.histograms[i].histogram);
    }
    out.push_back(']');
  }
  out.push_back('}');
}

/// Scalars and strings have the shortest form of their time, and scalars never an exponent.
void append_scalar_time(std::string& out, std::int64_t timestamp_ms) {
  core::append_float_plain(out, static_cast<double>(timestamp_ms) / 1000);
}

void append_scalar(std::string& out, const promql::ScalarValue& scalar) {
  out.push_back('[');
  append_scalar_time(out, scalar.timestamp_ms);
  out += ",\"";
  core::append_float_plain(out, scalar.value);
  out += "\"]";
}

void append_string(std::string& out, const promql::StringValue& text) {
  out.push_back('[');
  append_scalar_time(out, text.timestamp_ms);
  out.push_back(',');
  core::append_json_string(out, text.value);
  out.push_back(']');
}

std::string_view result_type(const promql::Value& value) {
  struct Name {
    std::string_view operator()(const promql::ScalarValue&) const { return "scalar"; }

    std::string_view operator()(const std::vector<promql::VectorElement>&) const {
      return "vector";
    }

    std::string_view operator()(const std::vector<promql::ResultSeries>&) const { return "matrix"; }

    std::string_view operator()(const promql::StringValue&) const { return "string"; }
  };

  return std::visit(Name{}, value);
}

std::size_t count_points(const promql::Value& value) {
  if (const auto* vector = std::get_if<std::vector<promql::VectorElement>>(&value)) {
    return vector->size() * 4;  // an element is mostly labels
  }
  std::size_t count = 0;
  if (const auto* matrix = std::get_if<std::vector<promql::ResultSeries>>(&value)) {
    for (const auto& series : *matrix) count += series.points.size() + series.histograms.size() + 4;
  }
  return count;
}

/// Writes an answer piece by piece; keeps the answer alive as long as it writes.
class AnswerWriter {
 public:
  AnswerWriter(promql::Answer answer, std::string stats_json)
      : answer_(std::move(answer)), stats_json_(std::move(stats_json)) {}

  /// The next piece of at least `bytes`, or less when it is the last; "" after that.
  std::string next(std::size_t bytes) {
    std::string out;
    if (is_done_) return out;
    if (next_ == 0) {
      out += R"({"status":"success","data":{"resultType":")";
      out += result_type(answer_.value);
      out += R"(","result":)";
    }
    if (const auto* scalar = std::get_if<promql::ScalarValue>(&answer_.value)) {
      append_scalar(out, *scalar);
    } else if (const auto* text = std::get_if<promql::StringValue>(&answer_.value)) {
      append_string(out, *text);
    } else if (const auto* vector =
                   std::get_if<std::vector<promql::VectorElement>>(&answer_.value)) {
      if (!append_list(out, bytes, *vector, append_element)) return out;
    } else {
      const auto& matrix = std::get<std::vector<promql::ResultSeries>>(answer_.value);
      if (!append_list(out, bytes, matrix, append_series)) return out;
    }
    if (!stats_json_.empty()) {
      out += R"(,"stats":)";
      out += stats_json_;
    }
    out.push_back('}');
    append_annotations(out, answer_.annotations);
    is_done_ = true;
    return out;
  }

 private:
  /// True when the list is complete.
  template <class T>
  bool append_list(std::string& out, std::size_t bytes, const std::vector<T>& items,
                   void (*append)(std::string&, const T&)) {
    if (next_ == 0) out.push_back('[');
    for (; next_ < items.size(); ++next_) {
      if (out.size() >= bytes) return false;
      if (next_ > 0) out.push_back(',');
      append(out, items[next_]);
    }
    out.push_back(']');
    return true;
  }

  promql::Answer answer_;
  std::string stats_json_;
  std::size_t next_ = 0;
  bool is_done_ = false;
};

}  // namespace

net::Response answer_response(promql::Answer answer, std::string stats_json) {
  const bool is_streamed = count_points(answer.value) >= kStreamFromPoints;
  AnswerWriter writer(std::move(answer), std::move(stats_json));
  if (!is_streamed) return net::json_response(200, writer.next(std::string::npos));
  net::Response response = net::json_response(200, "");
  response.stream = [writer = std::move(writer)]() mutable { return writer.next(kPieceBytes); };
  return response;
}

void append_histogram(std::string& out, const telemetry::FloatHistogram& histogram) {
  out += R"({"count":")";
  core::append_float_api(out, histogram.count);
  out += R"(","sum":")";
  core::append_float_api(out, histogram.sum);
  out.push_back('"');
  const auto buckets = telemetry::list_buckets(histogram);
  if (!buckets.empty()) {
    out += R"(,"buckets":[)";
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      if (i > 0) out.push_back(',');
      out.push_back('[');
      out.push_back(static_cast<char>('0' + buckets[i].boundary_rule));
      for (const double number : {buckets[i].lower, buckets[i].upper, buckets[i].count}) {
        out += ",\"";
        core::append_float_api(out, number);
        out.push_back('"');
      }
      out.push_back(']');
    }
    out.push_back(']');
  }
  out.push_back('}');
}

std::string statistics_json(const promql::QueryStatistics& statistics, double total_seconds) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.key("timings").begin_object();
  json.key("evalTotalTime").number(statistics.evaluation_seconds);
  json.key("resultSortTime").number(0);
  json.key("queryPreparationTime").number(statistics.preparation_seconds);
  json.key("innerEvalTime").number(statistics.evaluation_seconds);
  json.key("execQueueTime").number(0);
  json.key("execTotalTime").number(total_seconds);
  json.end_object();
  json.key("samples").begin_object();
  json.key("totalQueryableSamples").integer(statistics.samples_total);
  json.key("samplesRead").integer(statistics.samples_read);
  json.key("peakSamples").integer(statistics.samples_peak);
  json.end_object();
  json.end_object();
  return out;
}

void truncate_answer(promql::Answer& answer, std::size_t limit) {
  if (limit == 0) return;
  bool is_truncated = false;
  if (auto* vector = std::get_if<std::vector<promql::VectorElement>>(&answer.value)) {
    is_truncated = vector->size() > limit;
    if (is_truncated) vector->resize(limit);
  } else if (auto* matrix = std::get_if<std::vector<promql::ResultSeries>>(&answer.value)) {
    is_truncated = matrix->size() > limit;
    if (is_truncated) matrix->resize(limit);
  }
  if (is_truncated) answer.annotations.warnings.emplace_back("results truncated due to limit");
}

}  // namespace gantry::api
