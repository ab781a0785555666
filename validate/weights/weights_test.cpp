// Weights from safetensors: names and shapes are checked, fp16 is widened, anything else is refused by name.
#include "validate/weights/weights.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>

#include "ane/half.h"
#include "common/error.h"
#include "validate/suites.h"
#include "validate/weights/load_weights.h"

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;

class Weights : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = std::filesystem::temp_directory_path() / ("aneval-weights-" + std::to_string(getpid()) + ".safetensors");
    shape_ = edge_shapes().front();
    const std::int64_t d = shape_.dim, f = shape_.hidden, q = shape_.q_dim(), k = shape_.kv_dim();
    tensors_["embedding"] = Tensor({shape_.vocab, d});
    tensors_["rms_final"] = Tensor({d});
    for (std::int64_t layer = 0; layer < shape_.layers; ++layer) {
      const std::map<std::string, std::vector<std::int64_t>> shapes = {
          {"wq", {q, d}}, {"wk", {k, d}}, {"wv", {k, d}},   {"wo", {d, q}},  {"w1", {f, d}},
          {"w2", {d, f}}, {"w3", {f, d}}, {"rms_att", {d}}, {"rms_ffn", {d}}};
      for (const auto& [name, dims] : shapes) {
        Tensor tensor(dims);
        tensor.data.front() = static_cast<float>(layer + 1);
        tensors_["layers." + std::to_string(layer) + "." + name] = tensor;
      }
    }
  }
  void TearDown() override { std::filesystem::remove(file_); }

  std::string error_of() {
    write_safetensors(file_, tensors_);
    try {
      (void)load_weights(file_, shape_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      return error.what();
    }
    return "";
  }

  std::filesystem::path file_;
  ModelShape shape_;
  NamedTensors tensors_;
};

TEST_F(Weights, EveryLayerGetsItsOwnTensorsAndAClassifierIsOptional) {
  write_safetensors(file_, tensors_);
  const reference::Model tied = load_weights(file_, shape_).model;
  ASSERT_EQ(tied.layers.size(), 2u);
  EXPECT_EQ(tied.layers[1].at("w2").data.front(), 2.0F);
  EXPECT_EQ(tied.layers[0].at("rms_att").shape, (std::vector<std::int64_t>{shape_.dim}));
  EXPECT_FALSE(tied.globals.contains("classifier"));
  tensors_["classifier"] = Tensor({shape_.vocab, shape_.dim});
  write_safetensors(file_, tensors_);
  EXPECT_TRUE(load_weights(file_, shape_).model.globals.contains("classifier"));
}

TEST_F(Weights, MissingAndMisshapenTensorsAreNamed) {
  const Tensor wk = tensors_.at("layers.1.wk");
  tensors_.erase("layers.1.wk");
  EXPECT_THAT(error_of(), HasSubstr("layers.1.wk"));
  tensors_["layers.1.wk"] = Tensor({wk.shape[1], wk.shape[0]});
  EXPECT_THAT(error_of(), HasSubstr("[64, 32]"));
}

TEST(Integers, AreWholeNumbersOfAnyOfThreeTypes) {
  StoredTensor stored{"I64", {1}, std::vector<std::byte>(8)};
  const std::int64_t wide = -5'000'000'000;
  std::memcpy(stored.bytes.data(), &wide, 8);
  EXPECT_EQ(integers_of("i", stored, "file"), std::vector{wide});
  stored = {"I32", {2}, stored.bytes};
  EXPECT_EQ(integers_of("i", stored, "file"), (std::vector<std::int64_t>{-705032704, -2}));
  const float floats[2] = {3, 151935};
  std::memcpy(stored.bytes.data(), floats, 8);
  stored.dtype = "F32";
  EXPECT_EQ(integers_of("i", stored, "file"), (std::vector<std::int64_t>{3, 151935}));
  for (const float bad : {0.5F, 1e30F, std::numeric_limits<float>::quiet_NaN()}) {
    std::memcpy(stored.bytes.data(), &bad, 4);
    EXPECT_THROW(integers_of("i", stored, "file"), Error) << bad;
  }
  stored.dtype = "F64";
  EXPECT_THROW(integers_of("i", stored, "file"), Error);
}

TEST(Widen, TakesNarrowFloatsAndRefusesOtherTypes) {
  StoredTensor stored{"F16", {2}, std::vector<std::byte>(4)};
  const ane::half_t bits[2] = {ane::to_half(1.5F), ane::to_half(-2.0F)};
  std::memcpy(stored.bytes.data(), bits, 4);
  EXPECT_EQ(widen("w", stored, "file").data, (Floats{1.5F, -2.0F}));
  // 1.5 and the smallest subnormal of bf16: the upper halves of fp32 numbers.
  const std::uint16_t brain[2] = {0x3FC0, 0x8001};
  std::memcpy(stored.bytes.data(), brain, 4);
  stored.dtype = "BF16";
  EXPECT_EQ(widen("w", stored, "file").data, (Floats{1.5F, -0x1p-133F}));
  stored.dtype = "I16";
  try {
    (void)widen("w", stored, "file");
    FAIL() << "widened a type it does not know";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("I16"));
    EXPECT_THAT(error.what(), HasSubstr("'w'"));
  }
}

}  // namespace
}  // namespace aneval::validate
