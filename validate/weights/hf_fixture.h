// A small model in Hugging Face's layout, written by indices of its own, for the tests of loading. No part of the
// library.
#pragma once

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "common/files.h"
#include "common/random.h"
#include "common/test_support.h"
#include "validate/weights/load_weights.h"
#include "validate/weights/weights.h"

namespace aneval::validate {

inline ModelShape hf_shape() {
  ModelShape shape;
  shape.name = "small";
  shape.dim = 24, shape.hidden = 40, shape.heads = 4, shape.kv_heads = 2, shape.head_dim = 8;
  shape.seq = 16, shape.layers = 2, shape.vocab = 19;
  shape.rope_base = 500000, shape.rms_eps = 1e-6;
  return shape;
}

/// Every element of every tensor another one; rmsnorm weights are not 1.
inline reference::Model hf_model(bool tied) {
  reference::Model model = random_model(hf_shape(), 3);
  if (!tied) model.globals["classifier"] = Tensor({19, 24});
  for (auto& [name, tensor] : model.globals) Random(4, name).fill_normal(tensor.data, 0.5, name == "rms_final" ? 1 : 0);
  for (NamedTensors& layer : model.layers)
    for (const char* name : {"rms_att", "rms_ffn"}) Random(5, name).fill_normal(layer[name].data, 0.3, 1);
  return model;
}

/// As Hugging Face's conversion script does: view(heads, h/2, 2, n).transpose(1, 2).
inline Tensor halves(const Tensor& weight, std::int64_t h) {
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

inline NamedTensors hf_tensors(const reference::Model& model) {
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
    EXPECT_THAT(thrown.what(), testing::HasSubstr("tiny-llama"));
    EXPECT_NE(thrown.remedy(), "");
    return thrown.what();
  }
  /// With one key of config.json changed.
  std::string error_with(const std::string& key, const nlohmann::json& value) {
    const nlohmann::json before = config_;
    config_[key] = value;
    write_config();
    const std::string message = error();
    EXPECT_THAT(message, testing::HasSubstr("config.json: "));
    config_ = before;
    return message;
  }
  /// With one tensor more.
  std::string error_with_tensor(const std::string& name) const {
    NamedTensors tensors = hf_tensors(model_);
    tensors[name] = Tensor({8});
    write_model(tensors);
    const std::string message = error();
    EXPECT_THAT(message, testing::HasSubstr("model.safetensors: tensor '" + name + "'"));
    return message;
  }

  TemporaryFolder temporary_;
  reference::Model model_ = hf_model(false);
  nlohmann::json index_;
  nlohmann::json config_ = {{"architectures", {"LlamaForCausalLM"}},
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

}  // namespace aneval::validate
