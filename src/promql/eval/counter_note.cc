#include "promql/eval/counter_note.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "telemetry/labels.h"

namespace gantry::promql::eval {
namespace {

bool is_counter_name(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kSuffixes = {"_total", "_sum", "_count",
                                                                "_bucket"};
  return std::ranges::any_of(kSuffixes,
                             [&](std::string_view suffix) { return name.ends_with(suffix); });
}

bool is_counter_type(std::string_view type) {
  return type == "counter" || type == "histogram";
}

}  // namespace

void note_doubtful_counter(const QueryContext& context, const SeriesInput& input,
                           std::size_t series, std::span<const std::uint64_t> bits,
                           Position position, AnnotationSet& annotations) {
  if (std::ranges::all_of(bits, [](std::uint64_t word) { return word == 0; })) return;
  const std::string_view name = input.metric_name(series);
  if (name.empty()) return;
  if (!context.options.type_and_unit_labels) {
    if (is_counter_name(name)) return;
    annotations.info(with_quoted("metric might not be a counter, name does not end in "
                                 "_total/_sum/_count/_bucket:",
                                 name),
                     position);
    return;
  }
  const std::string_view type = input.type_label(series);
  if (is_counter_type(type)) return;
  std::string text =
      "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", "
      "got ";
  telemetry::append_go_quoted(text, type);
  text += ": ";
  telemetry::append_go_quoted(text, name);
  annotations.info(std::move(text), position);
}

}  // namespace gantry::promql::eval
