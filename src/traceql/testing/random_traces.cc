#include "traceql/testing/random_traces.h"

#include <algorithm>
#include <array>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "traceql/testing/span_builder.h"

namespace gantry::traceql::testing {

namespace {

using telemetry::SpanKind;

constexpr std::array<std::string_view, 4> kTexts = {"a", "b", "ab", ""};
constexpr std::array<std::string_view, 3> kNames = {"a", "b", "c"};
constexpr std::array<std::string_view, 3> kSpanKeys = {"a", "b", "c d"};
constexpr std::array<std::string_view, 2> kEventKeys = {"a", "e"};
constexpr std::array<std::string_view, 2> kLinkKeys = {"b", "l"};
constexpr std::array<std::string_view, 2> kResourceKeys = {"a", "zone"};
constexpr std::array<std::string_view, 2> kScopeKeys = {"b", "s"};
constexpr std::array<std::int64_t, 8> kDurations = {
    0, 1, 2, 1000, 50'000'000, 134'217'728, 1'000'000'000, 1'500'000'000};

class TraceMaker {
 public:
  TraceMaker(std::uint64_t seed, const RandomTracesOptions& options)
      : random_(seed), options_(options) {}

  telemetry::SpanBatch make() {
    std::vector<std::vector<SpanSpec>> traces;
    for (std::size_t t = 0; t < options_.traces; ++t) {
      traces.push_back(make_trace(options_.first_trace + t));
    }
    while (!traces.empty()) {
      std::vector<SpanSpec>& trace = traces[below(traces.size())];
      add(trace.back());
      trace.pop_back();
      std::erase_if(traces, [](const std::vector<SpanSpec>& rest) { return rest.empty(); });
    }
    return std::move(build_).batch();
  }

 private:
  std::size_t below(std::size_t end) { return random_() % end; }

  bool one_in(std::size_t n) { return below(n) == 0; }

  template <class T, std::size_t N>
  T one_of(const std::array<T, N>& choices) {
    return choices[below(N)];
  }

  std::vector<SpanSpec> make_trace(std::uint64_t trace) {
    std::vector<SpanSpec> spans(1 + below(options_.spans_max));
    const bool has_root = !one_in(8);
    for (std::size_t i = 0; i < spans.size(); ++i) {
      SpanSpec& span = spans[i];
      span.trace = trace;
      span.id = i + 1;
      span.name = one_of(kNames);
      span.kind = static_cast<SpanKind>(below(6));
      span.status = static_cast<telemetry::SpanStatus>(below(3));
      span.status_message = one_of(kTexts);
      span.start_ns = static_cast<std::uint64_t>(random_start());
      const auto duration = static_cast<std::uint64_t>(one_of(kDurations));
      span.end_ns = one_in(20) ? span.start_ns - 5 : span.start_ns + duration;
    }
    for (SpanSpec& span : spans) span.parent = random_parent(spans, span.id);
    spans[below(spans.size())].parent = has_root ? 0 : 1000;
    if (one_in(3)) add_other_half(spans);
    if (one_in(20)) add_other_half(spans);
    std::ranges::shuffle(spans, random_);
    return spans;
  }

  // Most spans have an earlier span for a parent; some a later one (or themselves), none, or one
  // that never comes.
  telemetry::SpanId random_parent(const std::vector<SpanSpec>& spans, telemetry::SpanId id) {
    switch (below(12)) {
      case 0:
        return 0;
      case 1:
        return 1000;
      case 2:
        return 1 + below(spans.size());
      default:
        return id > 1 ? 1 + below(id - 1) : 0;
    }
  }

  // A second span with the id of one that is there, as the two halves of a call have it.
  void add_other_half(std::vector<SpanSpec>& spans) {
    SpanSpec& client = spans[below(spans.size())];
    SpanSpec server = client;
    client.kind = SpanKind::Client;
    server.kind = one_in(6) ? SpanKind::Client : SpanKind::Server;
    server.name = one_of(kNames);
    if (one_in(2)) server.parent = server.id;
    spans.push_back(server);
  }

  std::int64_t random_start() {
    constexpr std::size_t kSteps = 20;
    const std::int64_t step = options_.range_ns / static_cast<std::int64_t>(kSteps);
    const std::int64_t start =
        options_.start_ns + static_cast<std::int64_t>(below(kSteps + 1)) * step;
    return one_in(3) ? start : start + static_cast<std::int64_t>(below(3)) - 1;
  }

  Static random_scalar() {
    switch (below(4)) {
      case 0:
        return Static::of_int(static_cast<std::int64_t>(below(6)) - 1);
      case 1:
        return Static::of_float(static_cast<double>(below(6)) * 0.5);
      case 2:
        return Static::of_string(std::string(one_of(kTexts)));
      default:
        return Static::of_bool(one_in(2));
    }
  }

  Static random_value() {
    if (!one_in(5)) return random_scalar();
    Static array;
    array.type = StaticType::IntArray;
    const Static first = random_scalar();
    for (std::size_t i = below(4); i > 0; --i) {
      Static element = random_scalar();
      // Most arrays hold one type.
      while (element.type != first.type && !one_in(20)) element = random_scalar();
      array.elements.push_back(std::move(element));
    }
    return array;
  }

  template <std::size_t N>
  SpanBuilder::Attributes random_attributes(const std::array<std::string_view, N>& keys) {
    SpanBuilder::Attributes attributes;
    for (const std::string_view key : keys) {
      if (one_in(2)) attributes.emplace_back(key, random_value());
    }
    return attributes;
  }

  void add(const SpanSpec& span) {
    if (is_first_ || one_in(3)) {
      SpanBuilder::Attributes attributes = random_attributes(kResourceKeys);
      if (!one_in(4)) {
        attributes.emplace_back("service.name", Static::of_string(std::string(one_of(kNames))));
      }
      build_.resource(attributes);
    }
    if (is_first_ || one_in(3)) {
      build_.scope(one_of(kTexts), one_of(kTexts), random_attributes(kScopeKeys));
    }
    is_first_ = false;
    build_.span(span);
    for (const auto& [key, value] : random_attributes(kSpanKeys)) build_.attribute(key, value);
    for (std::size_t i = below(6) / 2; i > 0; --i) {
      const auto since = static_cast<std::uint64_t>(one_of(kDurations));
      build_.event(one_of(kNames), span.start_ns + since, random_attributes(kEventKeys));
    }
    for (std::size_t i = below(5) / 2; i > 0; --i) {
      build_.link(1 + below(3), 1 + below(3), random_attributes(kLinkKeys));
    }
  }

  std::mt19937_64 random_;
  RandomTracesOptions options_;
  SpanBuilder build_;
  bool is_first_ = true;
};

}  // namespace

telemetry::SpanBatch random_traces(std::uint64_t seed, const RandomTracesOptions& options) {
  return TraceMaker(seed, options).make();
}

}  // namespace gantry::traceql::testing
