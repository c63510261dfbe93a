#include "promql/testing/plain_value.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "core/number_format.h"
#include "telemetry/labels.h"

namespace gantry::promql::promqltest {

namespace {

std::string time_text(std::int64_t time_ms) {
  const std::int64_t seconds = (time_ms - (((time_ms % 1000) + 1000) % 1000)) / 1000;
  const std::int64_t rest = time_ms - (seconds * 1000);
  std::string text =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(seconds)));
  if (rest != 0) {
    std::string digits = fmt::format("{:03}", rest);
    while (digits.back() == '0') digits.pop_back();
    text += "." + digits;
  }
  return text + "Z";
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == ':';
  }) && std::isdigit(static_cast<unsigned char>(name[0])) == 0;
}

}  // namespace

void PlainNotes::repaired(std::string text, const Repair& repair, std::int64_t time_ms,
                          Position position) {
  Note& note = notes_["i" + std::move(text)];
  note.position = position;
  if (note.repairs++ == 0) {
    note.repair = repair;
    note.first_ms = note.last_ms = time_ms;
    return;
  }
  note.repair.first = std::min(note.repair.first, repair.first);
  note.repair.last = std::max(note.repair.last, repair.last);
  note.repair.difference = std::max(note.repair.difference, repair.difference);
  note.first_ms = std::min(note.first_ms, time_ms);
  note.last_ms = std::max(note.last_ms, time_ms);
}

void PlainNotes::warn_counted(std::string text, Position position) {
  Note& note = notes_["w" + std::move(text)];
  note.position = position;
  ++note.occurrences;
}

Annotations PlainNotes::finish(std::string_view query) const {
  Annotations result;
  for (const auto& [key, note] : notes_) {
    const bool is_warning = key[0] == 'w';
    std::string text = (is_warning ? "PromQL warning: " : "PromQL info: ") + key.substr(1);
    if (note.repairs > 0) {
      text += fmt::format(
          ", from buckets {} to {}, with a max diff of {:.2g}, over {} samples from {} to {}",
          general_text(note.repair.first), general_text(note.repair.last), note.repair.difference,
          note.repairs, time_text(note.first_ms), time_text(note.last_ms));
    }
    if (note.occurrences > 1) text += fmt::format(" ({} occurrences)", note.occurrences);
    text += " (" + line_and_column(query, note.position.start) + ")";
    (is_warning ? result.warnings : result.infos).push_back(std::move(text));
  }
  return result;
}

std::string label_of(const PlainLabels& labels, const std::string& name) {
  const auto found = labels.find(name);
  return found == labels.end() ? "" : found->second;
}

void set_label(PlainLabels& labels, const std::string& name, const std::string& value) {
  if (value.empty()) {
    labels.erase(name);
  } else {
    labels[name] = value;
  }
}

PlainLabels without_metadata(PlainLabels labels) {
  labels.erase("__name__");
  labels.erase("__type__");
  labels.erase("__unit__");
  return labels;
}

std::string labels_text(const PlainLabels& labels) {
  std::string inside;
  for (const auto& [name, value] : labels) {
    if (!inside.empty()) inside += ", ";
    inside += (is_plain_name(name) && !name.contains(':') ? name : go_quoted(name)) + "=" +
              go_quoted(value);
  }
  return "{" + inside + "}";
}

std::string go_quoted(std::string_view text) {
  std::string result;
  telemetry::append_go_quoted(result, text);
  return result;
}

std::string general_text(double value) {
  std::string text;
  core::append_float_general(text, value);
  return text;
}

void drop_name(const PlainContext& context, PlainElement& element) {
  element.drops_name = true;
  if (!context.options.delayed_name_removal) element.labels = without_metadata(element.labels);
}

HistogramPointer share(telemetry::FloatHistogram histogram) {
  return std::make_shared<const telemetry::FloatHistogram>(std::move(histogram));
}

std::unexpected<Error> same_labelset() {
  return fail(Code::FailedPrecondition, "vector cannot contain metrics with the same labelset");
}

Result<void> check_unique(const PlainVector& vector) {
  std::set<PlainLabels> seen;
  for (const PlainElement& element : vector) {
    if (!seen.insert(element.labels).second) return same_labelset();
  }
  return {};
}

double larger(double a, double b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a == kInfinity || b == kInfinity) return kInfinity;
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

double smaller(double a, double b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a == -kInfinity || b == -kInfinity) return -kInfinity;
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  if (a == 0 && b == 0) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}

}  // namespace gantry::promql::promqltest
