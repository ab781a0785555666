// Weights and steps to and from other frameworks, through the commands.
#include <nlohmann/json.hpp>

#include "cli/cli_fixture.h"
#include "common/result_file.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Interop : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    write_file(path("small.json"),
               R"({"name":"small","dim":32,"hidden":64,"heads":4,"kv_heads":2,"head_dim":8,"seq":16,"layers":2,)"
               R"("vocab":256,"residual_scale":1})");
  }

  std::vector<std::string> command(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"train", "--out", path(out), "--controls", "0", "--warmup", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::string> small(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> all = command(out, {"--model", path("small.json"), "--steps", "4"});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<double> losses(const std::string& out) const {
    std::vector<double> all;
    for (const Record& row : rows_of(path(out) + "/results.csv"))
      if (row.metric == "loss" && row.case_text.starts_with("run=device;")) all.push_back(row.value.value());
    return all;
  }

  /// The dump as Hugging Face's model folder: its weights, and a config.json of its shape.
  void write_folder(const std::string& name, const std::string& dump) const {
    fs::create_directory(path(name));
    StoredTensors tensors = read_safetensors(path(dump));
    std::erase_if(tensors, [](const auto& entry) { return !entry.first.starts_with("model."); });
    write_safetensors(path(name) + "/model.safetensors", {}, {{"format", "pt"}}, tensors);
    const nlohmann::json config = {{"model_type", "llama"},       {"hidden_size", 32},        {"intermediate_size", 64},
                                   {"num_hidden_layers", 2},      {"num_attention_heads", 4}, {"head_dim", 8},
                                   {"num_key_value_heads", 2},    {"rms_norm_eps", 1e-5},     {"rope_theta", 10000.0},
                                   {"tie_word_embeddings", true}, {"vocab_size", 256}};
    write_file(path(name) + "/config.json", config.dump());
  }
};

TEST_F(Interop, ADumpIsWeightsForTheSameLossesBitForBit) {
  const ProcessResult result = run(small("t", {"--dump-step", "0", "--dump-step", "2", "--dump-names", "hf"}));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("step    2  dumped to " + path("t") + "/step-2.safetensors"));
  EXPECT_FALSE(fs::exists(path("t") + "/step-1.safetensors"));
  ASSERT_EQ(run(small("plain", {})).code, 0);
  EXPECT_EQ(losses("plain"), losses("t"));
  EXPECT_EQ(read_file(path("t") + "/checkpoint.safetensors"), read_file(path("plain") + "/checkpoint.safetensors"));

  // Its metadata tell the model; Adam begins as it did.
  const ProcessResult again = run(command("again", {"--weights", path("t/step-0.safetensors"), "--steps", "4"}));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("27 of the 256 entries"));
  EXPECT_EQ(losses("again"), losses("t"));
  EXPECT_EQ(read_file(path("again") + "/checkpoint.safetensors"), read_file(path("t") + "/checkpoint.safetensors"));

  // Own names hold the same.
  ASSERT_EQ(run(small("own", {"--dump-step", "0"})).code, 0);
  ASSERT_EQ(run(command("own-again", {"--weights", path("own/step-0.safetensors"), "--steps", "4"})).code, 0);
  EXPECT_EQ(losses("own-again"), losses("t"));

  // Other data have other tokens.
  write_file(path("text"), std::string(300, 'Q') + "a");
  expect_bad_input(command("bad", {"--weights", path("t/step-0.safetensors"), "--data", path("text")}),
                   "has no row for token 81: its embedding holds 27 of 256 entries");
}

TEST_F(Interop, AHuggingFaceFolderTrains) {
  // A vocabulary of which every entry occurs, so that the embedding is whole.
  std::vector<std::uint16_t> ids(4096);
  Random random(1);
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<std::uint16_t>(i < 256 ? static_cast<std::int64_t>(i) : random.below(256));
  write_file(path("ids"), std::as_bytes(std::span(ids)));
  const std::vector<std::string> data = {"--data", path("ids"), "--token-bits", "16"};
  const auto with_data = [&](std::vector<std::string> more) {
    more.insert(more.end(), data.begin(), data.end());
    return more;
  };
  ASSERT_EQ(run(small("t", with_data({"--dump-step", "0", "--dump-names", "hf"}))).code, 0);
  write_folder("llama", "t/step-0.safetensors");
  const ProcessResult result =
      run(command("hf", with_data({"--weights", path("llama"), "--steps", "4", "--seq", "16"})));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("llama: 2 layers, seq 16"));
  EXPECT_EQ(losses("hf"), losses("t"));
  EXPECT_THAT(run(command("one", with_data({"--weights", path("llama"), "--steps", "1", "--layers", "1"}))).out,
              HasSubstr("llama: 1 layers, seq 256"));

  StoredTensors tensors = read_safetensors(path("llama/model.safetensors"));
  tensors["model.layers.1.self_attn.q_norm.weight"] = {"F32", {8}, std::vector<std::byte>(32)};
  write_safetensors(path("llama/model.safetensors"), {}, {}, tensors);
  expect_bad_input(command("bad", with_data({"--weights", path("llama")})),
                   "llama/model.safetensors: tensor 'model.layers.1.self_attn.q_norm.weight': normalises queries");
  EXPECT_FALSE(fs::exists(path("bad") + "/results.csv"));
}

TEST_F(Interop, WhatCannotBeDumpedIsSaidBeforeAnyStep) {
  expect_bad_input(small("t", {"--dump-step", "4"}), "--dump-step 4: the run has steps 0 to 3");
  expect_bad_input(small("t", {"--dump-step", "-1"}), "--dump-step");
  expect_bad_input(small("t", {"--dump-step", "1", "--dump-names", "gguf"}), "--dump-names");
  expect_bad_input(small("t", {"--dump-step", "1", "--dump-names", "hf", "--variant", "head_map=cyclic"}),
                   "--dump-names hf: models with cyclic heads");
  fs::create_directories(path("dir/step-1.safetensors"));
  expect_bad_input(small("dir", {"--dump-step", "1"}), "step-1.safetensors");
  ASSERT_EQ(run(small("t", {"--dump-step", "1"})).code, 0);
  expect_bad_input(small("t", {"--dump-step", "3", "--resume"}), "holds the 4 steps before 4 already");
}

TEST_F(Interop, ValidatesOnItsActivations) {
  const char* data = std::getenv("ANEVAL_DATA");
  if (data == nullptr) GTEST_SKIP() << "ANEVAL_DATA names no folder with checkpoints";
  const std::string bin = (fs::path(data) / "stories260K.bin").string(),
                    tokenizer = (fs::path(data) / "tok512.bin").string();
  write_file(path("text"), "Once upon a time there was a girl. She had a dog." + std::string(2000, 'a'));
  const std::vector<std::string> text = {"--tokenizer", tokenizer};
  ASSERT_EQ(run(command("t", {"--weights", bin, "--tokenizer", tokenizer, "--data", path("text"), "--seq", "32",
                              "--steps", "1", "--dump-step", "0", "--dump-names", "hf"}))
                .code,
            0);
  const auto validate = [&](const std::string& weights) {
    return run({"validate", "--weights", weights, "--tokenizer", tokenizer, "--text", "Once upon a time", "--kernel",
                "woFwd"});
  };
  const ProcessResult result = validate(path("t/step-0.safetensors"));
  EXPECT_EQ(result.code, 0) << result.err << result.out;
  EXPECT_THAT(result.out, AllOf(HasSubstr("reference loss: "), HasSubstr("5 cases")));
}

}  // namespace
}  // namespace aneval
