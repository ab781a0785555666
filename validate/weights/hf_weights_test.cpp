// Hugging Face's checkpoints: names, order of lanes, types, config.json, shards.
#include <cstring>

#include "ane/half.h"
#include "validate/weights/hf_fixture.h"
#include "validate/weights/hf_layout.h"

namespace aneval::validate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(HfWeights, AFolderTellsItsModel) {
  write_model(hf_tensors(model_));
  const Weights weights = load_weights(folder());
  ModelShape expected = hf_shape();
  expected.name = "tiny-llama";
  expected.seq = 256;
  expected.residual_scale = 1;
  EXPECT_EQ(weights.model.shape, expected);
  EXPECT_EQ(weights.vocab, 19);
  EXPECT_EQ(weights.model.layers, model_.layers);
  EXPECT_EQ(weights.model.globals, model_.globals);
  // The file alone, with config.json beside it, is the same.
  EXPECT_EQ(load_weights(folder() / "model.safetensors").model.layers, model_.layers);
}

// Not by indices but by what it is for: lanes paired as halves, with the file's weights, are the same model.
TEST_F(HfWeights, TheOrderOfLanesChangesNothingThatAModelComputes) {
  write_model(hf_tensors(model_));
  const std::vector<std::int32_t> tokens = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};
  const reference::Model interleaved = load_weights(folder()).model;
  ModelShape asked = interleaved.shape;
  asked.rope_pairing = RopePairing::half;
  const reference::Model half = load_weights(folder(), asked).model;
  EXPECT_EQ(half.layers[1].at("wk"), hf_tensors(model_).at("model.layers.1.self_attn.k_proj.weight"))
      << "kernels that pair halves take rows as they are";
  EXPECT_NE(half.layers[1].at("wk"), interleaved.layers[1].at("wk"));
  const double loss = reference::model_loss_in<double>(interleaved, tokens, {});
  // The same sums in another order, in double.
  EXPECT_NEAR(reference::model_loss_in<double>(half, tokens, {}), loss, 1e-13);
  reference::Model wrong = half;
  wrong.layers[0]["wk"] = interleaved.layers[0].at("wk");
  EXPECT_GT(std::abs(reference::model_loss_in<double>(wrong, tokens, {}) - loss), 1e-6) << "does the order matter?";
}

TEST_F(HfWeights, PairingThereAndBackIsNothing) {
  Tensor weight({48, 3});
  Random(1, "w").fill_normal(weight.data, 1);
  Tensor moved = weight;
  convert_pairing(moved, 12, RopePairing::interleaved, RopePairing::half);
  EXPECT_EQ(moved, halves(weight, 12));
  convert_pairing(moved, 12, RopePairing::half, RopePairing::interleaved);
  EXPECT_EQ(moved, weight);
  for (const char* name : {"layers.0.wq", "layers.11.wk"}) EXPECT_TRUE(is_rotated(name));
  for (const char* name : {"layers.0.wv", "layers.0.wo", "embedding", "wq"}) EXPECT_FALSE(is_rotated(name));
}

TEST_F(HfWeights, NamesGoBothWays) {
  EXPECT_EQ(hf_name("layers.10.w3"), "model.layers.10.mlp.up_proj.weight");
  EXPECT_EQ(hf_name("classifier"), "lm_head.weight");
  for (const auto& [name, tensor] : hf_tensors(model_)) EXPECT_EQ(hf_name(own_name(name).value()), name);
  for (const char* foreign : {"model.layers.x.mlp.up_proj.weight", "model.layers.01.mlp.up_proj.weight",
                              "model.layers.1.mlp.up_proj.bias", "model.layers.1", "model.layers.", "wq"})
    EXPECT_FALSE(own_name(foreign)) << foreign;
  EXPECT_THROW(hf_name("layers.1.w4"), std::logic_error);
}

TEST_F(HfWeights, ShardsAreOneModel) {
  write_shards();
  const Weights weights = load_weights(folder());
  EXPECT_EQ(weights.model.layers, model_.layers);
  EXPECT_EQ(weights.model.globals, model_.globals);
}

TEST_F(HfWeights, NarrowTypesAreWidenedExactly) {
  NamedTensors wide = hf_tensors(model_);
  StoredTensors narrow;
  for (auto& [name, tensor] : wide) {
    const bool brain = name.find("self_attn") != std::string::npos;
    StoredTensor& stored =
        narrow[name] = {brain ? "BF16" : "F16", tensor.shape, std::vector<std::byte>(2 * tensor.data.size())};
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      std::uint16_t bits = ane::to_half(tensor.data[i]);
      if (brain) {
        std::uint32_t all;
        std::memcpy(&all, &tensor.data[i], 4);
        bits = static_cast<std::uint16_t>(all >> 16);
        all &= 0xFFFF0000U;
        std::memcpy(&tensor.data[i], &all, 4);
      } else {
        tensor.data[i] = ane::to_float(bits);
      }
      std::memcpy(stored.bytes.data() + 2 * i, &bits, 2);
    }
  }
  write_model(wide);
  const reference::Model expected = load_weights(folder()).model;
  write_safetensors(folder() / "model.safetensors", {}, {}, narrow);
  const reference::Model got = load_weights(folder()).model;
  EXPECT_EQ(got.layers, expected.layers);
  EXPECT_EQ(got.globals, expected.globals);

  const std::uint16_t infinity = 0x7F80;
  std::memcpy(narrow["model.layers.1.self_attn.v_proj.weight"].bytes.data(), &infinity, 2);
  write_safetensors(folder() / "model.safetensors", {}, {}, narrow);
  EXPECT_THAT(error(), HasSubstr("tensor 'model.layers.1.self_attn.v_proj.weight': a value of it is not finite"));
  narrow["model.layers.1.self_attn.v_proj.weight"] = narrow["model.layers.0.self_attn.v_proj.weight"];
  narrow["model.norm.weight"] = {"I8", {24}, std::vector<std::byte>(24)};
  write_safetensors(folder() / "model.safetensors", {}, {}, narrow);
  EXPECT_THAT(error(), HasSubstr("has type I8"));
}

TEST_F(HfWeights, TiedAsConfigAndTensorsSay) {
  const reference::Model tied = hf_model(true);
  write_model(hf_tensors(tied));
  EXPECT_THAT(error(), AllOf(HasSubstr("tensor 'lm_head.weight': is missing"), HasSubstr("config.json")));
  config_.erase("tie_word_embeddings");
  write_config();
  EXPECT_FALSE(load_weights(folder()).model.globals.contains("classifier"));
  config_["tie_word_embeddings"] = true;
  write_config();
  EXPECT_FALSE(load_weights(folder()).model.globals.contains("classifier"));
  // Stored all the same.
  NamedTensors both = hf_tensors(tied);
  both["lm_head.weight"] = both["model.embed_tokens.weight"];
  write_model(both);
  EXPECT_FALSE(load_weights(folder()).model.globals.contains("classifier"));
  both["lm_head.weight"].data[7] += 1;
  write_model(both);
  EXPECT_THAT(error(), HasSubstr("'lm_head.weight' and 'model.embed_tokens.weight' differ"));
}

TEST_F(HfWeights, WhatConfigLeavesOutHasHuggingFacesDefaults) {
  write_model(hf_tensors(model_));
  for (const char* key : {"model_type", "hidden_act", "rope_scaling", "attention_bias", "rms_norm_eps",
                          "max_position_embeddings", "torch_dtype"})
    config_.erase(key);
  config_.erase("rope_theta");
  config_["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 20000.5}};
  config_["sliding_window"] = 4096, config_["use_sliding_window"] = false;
  config_["layer_types"] = {"full_attention", "full_attention"};
  write_config();
  const ModelShape shape = load_weights(folder()).model.shape;
  EXPECT_EQ(shape.rope_base, 20000.5);
  EXPECT_EQ(shape.rms_eps, 1e-6);
  config_.erase("rope_parameters");
  config_["max_position_embeddings"] = 100;
  write_config();
  EXPECT_EQ(load_weights(folder()).model.shape.rope_base, 10000);
  EXPECT_EQ(load_weights(folder()).model.shape.seq, 100);
  // head_dim and key/value heads: 24/4 and 4, which these tensors contradict.
  config_.erase("head_dim");
  write_config();
  EXPECT_THAT(error(),
              HasSubstr("has shape [16, 24], and by " + (folder() / "config.json").string() + " it has [12, 24]"));
  config_["head_dim"] = nullptr, config_["hidden_size"] = 26;
  write_config();
  EXPECT_THAT(error(), HasSubstr("26 is no multiple of num_attention_heads 4"));
}

}  // namespace
}  // namespace aneval::validate
