#include "gateway/bpe_tokenizer.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "gateway/testing/small_vocabulary.h"

namespace gantry::gateway {
namespace {

using testing::small_vocabulary;
using testing::vocabulary_line;

std::shared_ptr<const BpeTokenizer> make(const std::vector<std::string>& tokens,
                                         Encoding encoding = Encoding::O200kBase) {
  auto tokenizer = BpeTokenizer::parse(encoding, small_vocabulary(tokens), "test");
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return *tokenizer;
}

std::string error_of(const std::string& vocabulary) {
  const auto tokenizer = BpeTokenizer::parse(Encoding::O200kBase, vocabulary, "v.tiktoken");
  return tokenizer ? "" : tokenizer.error().message;
}

TEST(BpeTokenizer, JoinsTheLowestRankFirst) {
  // "bc" before "ab": abc is a + bc, although abc would be reached by ab + c.
  EXPECT_EQ(make({"bc", "ab"})->count("abc"), 2);
  EXPECT_EQ(make({"ab", "bc"})->count("abcd"), 3);
  EXPECT_EQ(make({"ab", "cd", "abcd"})->count("xabcd"), 2);
  // A piece that is a token is one, even if no joining leads there.
  EXPECT_EQ(make({"abcd"})->count("abcd"), 1);
  EXPECT_EQ(make({"abcd"})->count("abcde"), 5);
  // Of one rank the leftmost first: aa + a.
  EXPECT_EQ(make({"aa", "aaaa"})->count("aaaaaaa"), 3);
  EXPECT_EQ(make({"aa"})->count(""), 0);
  EXPECT_EQ(make({"aa"})->count("\xff\xfe"), 2);
}

TEST(BpeTokenizer, JoinsNothingAcrossPieces) {
  EXPECT_EQ(make({"a b", "a ", " b"})->count("a b"), 2);
  EXPECT_EQ(make({"1234", "12", "34", "123"})->count("1234"), 2);
  EXPECT_EQ(make({"don't"})->count("don't"), 1);
  EXPECT_EQ(make({"don't", "'t"}, Encoding::Cl100kBase)->count("don't"), 4);
}

TEST(BpeTokenizer, TakesWhatLooksSpecialAsText) {
  EXPECT_EQ(make({})->count("<|endoftext|>"), 13);
}

TEST(BpeTokenizer, RefusesWhatIsNoVocabulary) {
  const std::string whole = small_vocabulary({});
  EXPECT_EQ(error_of(whole), "");
  EXPECT_EQ(error_of(whole + "\r\n\n"), "") << "empty lines";
  EXPECT_EQ(error_of(""), "v.tiktoken: no token for the byte 0x00: not a whole vocabulary");
  EXPECT_EQ(error_of(whole.substr(whole.find('\n') + 1)),
            "v.tiktoken: no token for the byte 0x00: not a whole vocabulary");
  EXPECT_EQ(error_of(whole + "YWI=\n"),
            "v.tiktoken:257: not a token in base64, a space and a rank");
  EXPECT_EQ(error_of(whole + "YWI= -1\n"), "v.tiktoken:257: the rank is not a whole number");
  EXPECT_EQ(error_of(whole + "YWI= 256 \n"), "v.tiktoken:257: the rank is not a whole number");
  EXPECT_EQ(error_of(whole + "YWI= 99999999999\n"),
            "v.tiktoken:257: the rank is not a whole number");
  EXPECT_EQ(error_of(whole + "YWI= 1048576\n"),
            "v.tiktoken:257: rank 1048576, the limit is 1048575");
  EXPECT_EQ(error_of(whole + "YWI= 255\n"), "v.tiktoken:257: rank 255 is there twice");
  EXPECT_EQ(error_of(whole + "\nQQ== 256\n"), "v.tiktoken:258: the token is there twice");
  for (const char* const token : {"YWI", "YW=I", "Y===", "====", "YWJ=", "Y-I=", ""}) {
    EXPECT_EQ(error_of(whole + token + " 256\n"), "v.tiktoken:257: the token is not base64")
        << token;
  }
  EXPECT_EQ(error_of(whole + vocabulary_line(std::string(1024, 'x'), 256)), "");
  EXPECT_EQ(error_of(whole + vocabulary_line(std::string(1025, 'x'), 256)),
            "v.tiktoken:257: a token of 1025 bytes, the limit is 1024");
  EXPECT_EQ(error_of(std::string((32 << 20) + 1, '\n')),
            "v.tiktoken: 33554433 bytes, the limit is 33554432");
}

TEST(BpeTokenizer, ReadsFiles) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("gantry-vocabulary-" + std::to_string(::getpid()) + ".tiktoken");
  std::ofstream(path, std::ios::binary) << small_vocabulary({"he", "hello"});
  const auto tokenizer = BpeTokenizer::load(Encoding::O200kBase, path.string());
  std::filesystem::remove(path);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->count("hello hell"), 1 + 4);
  const auto missing = BpeTokenizer::load(Encoding::O200kBase, path.string());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::NotFound);
  EXPECT_EQ(missing.error().message, path.string() + ": No such file or directory");
  const auto directory = BpeTokenizer::load(Encoding::O200kBase, "/tmp");
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().message, "/tmp: cannot be read");
}

TEST(BpeTokenizer, CountsALongPiece) {
  const auto tokenizer = make({"aa", "aaaa", "aaaaaaaa"});
  constexpr std::size_t kBytes = 64 << 10;
  EXPECT_EQ(tokenizer->count(std::string(kBytes, 'a')), kBytes / 8);
}

TEST(BpeTokenizer, CountsAPieceThatIsTooLongInParts) {
  constexpr std::size_t kPartBytes = 1 << 20;
  const auto tokenizer = make({"ab"});
  EXPECT_EQ(tokenizer->count(std::string(98, 'z') + "ab"), 99);
  // The "ab" lies across the end of the first part.
  EXPECT_EQ(tokenizer->count(std::string(kPartBytes - 1, 'z') + "ab"), kPartBytes + 1);
}

/// The definition: joins, one at a time, the leftmost of the pairs of lowest rank.
std::int64_t count_plainly(const std::map<std::string, std::size_t>& ranks,
                           const std::string& piece) {
  if (ranks.contains(piece)) return 1;
  std::vector<std::string> parts;
  for (const char c : piece) parts.emplace_back(1, c);
  while (true) {
    std::size_t best = parts.size();
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find(parts[i] + parts[i + 1]);
      if (found == ranks.end()) continue;
      if (best == parts.size() || found->second < ranks.at(parts[best] + parts[best + 1])) best = i;
    }
    if (best == parts.size()) return static_cast<std::int64_t>(parts.size());
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

RC_GTEST_PROP(BpeTokenizerProperty, EqualsThePlainTwin, ()) {
  const auto letters = rc::gen::element('a', 'b', 'c');
  // Tokens of which some can be joined and some cannot.
  std::set<std::string> made;
  for (const std::string& more :
       *rc::gen::container<std::vector<std::string>>(rc::gen::container<std::string>(letters))) {
    made.insert(std::string{*letters, *letters} + more);
  }
  std::vector<std::string> tokens(made.begin(), made.end());
  for (const std::string pair : {"ab", "ca", "bb"}) {
    if (*rc::gen::arbitrary<bool>() && !made.contains(pair)) tokens.push_back(pair);
  }
  std::map<std::string, std::size_t> ranks;
  for (std::size_t i = 0; i < tokens.size(); ++i) ranks[tokens[i]] = i;
  const auto tokenizer = make(tokens);
  for (int i = 0; i < 10; ++i) {
    const auto text = *rc::gen::resize(200, rc::gen::container<std::string>(letters));  // one piece
    RC_ASSERT(tokenizer->count(text) == (text.empty() ? 0 : count_plainly(ranks, text)));
  }
}

}  // namespace
}  // namespace gantry::gateway
