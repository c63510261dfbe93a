#include "gateway/bpe_tokenizer.h"

#include <algorithm>
#include <compare>
#include <functional>
#include <utility>
#include <vector>

#include "gateway/bpe_vocabulary_internal.h"

namespace gantry::gateway {
namespace {

/// Two neighbours that together are a token.
struct Pair {
  std::uint32_t rank;
  std::uint32_t begin;
  std::uint32_t end;

  /// The lowest rank is joined first, and of one rank the leftmost pair.
  friend auto operator<=>(const Pair&, const Pair&) = default;
};

/// Joins the bytes of pieces to tokens. Keeps its memory from one piece to the next.
class PairMerger {
 public:
  explicit PairMerger(const BpeVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  /// How many tokens are left when no two neighbours are one. `piece` is not empty.
  std::int64_t count(std::string_view piece) {
    piece_ = piece;
    const auto size = static_cast<std::uint32_t>(piece.size());
    ends_.resize(size);
    previous_.resize(size + 1);
    pairs_.clear();
    for (std::uint32_t i = 0; i < size; ++i) {
      ends_[i] = i + 1;
      previous_[i + 1] = i;
    }
    for (std::uint32_t i = 0; i + 1 < size; ++i) add_pair(i, i + 2);
    std::ranges::make_heap(pairs_, std::greater());
    std::int64_t left = size;
    while (!pairs_.empty()) {
      std::ranges::pop_heap(pairs_, std::greater());
      const Pair pair = pairs_.back();
      pairs_.pop_back();
      if (!is_current(pair)) continue;
      join(pair);
      --left;
    }
    return left;
  }

 private:
  /// Where a token ended that has become part of the one before it.
  static constexpr std::uint32_t kJoined = 0;

  bool add_pair(std::uint32_t begin, std::uint32_t end) {
    const auto rank = vocabulary_.find_rank(piece_.substr(begin, end - begin));
    if (rank) pairs_.push_back({.rank = *rank, .begin = begin, .end = end});
    return rank.has_value();
  }

  void push_pair(std::uint32_t begin, std::uint32_t end) {
    if (add_pair(begin, end)) std::ranges::push_heap(pairs_, std::greater());
  }

  /// Whether two neighbours are still there that have just these bytes.
  [[nodiscard]] bool is_current(const Pair& pair) const {
    const std::uint32_t middle = ends_[pair.begin];
    return middle != kJoined && middle < pair.end && ends_[middle] == pair.end;
  }

  void join(const Pair& pair) {
    ends_[ends_[pair.begin]] = kJoined;
    ends_[pair.begin] = pair.end;
    previous_[pair.end] = pair.begin;
    if (pair.begin > 0) push_pair(previous_[pair.begin], pair.end);
    if (pair.end < ends_.size()) push_pair(pair.begin, ends_[pair.end]);
  }

  const BpeVocabulary& vocabulary_;
  std::string_view piece_;
  std::vector<std::uint32_t> ends_;      ///< By a token's begin.
  std::vector<std::uint32_t> previous_;  ///< By a token's begin, that of the one before.
  std::vector<Pair> pairs_;              ///< A heap; some are not current any more.
};

}  // namespace

BpeTokenizer::BpeTokenizer(Encoding encoding, std::unique_ptr<const BpeVocabulary> vocabulary)
    : encoding_(encoding), vocabulary_(std::move(vocabulary)) {}

BpeTokenizer::~BpeTokenizer() = default;

std::int64_t BpeTokenizer::count(std::string_view text) const {
  PairMerger merger(*vocabulary_);
  std::int64_t tokens = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = piece_end(encoding_, text, begin);
    for (; begin < end; begin = std::min(end, begin + kPieceBytesMax)) {
      const std::string_view piece = text.substr(begin, std::min(end - begin, kPieceBytesMax));
      tokens += vocabulary_->find_rank(piece) ? 1 : merger.count(piece);
    }
  }
  return tokens;
}

}  // namespace gantry::gateway
