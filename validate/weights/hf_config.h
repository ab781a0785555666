// config.json of a Hugging Face model: the shape that it describes, or why the kernels cannot compute such a model.
#pragma once

#include <filesystem>
#include <optional>

#include "ane/model_shape.h"

namespace aneval::validate {

struct HfConfig {
  ModelShape shape;          // residual scale 1, pairing as the kernels have it, seq 256 or as many as the model takes
  std::optional<bool> tied;  // classifier and embedding are one tensor; nothing when the file does not say
};

/// Keys that are missing have the values of transformers' LlamaConfig: as many key/value heads as heads, head_dim
/// hidden_size / heads, rope_theta 10000, rms_norm_eps 1e-6. `name` becomes the model's.
/// Errors name file and key: malformed JSON, a missing or impossible size, and everything that changes what a layer
/// computes and that the kernels do not have: another model_type, activation or kind of RoPE, biases, sliding windows,
/// quantisation, multipliers other than 1.
HfConfig read_hf_config(const std::filesystem::path& file, const std::string& name);

/// Throws an input_error naming both when `asked` (from --model) is another model than `told`, which `file` tells of:
/// any field but name, seq, rope_pairing and vocab. `hf_keys`: it tells so with the keys of config.json.
void check_same_model(const ModelShape& asked, const ModelShape& told, const std::string& file, bool hf_keys);

}  // namespace aneval::validate
