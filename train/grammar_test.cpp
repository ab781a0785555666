#include "train/grammar.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "common/names.h"

namespace aneval::train {
namespace {

TEST(Grammar, IsTheSameForASeedAndGrowsAtItsEnd) {
  const std::string text = grammar_text(1, 5000);
  EXPECT_GE(text.size(), 5000u);
  EXPECT_LT(text.size(), 5300u);
  EXPECT_EQ(grammar_text(1, 5000), text);
  EXPECT_TRUE(grammar_text(1, 9000).starts_with(text));
  EXPECT_NE(grammar_text(2, 5000), text);
  EXPECT_THAT(text, testing::StartsWith(grammar_text(1, 1)));
  // Pinned: data must not change between platforms, compilers or versions, or trained checkpoints lose their meaning.
  EXPECT_EQ(
      grammar_text(1, 1),
      "some brave frogs that the hungry children find hear a fox near the river and some kings that see some frogs "
      "always wait. ");
}

/// The text of a seed as sentences.
std::vector<std::string> sentences(std::uint64_t seed) {
  std::string text = grammar_text(seed, 60000);
  for (char& c : text)
    if (c == '\n') c = ' ';
  return split(text, '.');
}

// Whatever has no relative clause can be read from left to right: the first noun is the subject, the first verb its.
TEST(Grammar, VerbsAgreeWithTheirSubjects) {
  const std::regex simple(
      "^ ?(?:the|some|a|an)(?: (?:small|red|old|quiet|brave|hungry|tall|kind))? (\\w+)"
      "(?: (?:often|never|always|slowly|today|again))? (\\w+)");
  const std::set<std::string> plural = {"dogs", "cats",  "birds", "children", "foxes",
                                        "mice", "girls", "kings", "frogs"};
  const std::set<std::string> many = {"see",   "like", "hear", "follow", "help", "find", "call",
                                      "sleep", "run",  "sing", "wait",   "are",  "were"};
  int seen = 0;
  for (const std::string& sentence : sentences(3)) {
    std::smatch match;
    if (!std::regex_search(sentence, match, simple) || match[2] == "that" || match[1] == "sheep") continue;
    EXPECT_EQ(plural.contains(match[1]), many.contains(match[2])) << sentence;
    ++seen;
  }
  EXPECT_GT(seen, 300);
}

TEST(Grammar, AVowelIsPrecededByAn) {
  for (const std::string& sentence : sentences(4)) {
    EXPECT_THAT(sentence + " ", testing::Not(testing::HasSubstr(" a old ")));
    EXPECT_FALSE(std::regex_search(sentence, std::regex("\\ban (?!old)"))) << sentence;
  }
}

}  // namespace
}  // namespace aneval::train
