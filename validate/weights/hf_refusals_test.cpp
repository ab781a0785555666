// Everything in Hugging Face's checkpoints that the kernels do not have, and every damage, is one error that names
// file, tensor and remedy.
#include "validate/weights/hf_fixture.h"

namespace aneval::validate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

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
  EXPECT_THAT(error(), HasSubstr("config.json: malformed JSON"));
  std::filesystem::remove(folder() / "config.json");
  EXPECT_THAT(error(), HasSubstr("has no config.json"));
}

TEST_F(HfWeights, ContradictionsNameBothSides) {
  write_model(hf_tensors(model_));
  ModelShape asked = hf_shape();
  EXPECT_EQ(load_weights(folder(), asked).model.shape, asked);
  asked.rope_base = 10000;
  EXPECT_THAT(error(asked), HasSubstr("config.json: rope_theta: is 500000, and rope_base of --model small is 10000"));
  asked = hf_shape();
  asked.residual_scale = 0.5;
  EXPECT_THAT(error(asked), HasSubstr("residual_scale of --model small is 0.5"));
  asked = hf_shape();
  asked.vocab = 20;
  EXPECT_THAT(error(asked), HasSubstr("vocab_size: is 19, and vocab of --model small is 20"));
  // Without config.json --model alone tells the shape.
  std::filesystem::remove(folder() / "config.json");
  EXPECT_EQ(load_weights(folder(), hf_shape()).model.layers, model_.layers);
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
  EXPECT_THAT(error(), HasSubstr("malformed JSON"));

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
  EXPECT_EQ(load_weights(folder() / "model.safetensors", hf_shape()).model.layers, model_.layers);
  write_safetensors(folder() / "own.safetensors", {{"embedding", Tensor({1})}});
  EXPECT_THAT(error_of([&] { load_weights(folder() / "own.safetensors"); }).what(),
              HasSubstr("give --model FILE.json as well"));
  EXPECT_THAT(error_of([&] { load_weights(folder() / "config.json"); }).what(), HasSubstr("give the folder"));
}

}  // namespace
}  // namespace aneval::validate
