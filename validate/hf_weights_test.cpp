// Hugging Face's checkpoints: names, order of lanes, config.json, shards; and everything in them that the kernels do
// not have is one error that names file, tensor and remedy.
#include <gmock/gmock.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "ane/half.h"
#include "common/files.h"
#include "common/random.h"
#include "common/test_support.h"
#include "validate/hf_layout.h"
#include "validate/load_weights.h"
#include "validate/weights.h"

namespace aneval::validate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

ModelShape small_shape() {
  ModelShape shape;
  shape.name = "small";
  shape.dim = 24, shape.hidden = 40, shape.heads = 4, shape.kv_heads = 2, shape.head_dim = 8;
  shape.seq = 16, shape.layers = 2, shape.vocab = 19;
  shape.rope_base = 500000, shape.rms_eps = 1e-6;
  return shape;
}

/// Every element of every tensor another one; rmsnorm weights are not 1.
reference::Model small_model(bool tied) {
  reference::Model model = random_model(small_shape(), 3);
  if (!tied) model.globals["classifier"] = Tensor({19, 24});
  for (auto& [name, tensor] : model.globals) Random(4, name).fill_normal(tensor.data, 0.5, name == "rms_final" ? 1 : 0);
  for (NamedTensors& layer : model.layers)
    for (const char* name : {"rms_att", "rms_ffn"}) Random(5, name).fill_normal(layer[name].data, 0.3, 1);
  return model;
}

/// As Hugging Face's conversion script does: view(heads, h/2, 2, n).transpose(1, 2).
Tensor halves(const Tensor& weight, std::int64_t h) {
  Tensor result(weight.shape);
  const std::int64_t n = weight.cols();
  for (std::int64_t head = 0; head < weight.rows() / h; ++head)
    for (std::int64_t pair = 0; pair < h / 2; ++pair)
      for (std::int64_t part = 0; part < 2; ++part)
        for (std::int64_t column = 0; column < n; ++column)
          result.data[static_cast<std::size_t>(((head * 2 + part) * (h / 2) + pair) * n + column)] =
              weight.data[static_cast<std::size_t>(((head * (h / 2) + pair) * 2 + part) * n + column)];
  return result;
}

NamedTensors hf_tensors(const reference::Model& model) {
  NamedTensors tensors = {{"model.embed_tokens.weight", model.globals.at("embedding")},
                          {"model.norm.weight", model.globals.at("rms_final")}};
  if (model.globals.contains("classifier")) tensors["lm_head.weight"] = model.globals.at("classifier");
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const NamedTensors& layer = model.layers[i];
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    tensors[prefix + "self_attn.q_proj.weight"] = halves(layer.at("wq"), 8);
    tensors[prefix + "self_attn.k_proj.weight"] = halves(layer.at("wk"), 8);
    tensors[prefix + "self_attn.v_proj.weight"] = layer.at("wv");
    tensors[prefix + "self_attn.o_proj.weight"] = layer.at("wo");
    tensors[prefix + "mlp.gate_proj.weight"] = layer.at("w1");
    tensors[prefix + "mlp.up_proj.weight"] = layer.at("w3");
    tensors[prefix + "mlp.down_proj.weight"] = layer.at("w2");
    tensors[prefix + "input_layernorm.weight"] = layer.at("rms_att");
    tensors[prefix + "post_attention_layernorm.weight"] = layer.at("rms_ffn");
  }
  return tensors;
}

class HfWeights : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder());
    write_config();
  }

  std::filesystem::path folder() const { return temporary_ / "tiny-llama"; }
  void write_config() const { write_file(folder() / "config.json", config_.dump()); }
  void write_model(const NamedTensors& tensors) const { write_safetensors(folder() / "model.safetensors", tensors); }

  /// Layer 0 and the globals in the first shard, layer 1 in the second.
  void write_shards() {
    index_ = {{"metadata", {{"total_size", 1}}}};
    NamedTensors shards[2];
    for (const auto& [name, tensor] : hf_tensors(model_)) {
      const int shard = name.starts_with("model.layers.1.") ? 1 : 0;
      shards[shard][name] = tensor;
      index_["weight_map"][name] = shard_name(shard);
    }
    for (int i = 0; i < 2; ++i) write_safetensors(folder() / shard_name(i), shards[i]);
    write_index();
  }
  void write_index() const { write_file(folder() / "model.safetensors.index.json", index_.dump()); }
  static std::string shard_name(int i) { return "model-0000" + std::to_string(i + 1) + "-of-00002.safetensors"; }

  std::string error(const std::optional<ModelShape>& asked = {}) const {
    const Error thrown = error_of([&] { load_weights(folder(), asked); });
    EXPECT_EQ(thrown.code(), ExitCode::bad_input);
    EXPECT_THAT(thrown.what(), HasSubstr("tiny-llama"));
    EXPECT_NE(thrown.remedy(), "");
    return thrown.what();
  }
  /// With one key of config.json changed.
  std::string error_with(const std::string& key, const json& value) {
    const json before = config_;
    config_[key] = value;
    write_config();
    const std::string message = error();
    EXPECT_THAT(message, HasSubstr("config.json: "));
    config_ = before;
    return message;
  }
  /// With one tensor more.
  std::string error_with_tensor(const std::string& name) const {
    NamedTensors tensors = hf_tensors(model_);
    tensors[name] = Tensor({8});
    write_model(tensors);
    const std::string message = error();
    EXPECT_THAT(message, HasSubstr("model.safetensors: tensor '" + name + "'"));
    return message;
  }

  TemporaryFolder temporary_;
  reference::Model model_ = small_model(false);
  json index_;
  json config_ = {{"architectures", {"LlamaForCausalLM"}},
                  {"model_type", "llama"},
                  {"hidden_act", "silu"},
                  {"hidden_size", 24},
                  {"intermediate_size", 40},
                  {"num_hidden_layers", 2},
                  {"num_attention_heads", 4},
                  {"num_key_value_heads", 2},
                  {"head_dim", 8},
                  {"vocab_size", 19},
                  {"rope_theta", 500000},
                  {"rms_norm_eps", 1e-6},
                  {"rope_scaling", nullptr},
                  {"attention_bias", false},
                  {"max_position_embeddings", 131072},
                  {"tie_word_embeddings", false},
                  {"torch_dtype", "bfloat16"}};
};

TEST_F(HfWeights, AFolderTellsItsModel) {
  write_model(hf_tensors(model_));
  const Weights weights = load_weights(folder());
  ModelShape expected = small_shape();
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
  const reference::Model tied = small_model(true);
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

TEST_F(HfWeights, ConfigsOfOtherModelsAreRefused) {
  write_model(hf_tensors(model_));
  EXPECT_THAT(error_with("model_type", "gemma"), HasSubstr("model_type: is \"gemma\""));
  EXPECT_THAT(error_with("hidden_act", "gelu"), HasSubstr("hidden_act: is \"gelu\": the kernels have silu"));
  EXPECT_THAT(error_with("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}}), HasSubstr("rope_scaling: is {"));
  EXPECT_THAT(error_with("rope_parameters", {{"rope_type", "yarn"}}), HasSubstr("rope_parameters: is {"));
  EXPECT_THAT(error_with("sliding_window", 4096), HasSubstr("sliding_window: is 4096"));
  EXPECT_THAT(error_with("use_sliding_window", true), HasSubstr("use_sliding_window: is true"));
  EXPECT_THAT(error_with("layer_types", {"full_attention", "sliding_attention"}), HasSubstr("layer_types"));
  EXPECT_THAT(error_with("attention_bias", true), HasSubstr("attention_bias: is true"));
  EXPECT_THAT(error_with("quantization_config", {{"bits", 4}}), HasSubstr("quantization_config"));
  EXPECT_THAT(error_with("partial_rotary_factor", 0.5), HasSubstr("partial_rotary_factor: is 0.5"));
  EXPECT_THAT(error_with("residual_multiplier", 0.22), HasSubstr("residual_multiplier: is 0.22"));
  EXPECT_THAT(error_with("hidden_size", "24"), HasSubstr("hidden_size: is \"24\""));
  EXPECT_THAT(error_with("hidden_size", nullptr), HasSubstr("hidden_size: is missing"));
  EXPECT_THAT(error_with("num_attention_heads", 0), HasSubstr("num_attention_heads: is 0"));
  EXPECT_THAT(error_with("num_key_value_heads", 3), HasSubstr("4 is not a multiple of kv_heads 3"));
  EXPECT_THAT(error_with("rope_theta", -1), HasSubstr("rope_theta: is -1"));
  EXPECT_THAT(error_with("tie_word_embeddings", "no"), HasSubstr("tie_word_embeddings: is \"no\""));
  write_file(folder() / "config.json", std::string_view("{"));
  EXPECT_THAT(error(), HasSubstr("config.json: is no JSON"));
  std::filesystem::remove(folder() / "config.json");
  EXPECT_THAT(error(), HasSubstr("has no config.json"));
}

TEST_F(HfWeights, ContradictionsNameBothSides) {
  write_model(hf_tensors(model_));
  ModelShape asked = small_shape();
  EXPECT_EQ(load_weights(folder(), asked).model.shape, asked);
  asked.rope_base = 10000;
  EXPECT_THAT(error(asked), HasSubstr("config.json: rope_theta: is 500000, and rope_base of --model small is 10000"));
  asked = small_shape();
  asked.residual_scale = 0.5;
  EXPECT_THAT(error(asked), HasSubstr("residual_scale of --model small is 0.5"));
  asked = small_shape();
  asked.vocab = 20;
  EXPECT_THAT(error(asked), HasSubstr("vocab_size: is 19, and vocab of --model small is 20"));
  // Without config.json --model alone tells the shape.
  std::filesystem::remove(folder() / "config.json");
  EXPECT_EQ(load_weights(folder(), small_shape()).model.layers, model_.layers);
  EXPECT_THAT(error(asked), AllOf(HasSubstr("tensor 'lm_head.weight': has shape [19, 24], and by --model small"),
                                  HasSubstr("[20, 24]")));
}

TEST_F(HfWeights, TensorsThatTheKernelsDoNotHaveAreRefused) {
  const std::string attention = "model.layers.1.self_attn.";
  EXPECT_THAT(error_with_tensor(attention + "q_norm.weight"), HasSubstr("normalises queries (as Qwen3 does)"));
  EXPECT_THAT(error_with_tensor(attention + "k_norm.weight"), HasSubstr("normalises keys"));
  EXPECT_THAT(error_with_tensor(attention + "k_proj.bias"), HasSubstr("is a bias (as Qwen2 has)"));
  EXPECT_THAT(error_with_tensor(attention + "k_proj.qweight"), HasSubstr("is quantised"));
  EXPECT_THAT(error_with_tensor(attention + "k_proj.weight_scale_inv"), HasSubstr("quantised"));
  EXPECT_THAT(error_with_tensor("model.layers.2.mlp.up_proj.weight"), HasSubstr("is beyond the 2 layers of"));
  EXPECT_THAT(error_with_tensor("model.layers.0.mlp.experts.0.up_proj.weight"), HasSubstr("is in no Llama model"));
  EXPECT_THAT(error_with_tensor("score.weight"), HasSubstr("is in no Llama model"));
  // Follows from rope_theta.
  NamedTensors tensors = hf_tensors(model_);
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = Tensor({4});
  write_model(tensors);
  EXPECT_EQ(load_weights(folder()).model.layers, model_.layers);
}

TEST_F(HfWeights, IncompleteFilesAreErrors) {
  NamedTensors tensors = hf_tensors(model_);
  tensors.erase("model.layers.1.mlp.gate_proj.weight");
  write_model(tensors);
  EXPECT_THAT(error(), HasSubstr("tensor 'model.layers.1.mlp.gate_proj.weight': is missing"));
  tensors["model.layers.1.mlp.gate_proj.weight"] = Tensor({24, 40});
  write_model(tensors);
  EXPECT_THAT(error(), AllOf(HasSubstr("has shape [24, 40]"), HasSubstr("config.json it has [40, 24]")));
  config_["num_hidden_layers"] = 2000000000;
  write_config();
  EXPECT_THAT(error(), AllOf(HasSubstr("has 21 tensors, and by"), HasSubstr("the model has 2000000000 layers")));
  config_["num_hidden_layers"] = 2;
  write_config();
  const auto whole = read_file(folder() / "model.safetensors");
  write_file(folder() / "model.safetensors", std::span(whole).first(whole.size() - 100));
  EXPECT_THAT(error(), HasSubstr("model.safetensors: tensor '"));
  std::filesystem::remove(folder() / "model.safetensors");
  EXPECT_THAT(error(), HasSubstr("has neither model.safetensors nor model.safetensors.index.json"));
}

TEST_F(HfWeights, DamagedShardsAreErrors) {
  write_shards();
  const json good = index_;
  const std::string k_proj = "model.layers.1.self_attn.k_proj.weight";
  const auto with = [&](const json& index) {
    index_ = index;
    write_index();
    return error();
  };
  json bad = good;
  bad["weight_map"][k_proj] = shard_name(0);
  EXPECT_THAT(with(bad), HasSubstr("index.json: weight_map: says that " + shard_name(0) + " has tensor '" + k_proj +
                                   "', and it does not"));
  bad["weight_map"].erase(k_proj);
  EXPECT_THAT(with(bad), HasSubstr("says that no file has tensor '" + k_proj + "', and " + shard_name(1) + " has it"));
  // In both shards, and only one of them is meant.
  NamedTensors twice = {{k_proj, hf_tensors(model_).at(k_proj)}};
  for (const auto& [name, tensor] : hf_tensors(model_))
    if (!name.starts_with("model.layers.1.")) twice[name] = tensor;
  write_safetensors(folder() / shard_name(0), twice);
  EXPECT_THAT(with(good), HasSubstr("says that " + shard_name(1) + " has tensor '" + k_proj + "', and " +
                                    shard_name(0) + " has it"));
  twice.erase(k_proj);
  write_safetensors(folder() / shard_name(0), twice);
  bad = good;
  bad["weight_map"][k_proj] = "../" + shard_name(1);
  EXPECT_THAT(with(bad), HasSubstr("is in no .safetensors file of this folder"));
  bad = good;
  bad["weight_map"][k_proj] = 7;
  EXPECT_THAT(with(bad), HasSubstr("is in no .safetensors file of this folder"));
  bad = good;
  bad["weight_map"]["model.layers.1.self_attn.q_norm.weight"] = shard_name(1);
  EXPECT_THAT(with(bad), HasSubstr("normalises queries"));
  EXPECT_THAT(with({{"weight_map", json::array()}}), HasSubstr("no map of tensors to files"));
  write_file(folder() / "model.safetensors.index.json", std::string_view("no"));
  EXPECT_THAT(error(), HasSubstr("is no JSON"));

  index_ = good;
  write_index();
  const auto whole = read_file(folder() / shard_name(1));
  for (const std::size_t size : {std::size_t{0}, std::size_t{20}, whole.size() / 2, whole.size() - 1}) {
    write_file(folder() / shard_name(1), std::span(whole).first(size));
    EXPECT_THAT(error(), HasSubstr(shard_name(1))) << size;
  }
  std::filesystem::remove(folder() / shard_name(1));
  EXPECT_THAT(error(), HasSubstr(shard_name(1) + ": is missing, and the index names it"));
}

TEST_F(HfWeights, FilesAloneNeedAModel) {
  std::filesystem::remove(folder() / "config.json");
  write_model(hf_tensors(model_));
  EXPECT_THAT(error_of([&] { load_weights(folder() / "model.safetensors"); }).what(),
              AllOf(HasSubstr("does not tell its model"), HasSubstr("put its config.json beside it")));
  EXPECT_EQ(load_weights(folder() / "model.safetensors", small_shape()).model.layers, model_.layers);
  write_safetensors(folder() / "own.safetensors", {{"embedding", Tensor({1})}});
  EXPECT_THAT(error_of([&] { load_weights(folder() / "own.safetensors"); }).what(),
              HasSubstr("give --model FILE.json as well"));
  EXPECT_THAT(error_of([&] { load_weights(folder() / "config.json"); }).what(), HasSubstr("give the folder"));
}

}  // namespace
}  // namespace aneval::validate
