// Checkpoints in llama2.c's format: every array in its place, and one clear error for each kind of bad file.
#include <gmock/gmock.h>

#include <cstring>
#include <limits>

#include "common/error.h"
#include "common/files.h"
#include "reference/llama2c.h"
#include "reference/test_support.h"

namespace aneval::reference {
namespace {

using Header = std::array<std::int32_t, 7>;  // dim, hidden, layers, heads, kv_heads, vocab, seq

constexpr Header kHeader = {12, 10, 2, 3, 1, 7, 5};
// embedding 84, per layer rms 12, wq 144, wk 48, wv 48, wo 144, rms 12, w1 w2 w3 120 each, rms_final 12, rope 2·5·2
constexpr std::int64_t kFloats = 84 + 2 * (12 + 144 + 48 + 48 + 144 + 12 + 3 * 120) + 12 + 20;

/// A file whose float number i is i.
std::string checkpoint(const Header& header, std::int64_t floats) {
  std::string content(sizeof header + 4 * static_cast<std::size_t>(floats), '\0');
  std::memcpy(content.data(), header.data(), sizeof header);
  for (std::int64_t i = 0; i < floats; ++i) {
    const float value = static_cast<float>(i);
    std::memcpy(content.data() + sizeof header + 4 * static_cast<std::size_t>(i), &value, 4);
  }
  return content;
}

class Checkpoint : public testing::Test {
 protected:
  Model read(const std::string& content) {
    write_file(file_, content);
    return read_llama2c(file_);
  }
  std::string message(const std::string& content) {
    write_file(file_, content);
    EXPECT_FALSE(looks_like_llama2c(file_));
    const Error error = error_of([&] { read_llama2c(file_); });
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_EQ(error.subject(), file_.string());
    return error.what();
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "seven.bin";
};

TEST_F(Checkpoint, EveryArrayComesFromItsPlace) {
  const Model model = read(checkpoint(kHeader, kFloats));
  EXPECT_TRUE(looks_like_llama2c(file_));
  ModelShape expected;
  expected.name = "seven";
  expected.dim = 12, expected.hidden = 10, expected.heads = 3, expected.kv_heads = 1, expected.head_dim = 4;
  expected.seq = 5, expected.layers = 2, expected.vocab = 7, expected.residual_scale = 1;
  EXPECT_EQ(model.shape, expected);

  const auto expect = [](const Tensor& tensor, std::vector<std::int64_t> shape, float first) {
    EXPECT_EQ(tensor.shape, shape);
    ASSERT_FALSE(tensor.data.empty());
    EXPECT_EQ(tensor.data.front(), first);
    EXPECT_EQ(tensor.data.back(), first + static_cast<float>(tensor.data.size() - 1));
  };
  expect(model.globals.at("embedding"), {7, 12}, 0);
  expect(model.globals.at("rms_final"), {12}, 84 + 2 * 768);
  EXPECT_FALSE(model.globals.contains("classifier"));
  ASSERT_EQ(model.layers.size(), 2u);
  float start = 84;
  for (const auto& [name, shape] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{{"rms_att", {12}},
                                                                                                  {"wq", {12, 12}},
                                                                                                  {"wk", {4, 12}},
                                                                                                  {"wv", {4, 12}},
                                                                                                  {"wo", {12, 12}},
                                                                                                  {"rms_ffn", {12}},
                                                                                                  {"w1", {10, 12}},
                                                                                                  {"w2", {12, 10}},
                                                                                                  {"w3", {10, 12}}})
    for (const NamedTensors& layer : model.layers) {
      SCOPED_TRACE(name);
      expect(layer.at(name), shape, start);
      start += static_cast<float>(Tensor::element_count(shape));
    }
}

TEST_F(Checkpoint, ANegativeVocabularyBringsAClassifierAfterTheRopeTables) {
  Header header = kHeader;
  header[5] = -7;
  const Model model = read(checkpoint(header, kFloats + 84));
  EXPECT_EQ(model.shape.vocab, 7);
  EXPECT_EQ(model.globals.at("classifier").shape, (std::vector<std::int64_t>{7, 12}));
  EXPECT_EQ(model.globals.at("classifier").data.front(), static_cast<float>(kFloats));
}

TEST_F(Checkpoint, RefusesSizesThatDoNotMatchTheHeader) {
  const std::string good = checkpoint(kHeader, kFloats);
  EXPECT_THAT(message(good.substr(0, good.size() - 1)), testing::HasSubstr("truncated"));
  EXPECT_THAT(message(good.substr(0, 28)), testing::HasSubstr("truncated"));
  EXPECT_THAT(message(good + "x"), testing::HasSubstr("trailing bytes"));
  EXPECT_THAT(message(good.substr(0, 27)), testing::HasSubstr("27 bytes hold no header"));
  EXPECT_THAT(message(""), testing::HasSubstr("0 bytes hold no header"));
}

TEST_F(Checkpoint, RefusesImpossibleHeaders) {
  const auto with = [](std::size_t field, std::int32_t value) {
    Header header = kHeader;
    header[field] = value;
    return checkpoint(header, kFloats);
  };
  const char* names[] = {"dim is", "hidden_dim is", "n_layers is", "n_heads is", "n_kv_heads is", "", "seq_len is"};
  for (std::size_t field : {0u, 1u, 2u, 3u, 4u, 6u})
    for (const std::int32_t value : {0, -1, std::numeric_limits<std::int32_t>::min()})
      EXPECT_THAT(message(with(field, value)), testing::HasSubstr(names[field]));
  EXPECT_THAT(message(with(5, 0)), testing::HasSubstr("vocab_size is 0"));
  EXPECT_THAT(message(with(5, std::numeric_limits<std::int32_t>::min())), testing::HasSubstr("vocab_size is -2147"));
  EXPECT_THAT(message(with(3, 5)), testing::HasSubstr("dim 12 is no multiple of n_heads 5"));
  EXPECT_THAT(message(with(3, 4)), testing::HasSubstr("head dimension 3 is odd"));
  EXPECT_THAT(message(with(4, 2)), testing::HasSubstr("n_heads 3 is no multiple of n_kv_heads 2"));
  Header huge;
  huge.fill(0x40000000);
  huge[3] = huge[4] = 1;
  EXPECT_THAT(message(checkpoint(huge, 1)), testing::HasSubstr("overflow"));
}

TEST_F(Checkpoint, NamesForeignFiles) {
  const std::string rest(100, '\1');
  EXPECT_THAT(message(std::string("\x40\0\0\0\0\0\0\0{\"wq\":{}}", 17) + rest), testing::HasSubstr("safetensors"));
  EXPECT_THAT(message("24ka" + std::string("\1\0\0\0", 4) + rest), testing::HasSubstr("version 1"));
  EXPECT_THAT(message("GGUF" + rest), testing::HasSubstr("GGUF"));
  EXPECT_THAT(message("PK\x03\x04" + rest), testing::HasSubstr("PyTorch"));
  EXPECT_THAT(message("Once upon a time, there was a little text file."), testing::HasSubstr("not a llama2.c"));
}

TEST_F(Checkpoint, RefusesWeightsThatAreNotFinite) {
  std::string content = checkpoint(kHeader, kFloats);
  const float infinite = std::numeric_limits<float>::infinity();
  std::memcpy(content.data() + 28 + 4 * (84 + 24 + 5), &infinite, 4);
  write_file(file_, content);
  EXPECT_THAT(error_of([&] { read_llama2c(file_); }).what(), testing::HasSubstr("a value of wq is not finite"));
}

TEST_F(Checkpoint, AMissingFileOrAFolderIsAnError) {
  EXPECT_FALSE(looks_like_llama2c(folder_ / "absent.bin"));
  EXPECT_THROW(read_llama2c(folder_ / "absent.bin"), Error);
  EXPECT_FALSE(looks_like_llama2c(folder_ / ""));
  EXPECT_THROW(read_llama2c(folder_ / ""), Error);
}

}  // namespace
}  // namespace aneval::reference
