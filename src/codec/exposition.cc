#include "codec/exposition.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "core/number_format.h"
#include "core/utf8.h"

namespace gantry::codec {

namespace {

using telemetry::Label;

constexpr std::string_view kTotal = "_total";

enum class QuoteEscape : std::uint8_t { No, Yes };

void append_escaped(std::string& out, std::string_view text, QuoteEscape quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes == QuoteEscape::Yes) {
      out += "\\\"";
    } else {
      out.push_back(c);
    }
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  append_escaped(out, text, QuoteEscape::Yes);
  out.push_back('"');
}

/// Each character that may not be at its place becomes one underscore.
std::string underscored(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size();) {
    const char c = name[i];
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    const bool is_kept = is_letter || (c >= '0' && c <= '9' && i > 0);
    out.push_back(is_kept ? c : '_');
    if (is_kept || static_cast<unsigned char>(c) < 0x80) {
      ++i;
    } else {
      static_cast<void>(core::next_code_point(name, i));
    }
  }
  return out;
}

std::string metric_text(std::string_view name, NameEscaping escaping) {
  if (telemetry::is_legacy_metric_name(name)) return std::string(name);
  if (escaping == NameEscaping::Underscores) return underscored(name);
  std::string quoted;
  append_quoted(quoted, name);
  return quoted;
}

void append_label_name(std::string& out, std::string_view name, NameEscaping escaping) {
  if (telemetry::is_legacy_label_name(name)) {
    out.append(name);
  } else if (escaping == NameEscaping::Underscores) {
    out += underscored(name);
  } else {
    append_quoted(out, name);
  }
}

/// name{labels}, or {"name", labels} for a quoted name. `for_each` calls its argument with each
/// label's name and value.
template <class ForEach>
void append_series(std::string& out, std::string_view name, NameEscaping escaping,
                   ForEach for_each) {
  const std::string text = metric_text(name, escaping);
  const bool is_quoted = text.starts_with('"');
  bool has_brace = is_quoted;
  if (is_quoted) out.push_back('{');
  out += text;
  for_each([&](std::string_view label, std::string_view value) {
    out += has_brace ? "," : "{";
    has_brace = true;
    append_label_name(out, label, escaping);
    out.push_back('=');
    append_quoted(out, value);
  });
  if (has_brace) out.push_back('}');
}

std::string_view type_word(core::MetricType type) {
  switch (type) {
    case core::MetricType::Counter:
      return "counter";
    case core::MetricType::Gauge:
      return "gauge";
    case core::MetricType::Histogram:
      return "histogram";
  }
  return "untyped";
}

/// OpenMetrics wants bounds in float form.
std::string bound_text(std::string_view bound) {
  std::string text(bound);
  if (text.find_first_of(".eIN") == std::string::npos) text += ".0";
  return text;
}

void write_family(ExpositionChoice choice, const core::CollectedFamily& family, std::string& out) {
  const bool is_open = choice.format == ExpositionFormat::OpenMetrics;
  const bool is_counter = family.type == core::MetricType::Counter;
  std::string_view name = family.name;
  // OpenMetrics names a counter's family without the suffix that its samples must have.
  if (is_open && is_counter && name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
  const std::string name_text = metric_text(name, choice.escaping);
  if (!family.help.empty()) {
    out += "# HELP " + name_text + " ";
    append_escaped(out, family.help, is_open ? QuoteEscape::Yes : QuoteEscape::No);
    out.push_back('\n');
  }
  out += "# TYPE " + name_text + " ";
  out.append(type_word(family.type));
  out.push_back('\n');
  for (const core::CollectedSample& sample : family.samples) {
    std::string sample_name = sample.name;
    if (is_open && is_counter && !sample_name.ends_with(kTotal)) sample_name += kTotal;
    const bool has_bounds = is_open && family.type == core::MetricType::Histogram;
    append_series(out, sample_name, choice.escaping, [&](auto emit) {
      for (const auto& [label, value] : sample.labels) {
        emit(label, has_bounds && label == "le" ? bound_text(value) : value);
      }
    });
    out.push_back(' ');
    core::append_float_general(out, sample.value);
    out.push_back('\n');
  }
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The next piece of `text` up to `separator`, which both are taken off.
std::string_view take_piece(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view piece = trim(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return piece;
}

struct Offer {
  std::string_view media_type;
  std::string_view version;
  double weight = 1;
  NameEscaping escaping = NameEscaping::Underscores;
};

Offer parse_offer(std::string_view text) {
  Offer offer;
  offer.media_type = take_piece(text, ';');
  while (!text.empty()) {
    std::string_view value = take_piece(text, ';');
    const std::string_view key = take_piece(value, '=');
    if (key == "version") {
      offer.version = value;
    } else if (key == "escaping" && value == "allow-utf-8") {
      offer.escaping = NameEscaping::AllowUtf8;
    } else if (key == "q") {
      offer.weight = core::parse_float(value).value_or(0);
    }
  }
  return offer;
}

}  // namespace

ExpositionChoice negotiate_exposition(std::string_view accept) {
  ExpositionChoice best;
  double best_weight = 0;
  while (!accept.empty()) {
    const Offer offer = parse_offer(take_piece(accept, ','));
    const bool is_open =
        offer.media_type == "application/openmetrics-text" &&
        (offer.version.empty() || offer.version == "1.0.0" || offer.version == "0.0.1");
    const bool is_text =
        (offer.media_type == "text/plain" &&
         (offer.version.empty() || offer.version == "0.0.4" || offer.version == "1.0.0")) ||
        offer.media_type == "*/*" || offer.media_type == "text/*";
    if ((!is_open && !is_text) || !(offer.weight > best_weight)) continue;
    best_weight = offer.weight;
    best = {.format = is_open ? ExpositionFormat::OpenMetrics : ExpositionFormat::Text,
            .escaping = offer.escaping};
  }
  return best;
}

std::string exposition_content_type(ExpositionChoice choice) {
  std::string type = choice.format == ExpositionFormat::OpenMetrics
                         ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                         : "text/plain; version=0.0.4; charset=utf-8";
  type += choice.escaping == NameEscaping::AllowUtf8 ? "; escaping=allow-utf-8"
                                                     : "; escaping=underscores";
  return type;
}

void write_exposition(ExpositionChoice choice, std::span<const core::CollectedFamily> families,
                      std::string& out) {
  for (const core::CollectedFamily& family : families) write_family(choice, family, out);
  if (choice.format == ExpositionFormat::OpenMetrics) out += "# EOF\n";
}

FederateWriter::FederateWriter(NameEscaping escaping, telemetry::Labels external_labels)
    : escaping_(escaping), external_labels_(std::move(external_labels)) {
  if (std::ranges::find(external_labels_, "instance", &Label::name) == external_labels_.end()) {
    external_labels_.push_back({.name = "instance", .value = ""});
  }
}

telemetry::Labels FederateWriter::complete(std::span<const Label> labels) const {
  telemetry::Labels complete;
  for (const Label& label : labels) {
    if (label.name != telemetry::kMetricNameLabel && !label.value.empty()) {
      complete.push_back(label);
    }
  }
  for (const Label& label : external_labels_) {
    if (std::ranges::find(complete, label.name, &Label::name) == complete.end()) {
      complete.push_back(label);
    }
  }
  std::ranges::sort(complete);
  return complete;
}

namespace {

void append_sample(std::string& out, std::string_view name, NameEscaping escaping,
                   std::span<const Label> labels, std::string_view bound, double value,
                   std::int64_t timestamp_ms) {
  append_series(out, name, escaping, [&](auto emit) {
    for (const Label& label : labels) emit(label.name, label.value);
    if (!bound.empty()) emit("le", bound);
  });
  out.push_back(' ');
  core::append_float_general(out, value);
  out += " " + std::to_string(timestamp_ms) + "\n";
}

}  // namespace

void FederateWriter::add(std::span<const Label> labels, double value, std::int64_t timestamp_ms) {
  const std::string_view name = telemetry::find_label(labels, telemetry::kMetricNameLabel);
  if (name.empty()) return;
  Entry& entry = entries_.emplace_back(Entry{.name = std::string(name)});
  append_sample(entry.lines, name, escaping_, complete(labels), {}, value, timestamp_ms);
}

void FederateWriter::add(std::span<const Label> labels, const telemetry::FloatHistogram& histogram,
                         std::int64_t timestamp_ms) {
  const std::string_view name = telemetry::find_label(labels, telemetry::kMetricNameLabel);
  if (name.empty() || !histogram.uses_custom_buckets()) return;
  const telemetry::Labels all = complete(labels);
  Entry& entry = entries_.emplace_back(Entry{.name = std::string(name), .is_histogram = true});
  std::vector<double> counts(histogram.custom_values.size() + 1, 0);
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const telemetry::BucketSpan& span : histogram.positive_spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++position) {
      const bool is_known = index >= 0 && std::cmp_less(index, counts.size()) &&
                            position < histogram.positive_counts.size();
      if (is_known) counts[static_cast<std::size_t>(index)] = histogram.positive_counts[position];
    }
  }
  double cumulative = 0;
  for (std::size_t i = 0; i < histogram.custom_values.size(); ++i) {
    cumulative += counts[i];
    std::string bound;
    core::append_float_general(bound, histogram.custom_values[i]);
    append_sample(entry.lines, entry.name + "_bucket", escaping_, all, bound, cumulative,
                  timestamp_ms);
  }
  append_sample(entry.lines, entry.name + "_bucket", escaping_, all, "+Inf", histogram.count,
                timestamp_ms);
  append_sample(entry.lines, entry.name + "_sum", escaping_, all, {}, histogram.sum, timestamp_ms);
  append_sample(entry.lines, entry.name + "_count", escaping_, all, {}, histogram.count,
                timestamp_ms);
}

void FederateWriter::finish(std::string& out) {
  // Stable: within a name the order of `add` stays; floats come before histograms, each a family.
  std::ranges::stable_sort(entries_, [](const Entry& a, const Entry& b) {
    return a.name != b.name ? a.name < b.name : a.is_histogram < b.is_histogram;
  });
  const Entry* previous = nullptr;
  for (const Entry& entry : entries_) {
    if (previous == nullptr || previous->name != entry.name ||
        previous->is_histogram != entry.is_histogram) {
      out += "# TYPE " + metric_text(entry.name, escaping_) +
             (entry.is_histogram ? " histogram\n" : " untyped\n");
    }
    out += entry.lines;
    previous = &entry;
  }
  entries_.clear();
}

}  // namespace gantry::codec
