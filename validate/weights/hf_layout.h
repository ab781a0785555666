// The layout of Llama checkpoints as Hugging Face stores them: names, and which lanes of a head RoPE turns together.
// Loading and dumping use the same table, so they cannot disagree. docs/interop.md has the mathematics.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ane/model_shape.h"
#include "common/tensor.h"

namespace aneval::validate {

/// "model.layers.3.self_attn.q_proj.weight" of "layers.3.wq". Throws std::logic_error for a name that no model has.
std::string hf_name(std::string_view own_name);

/// The own name of it; nothing when a Llama checkpoint has no such tensor.
std::optional<std::string> own_name(std::string_view hf_name);

/// Whether RoPE turns what this weight makes: wq and wk of any layer, by own name. Only their rows have an order that
/// the pairing decides.
bool is_rotated(std::string_view own_name);

/// Reorders the rows of a weight [heads·h, n] (or its gradient) whose lanes are paired one way for kernels that pair
/// them the other way: lane 2i + p of a head (interleaved) is lane p·h/2 + i (half), p = 0, 1. Nothing when both are
/// the same.
void convert_pairing(Tensor& weight, std::int64_t head_dim, RopePairing from, RopePairing to);

std::string_view pairing_name(RopePairing pairing);

}  // namespace aneval::validate
