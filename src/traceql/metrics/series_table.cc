#include "traceql/metrics/series_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace gantry::traceql::metrics {

namespace {

void append_number(std::string& out, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(number >> shift));
}

/// Orders label lists whose texts have been made.
struct SortKey {
  std::vector<std::pair<std::string, std::string>> labels;
  std::size_t index = 0;

  friend bool operator<(const SortKey& a, const SortKey& b) {
    if (a.labels.size() != b.labels.size()) return a.labels.size() < b.labels.size();
    return a.labels < b.labels;
  }
};

}  // namespace

bool Series::has_samples() const {
  return std::ranges::any_of(values, [](double value) { return !std::isnan(value); });
}

std::string label_text(const Static& value) {
  return value.type == StaticType::String ? value.text : format_static(value);
}

Static to_label_value(Static value) {
  switch (value.type) {
    case StaticType::Status:
      return Static::of_string(std::string(status_text(static_cast<std::uint8_t>(value.integer))));
    case StaticType::Kind:
      return Static::of_string(std::string(kind_text(static_cast<std::uint8_t>(value.integer))));
    case StaticType::Duration:
      return Static::of_string(format_go_duration(value.integer));
    case StaticType::Nil:
    case StaticType::Int:
    case StaticType::Float:
    case StaticType::String:
    case StaticType::Bool:
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray:
      break;
  }
  return value;
}

void append_key(std::string& out, const Static& value) {
  out.push_back(static_cast<char>(value.type));
  switch (value.type) {
    case StaticType::Nil:
      return;
    case StaticType::Int:
    case StaticType::Duration:
    case StaticType::Status:
    case StaticType::Kind:
      return append_number(out, static_cast<std::uint64_t>(value.integer));
    case StaticType::Float:
      // One NaN, and one zero: what compares equal has one key.
      return append_number(out, std::bit_cast<std::uint64_t>(std::isnan(value.number) ? std::nan("")
                                                             : value.number == 0.0    ? 0.0
                                                                                   : value.number));
    case StaticType::Bool:
      out.push_back(value.boolean ? '\1' : '\0');
      return;
    case StaticType::String:
      append_number(out, value.text.size());
      out += value.text;
      return;
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray:
      append_number(out, value.elements.size());
      for (const Static& element : value.elements) append_key(out, element);
      return;
  }
}

void sort_series(SeriesTable& table) {
  std::vector<SortKey> keys(table.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    keys[i].index = i;
    for (const NamedValue& label : table[i].labels) {
      keys[i].labels.emplace_back(label.key, label_text(label.value));
    }
    std::ranges::sort(keys[i].labels);
  }
  // Stable: labels that differ by type alone stay as they came.
  std::ranges::stable_sort(keys, [](const SortKey& a, const SortKey& b) { return a < b; });
  SeriesTable sorted;
  sorted.reserve(table.size());
  for (const SortKey& key : keys) sorted.push_back(std::move(table[key.index]));
  table = std::move(sorted);
}

void drop_empty(SeriesTable& table) {
  std::erase_if(table, [](const Series& s) { return !s.is_notice && !s.has_samples(); });
  for (Series& series : table) {
    std::erase_if(series.exemplars, [&](const PlacedExemplar& placed) {
      return std::isnan(series.values[placed.interval]);
    });
  }
}

}  // namespace gantry::traceql::metrics
