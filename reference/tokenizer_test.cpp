// Tokenizers: encoding by hand-checked merges, against the plain quadratic algorithm, and bad files.
#include <gmock/gmock.h>

#include <cstring>
#include <limits>

#include "common/error.h"
#include "common/files.h"
#include "reference/llama2c.h"
#include "reference/test_support.h"

namespace aneval::reference {
namespace {

using Vocabulary = std::vector<std::pair<std::string, float>>;

/// unk, BOS, EOS and 256 bytes, then what is given (ids from 259).
Vocabulary vocabulary(const Vocabulary& more) {
  Vocabulary all = {{"<unk>", 0}, {"\n<s>\n", 0}, {"\n</s>\n", 0}};
  for (int byte = 0; byte < 256; ++byte) all.emplace_back("<0x" + std::to_string(byte) + ">", 0.0f);
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

template <class T>
void append(std::string& content, T value) {
  content.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string file_of(const Vocabulary& tokens) {
  std::string content;
  append(content, std::int32_t{27});
  for (const auto& [bytes, score] : tokens) {
    append(content, score);
    append(content, static_cast<std::int32_t>(bytes.size()));
    content += bytes;
  }
  return content;
}

class TokenizerTest : public testing::Test {
 protected:
  Tokenizer read(const std::string& content, std::size_t vocab) {
    write_file(file_, content);
    return Tokenizer::read(file_, static_cast<std::int64_t>(vocab));
  }
  Tokenizer make(const Vocabulary& tokens) { return read(file_of(tokens), tokens.size()); }
  std::string message(const std::string& content, std::size_t vocab) {
    const Error error = error_of([&] { read(content, vocab); });
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_EQ(error.subject(), file_.string());
    return error.what();
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "tok.bin";
};

using Ids = std::vector<std::int32_t>;

TEST_F(TokenizerTest, MergesTheBestPairFirst) {
  const Tokenizer t =
      make(vocabulary({{" ", -1}, {"a", -2}, {"b", -3}, {"c", -4}, {"ab", -6}, {"bc", -5}, {"abc", -7}, {" a", -8}}));
  EXPECT_EQ(t.encode("abc"), (Ids{1, 259, 265}));  // bc, then a and bc; " a" would have been last
  EXPECT_EQ(t.encode("ab"), (Ids{1, 259, 263}));
  EXPECT_EQ(t.encode("a"), (Ids{1, 266}));
  EXPECT_EQ(t.encode("cab"), (Ids{1, 259, 262, 263}));
}

TEST_F(TokenizerTest, AnEqualScoreMergesTheLeftmost) {
  const Tokenizer t = make(vocabulary({{" ", -1}, {"a", -2}, {"aa", -3}}));
  EXPECT_EQ(t.encode("aaa"), (Ids{1, 259, 261, 260}));
}

TEST_F(TokenizerTest, EmptyTextIsBosAlone) { EXPECT_EQ(make(vocabulary({})).encode(""), Ids{1}); }

TEST_F(TokenizerTest, UnknownCharactersFallBackToBytes) {
  const Tokenizer t = make(vocabulary({{" ", -1}, {"\u00e9", -2}}));
  EXPECT_EQ(t.encode("\u00e9"), (Ids{1, 259, 260}));
  EXPECT_EQ(t.encode("\u20ac"), (Ids{1, 259, 0xE2 + 3, 0x82 + 3, 0xAC + 3}));
  EXPECT_EQ(t.encode("\xff"), (Ids{1, 259, 0xFF + 3}));       // no UTF-8
  EXPECT_EQ(t.encode("\x80"), (Ids{1, 0x20 + 3, 0x80 + 3}));  // joins the space before it
  EXPECT_EQ(t.encode(std::string_view("\0", 1)), (Ids{1, 259, 3}));
  EXPECT_EQ(make(vocabulary({})).encode("x"), (Ids{1, ' ' + 3, 'x' + 3}));
}

TEST_F(TokenizerTest, AByteBeyondASmallVocabularyIsAnError) {
  const Tokenizer t = make({{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {" ", 0}, {"a", 0}});
  EXPECT_EQ(t.encode("a"), (Ids{1, 3, 4}));
  EXPECT_THROW(t.encode("b"), Error);
}

/// The algorithm as it is described: look at all neighbours, merge the best, start again.
Ids encode_slowly(const Vocabulary& tokens, const std::string& text) {
  const auto find = [&](const std::string& bytes) {
    for (std::size_t id = 0; id < tokens.size(); ++id)
      if (tokens[id].first == bytes) return static_cast<std::int32_t>(id);
    return -1;
  };
  const auto bytes = [&](std::int32_t id) { return tokens[static_cast<std::size_t>(id)].first; };
  Ids ids = {find(" ")};
  for (const char c : text) ids.push_back(find(std::string(1, c)));
  for (;;) {
    float best = -std::numeric_limits<float>::infinity();
    std::size_t at = 0;
    std::int32_t merged = -1;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const std::int32_t id = find(bytes(ids[i]) + bytes(ids[i + 1]));
      if (id >= 0 && tokens[static_cast<std::size_t>(id)].second > best) {
        best = tokens[static_cast<std::size_t>(id)].second;
        at = i;
        merged = id;
      }
    }
    if (merged < 0) break;
    ids[at] = merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
  ids.insert(ids.begin(), 1);
  return ids;
}

TEST_F(TokenizerTest, AgreesWithThePlainAlgorithmOnRandomVocabularies) {
  Random random(51);
  for (int round = 0; round < 30; ++round) {
    Vocabulary more = {{" ", -1}, {"a", -1}, {"b", -1}, {"c", -1}};
    for (int i = 0; i < 25; ++i) {
      std::string bytes;
      const std::int64_t length = 2 + random.below(4);
      for (std::int64_t k = 0; k < length; ++k) bytes += " abc"[random.below(4)];
      bool known = false;
      for (const auto& entry : more) known |= entry.first == bytes;
      // Few different scores, so that ties are common.
      if (!known) more.emplace_back(bytes, -static_cast<float>(random.below(6)));
    }
    const Vocabulary tokens = vocabulary(more);
    const Tokenizer t = make(tokens);
    for (int i = 0; i < 20; ++i) {
      std::string text;
      for (std::int64_t k = 1 + random.below(40); k > 0; --k) text += " abc"[random.below(4)];
      EXPECT_EQ(t.encode(text), encode_slowly(tokens, text)) << "'" << text << "'";
    }
  }
}

TEST_F(TokenizerTest, RefusesBadFiles) {
  const Vocabulary tokens = vocabulary({{" ", -1}, {"a", -2}});
  const std::string good = file_of(tokens);
  EXPECT_NO_THROW(read(good, tokens.size()));
  EXPECT_THAT(message(good, tokens.size() + 1), testing::HasSubstr("ends within token 261 of 262"));
  EXPECT_THAT(message(good, tokens.size() - 1), testing::HasSubstr("after 260 tokens 9 bytes are left"));
  EXPECT_THAT(message(good.substr(0, good.size() - 1), tokens.size()), testing::HasSubstr("ends within token 260"));
  EXPECT_THAT(message(good.substr(0, 3), tokens.size()), testing::HasSubstr("ends within the length"));
  EXPECT_THAT(message("", tokens.size()), testing::HasSubstr("ends within the length"));
  const auto with = [&good](std::size_t position, auto value) {
    std::string bad = good;
    std::memcpy(bad.data() + position, &value, sizeof value);
    return bad;
  };
  EXPECT_THAT(message(with(0, std::int32_t{0}), tokens.size()), testing::HasSubstr("longest token has 0 bytes"));
  EXPECT_THAT(message(with(8, std::int32_t{-5}), tokens.size()), testing::HasSubstr("token 0 of 261 has -5 bytes"));
  EXPECT_THAT(message(with(8, std::int32_t{28}), tokens.size()), testing::HasSubstr("token 0 of 261 has 28 bytes"));
  EXPECT_THAT(message(with(4, std::numeric_limits<float>::quiet_NaN()), tokens.size()),
              testing::HasSubstr("score of token 0 of 261 is not finite"));
  EXPECT_THAT(message("Once upon a time there was a text file", tokens.size()), testing::HasSubstr("token 0"));
  EXPECT_THROW(Tokenizer::read(folder_ / "absent.bin", 5), Error);
}

}  // namespace
}  // namespace aneval::reference
