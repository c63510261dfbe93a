#pragma once

// Parts of series_description.cc: the scanner of items, histogram literals, and the addition that
// `{{…}}+{{…}}xN` stands for.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql {

/// Reads the items of a series from left to right. Keeps a view of the line.
class SeriesScanner {
 public:
  SeriesScanner(std::string_view line, std::size_t position) : line_(line), position_(position) {}

  [[nodiscard]] bool is_at_end() const { return position_ >= line_.size(); }

  [[nodiscard]] std::size_t position() const { return position_; }

  /// NUL at the end.
  [[nodiscard]] char peek() const { return is_at_end() ? '\0' : line_[position_]; }

  [[nodiscard]] bool starts_with(std::string_view text) const {
    return line_.substr(position_).starts_with(text);
  }

  bool accept(char c);
  bool accept(std::string_view text);
  /// `word`, not followed by another word character.
  bool accept_word(std::string_view word);
  void skip_space();
  /// Letters, digits and underscores; may be empty.
  std::string_view read_word();

  /// At "NaN" or "Inf", in any case, with or without a sign.
  [[nodiscard]] bool is_at_special_number() const;
  /// A signed decimal, NaN or Inf. Stops in front of "x", "+" and "-".
  Result<double> read_number();
  Result<std::size_t> read_count();
  /// A signed duration, in milliseconds.
  Result<std::int64_t> read_duration();

  [[nodiscard]] std::unexpected<Error> error(std::string_view message) const;
  [[nodiscard]] std::unexpected<Error> error_at(std::size_t position,
                                                std::string_view message) const;
  /// unexpected "…" in `context`
  [[nodiscard]] std::unexpected<Error> unexpected(std::string_view context) const;

 private:
  [[nodiscard]] std::size_t word_end(std::size_t position) const;
  [[nodiscard]] std::size_t number_end(std::size_t position) const;

  std::string_view line_;
  std::size_t position_ = 0;
};

struct HistogramLiteral {
  telemetry::FloatHistogram histogram;
  bool is_hint_written = false;
};

/// `{{schema:1 sum:4 buckets:[1 2]}}`, the scanner being at the braces.
Result<HistogramLiteral> read_histogram_literal(SeriesScanner& scanner);

/// a + sign·b, as PromQL adds histograms: buckets are brought to a's schema and to a common zero
/// threshold, custom bounds to those that both have. Errors: InvalidArgument when `b` is coarser
/// than `a`, or only one of them has custom buckets.
Result<telemetry::FloatHistogram> combine_histograms(const telemetry::FloatHistogram& a,
                                                     const telemetry::FloatHistogram& b,
                                                     double sign);

}  // namespace gantry::promql
