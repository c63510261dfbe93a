#include "codec/exposition.h"

#include "codec/exposition_internal.h"
#include "core/number_format.h"

namespace gantry::codec {

namespace {

constexpr std::string_view kTotal = "_total";

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
  std::string name_text;
  append_metric_name(name_text, escaped_metric_name(name, choice.escaping));
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
    append_series(out, escaped_metric_name(sample_name, choice.escaping), [&](auto emit) {
      for (const auto& [label, value] : sample.labels) {
        emit(escaped_label_name(label, choice.escaping),
             has_bounds && label == "le" ? bound_text(value) : value);
      }
    });
    out.push_back(' ');
    core::append_float_general(out, sample.value);
    out.push_back('\n');
  }
}

bool accepts_open_metrics(const AcceptedType& type) {
  return type.media_type == "application/openmetrics-text" &&
         (type.version.empty() || type.version == "1.0.0" || type.version == "0.0.1");
}

}  // namespace

ExpositionChoice negotiate_exposition(std::string_view accept) {
  ExpositionChoice choice;
  for (const AcceptedType& type : accepted_types(accept)) {
    choice.escaping = type.escaping.value_or(choice.escaping);
    if (accepts_open_metrics(type)) {
      choice.format = ExpositionFormat::OpenMetrics;
      break;
    }
    if (accepts_text(type)) break;
  }
  return choice;
}

std::string exposition_content_type(ExpositionChoice choice) {
  std::string type = choice.format == ExpositionFormat::OpenMetrics
                         ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                         : "text/plain; version=0.0.4; charset=utf-8";
  type += escaping_parameter(choice.escaping);
  return type;
}

void write_exposition(ExpositionChoice choice, std::span<const core::CollectedFamily> families,
                      std::string& out) {
  for (const core::CollectedFamily& family : families) write_family(choice, family, out);
  if (choice.format == ExpositionFormat::OpenMetrics) out += "# EOF\n";
}

}  // namespace gantry::codec
