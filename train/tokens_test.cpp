#include "train/tokens.h"

#include <gmock/gmock.h>

#include <set>

#include "common/files.h"
#include "common/test_support.h"

namespace aneval::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(TokenFile, ReadsIdsOfBothWidths) {
  TemporaryFolder folder;
  const std::uint16_t narrow[] = {3, 0, 299, 65535};
  const std::uint32_t wide[] = {70000, 1};
  write_file(folder / "narrow", std::as_bytes(std::span(narrow)));
  write_file(folder / "wide", std::as_bytes(std::span(wide)));
  EXPECT_THAT(read_token_file(folder / "narrow", 16, 65536), ElementsAre(3, 0, 299, 65535));
  EXPECT_THAT(read_token_file(folder / "wide", 32, 151936), ElementsAre(70000, 1));
}

TEST(TokenFile, RefusesWhatTheModelCannotRead) {
  TemporaryFolder folder;
  const std::uint16_t ids[] = {3, 300};
  write_file(folder / "ids", std::as_bytes(std::span(ids)));
  write_file(folder / "odd", std::string_view("abc"));
  write_file(folder / "empty", std::string_view());
  const auto message = [&](const char* file, int bits, std::int64_t vocab) -> std::string {
    const Error error = error_of([&] { read_token_file(folder / file, bits, vocab); });
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  };
  EXPECT_THAT(message("ids", 16, 300), HasSubstr("token 300 at position 1 is outside the vocabulary of 300"));
  EXPECT_THAT(message("ids", 16, 65537), HasSubstr("16-bit ids cannot name the 65537 entries"));
  EXPECT_THAT(message("odd", 16, 300), HasSubstr("3 bytes are no whole number of 16-bit ids"));
  EXPECT_THAT(message("empty", 32, 300), HasSubstr("is empty"));
  EXPECT_THAT(message("ids", 8, 300), HasSubstr("neither 16 nor 32"));
  // Two 16-bit ids read as one of 32 bits.
  EXPECT_THAT(message("ids", 32, 300), HasSubstr("token 19660803 at position 0"));
}

TEST(Bytes, AreIdsAndNeedAVocabularyForThem) {
  EXPECT_THAT(byte_tokens("a\xff", 256), ElementsAre(97, 255));
  EXPECT_THAT(error_of([] { byte_tokens("a", 255); }).what(), HasSubstr("has 255 entries, and bytes need 256"));
  EXPECT_THAT(error_of([] { byte_tokens("", 256); }).what(), HasSubstr("is empty"));
}

TEST(SequenceSampler, DependsOnSeedStepAndMicroStepAlone) {
  TokenIds tokens(1000);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i);
  const SequenceSampler sampler(tokens, 16, 7);
  std::set<std::int32_t> begins;
  for (std::int64_t step = 0; step < 50; ++step)
    for (std::int64_t micro = 0; micro < 2; ++micro) {
      const auto sequence = sampler.sequence(step, micro);
      ASSERT_EQ(sequence.size(), 17u);
      EXPECT_EQ(sequence.back(), sequence.front() + 16);
      begins.insert(sequence.front());
      EXPECT_EQ(SequenceSampler(tokens, 16, 7).sequence(step, micro).data(), sequence.data());
    }
  // 100 draws from 984 places: 5 repeats are expected, fewer than 75 different ones would take a broken generator.
  EXPECT_GT(begins.size(), 75u);
  EXPECT_NE(SequenceSampler(tokens, 16, 8).sequence(0, 0).front(), sampler.sequence(0, 0).front());
}

TEST(SequenceSampler, TakesDataOfExactlyOneSequenceAndNoLess) {
  const TokenIds tokens(17, 1);
  EXPECT_EQ(SequenceSampler(tokens, 16, 1).sequence(5, 0).data(), tokens.data());
  EXPECT_THAT(error_of([&] { SequenceSampler(tokens, 17, 1); }).what(),
              HasSubstr("17 tokens are fewer than a sequence of 17"));
}

TEST(Compaction, KeepsTheRowsOfWhatOccurs) {
  const TokenIds tokens = {4, 1, 4, 3};
  const TokenIds ids = occurring_ids(tokens);
  EXPECT_THAT(ids, ElementsAre(1, 3, 4));
  EXPECT_THAT(compact_tokens(tokens, ids), ElementsAre(2, 0, 2, 1));
  EXPECT_THROW(compact_tokens({2}, ids), std::logic_error);
  reference::Model model;
  model.shape.vocab = 5;
  model.globals["embedding"] = Tensor({5, 2});
  model.globals["embedding"].data = {0, 1, 10, 11, 20, 21, 30, 31, 40, 41};
  const reference::Model compact = compact_model(model, ids);
  EXPECT_EQ(compact.shape.vocab, 3);
  EXPECT_EQ(compact.globals.at("embedding").shape, (std::vector<std::int64_t>{3, 2}));
  EXPECT_THAT(compact.globals.at("embedding").data, ElementsAre(10, 11, 30, 31, 40, 41));
}

}  // namespace
}  // namespace aneval::train
