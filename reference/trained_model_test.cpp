// The reference on trained weights: karpathy/tinyllamas stories260K with its 512-entry tokenizer (MIT), from the folder
// that ANEVAL_DATA names. A model that predicts text well is a check that no formula of our own can share errors with.
#include <gtest/gtest.h>

#include <cstdlib>

#include "reference/llama2c.h"
#include "reference/test_support.h"

namespace aneval::reference {
namespace {

class TrainedModel : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("ANEVAL_DATA");
    if (folder == nullptr || !std::filesystem::exists(std::filesystem::path(folder) / "stories260K.bin"))
      GTEST_SKIP() << "set ANEVAL_DATA to a folder with stories260K.bin and tok512.bin of karpathy/tinyllamas";
    const std::filesystem::path path = folder;
    model_ = read_llama2c(path / "stories260K.bin");
    tokenizer_ = Tokenizer::read(path / "tok512.bin", model_.shape.vocab);
  }

  Model model_;
  Tokenizer tokenizer_;
};

constexpr const char* kStory =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";
constexpr const char* kMinutes = "The committee approved the fiscal budget after lengthy deliberation.";

TEST_F(TrainedModel, HasTheShapeOfStories260K) {
  const ModelShape& s = model_.shape;
  EXPECT_EQ(s.name, "stories260K");
  EXPECT_EQ(s.dim, 64);
  EXPECT_EQ(s.hidden, 172);
  EXPECT_EQ(s.layers, 5);
  EXPECT_EQ(s.heads, 8);
  EXPECT_EQ(s.kv_heads, 4);
  EXPECT_EQ(s.vocab, 512);
  EXPECT_EQ(s.seq, 512);
}

TEST_F(TrainedModel, EncodesStoriesCompactly) {
  const auto tokens = tokenizer_.encode(kStory);
  EXPECT_EQ(tokens.front(), 1);
  EXPECT_EQ(tokens.size(), 32u);  // 92 characters
}

// What the model was trained on costs 0.3 to 1.6 nats per token (less for its most common opening), other English
// about 4, and guessing ln 512 = 6.24.
TEST_F(TrainedModel, PredictsStoriesBetterThanOtherEnglish) {
  const double story = model_loss(model_, tokenizer_.encode(kStory));
  const double minutes = model_loss(model_, tokenizer_.encode(kMinutes));
  EXPECT_GT(story, 0.1);
  EXPECT_LT(story, 1.6);
  EXPECT_GT(minutes, 3);
  EXPECT_LT(minutes, std::log(512.0));
}

TEST_F(TrainedModel, TheCyclicHeadMapRuinsIt) {
  const auto tokens = tokenizer_.encode(kStory);
  EXPECT_GT(model_loss(model_, tokens, {.cyclic_heads = true}), 3);
}

TEST_F(TrainedModel, TheOtherRopePairingRuinsItToo) {
  const auto tokens = tokenizer_.encode(kStory);
  Model other = model_;
  other.shape.rope_pairing = RopePairing::half;
  EXPECT_GT(model_loss(other, tokens), model_loss(model_, tokens) + 0.5);
}

TEST_F(TrainedModel, FloatAgreesWithDoubleThroughAllLayers) {
  const auto tokens = tokenizer_.encode(kStory);
  const ModelTrace trace = trace_model(model_, tokens);
  const auto trace_double = trace_model_in<double>(model_, tokens, {});
  EXPECT_EQ(trace.predictions, 31);
  // Five layers of 14 products there and back, at most F = 172 terms each, within sqrt(n)·u without cancellation.
  const double bound = 5 * 14 * std::sqrt(172.0) * kUnitFloat;
  EXPECT_NEAR(trace.loss, trace_double.loss, bound * trace_double.loss);
  for (std::size_t layer = 0; layer < trace.layers.size(); ++layer)
    for (const char* name : {"dx", "dwq", "dwk", "dwv", "dwo", "dw1", "dw2", "dw3", "drms_att", "drms_ffn"})
      EXPECT_LE(
          relative_difference(trace.layers[layer].backward.at(name), trace_double.layers[layer].backward.at(name)),
          bound)
          << name << " of layer " << layer;
}

}  // namespace
}  // namespace aneval::reference
