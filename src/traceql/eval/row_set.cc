#include "traceql/eval/row_set.h"

#include <algorithm>

namespace gantry::traceql {

std::uint64_t RowSet::count() const {
  std::uint64_t count = 0;
  for (const std::uint64_t word : words_) count += static_cast<unsigned>(std::popcount(word));
  return count;
}

bool RowSet::is_empty() const {
  return std::ranges::all_of(words_, [](std::uint64_t word) { return word == 0; });
}

RowSet& RowSet::operator&=(const RowSet& other) {
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
  return *this;
}

RowSet& RowSet::operator|=(const RowSet& other) {
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
  return *this;
}

RowSet& RowSet::operator-=(const RowSet& other) {
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= ~other.words_[w];
  return *this;
}

void RowSet::invert() {
  for (std::uint64_t& word : words_) word = ~word;
  clear_tail();
}

}  // namespace gantry::traceql
