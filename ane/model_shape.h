// The dimensions of a grouped-query-attention transformer and the few constants that belong to a model, with the
// presets and the JSON form. The only thing that ane/ and reference/ share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aneval {

/// Which lanes of a head RoPE rotates together: (2i, 2i+1), or (i, i + head_dim/2) as Hugging Face checkpoints do.
enum class RopePairing { interleaved, half };

struct ModelShape {
  std::string name;
  std::int64_t dim = 0;       // D, model width
  std::int64_t hidden = 0;    // F, feed-forward width
  std::int64_t heads = 0;     // H, query heads
  std::int64_t kv_heads = 0;  // G, key/value heads
  std::int64_t head_dim = 0;  // h, not necessarily D/H
  std::int64_t seq = 0;       // S, tokens of one evaluation
  std::int64_t layers = 0;    // L
  std::int64_t vocab = 0;     // V
  double rope_base = 10000.0;
  RopePairing rope_pairing = RopePairing::interleaved;
  double rms_eps = 1e-5;
  /// a of the residual y = x + a·f(x): 1/sqrt(2L) in the seed's training loop, 1 for llama2.c checkpoints.
  double residual_scale = 1.0;

  std::int64_t q_dim() const { return heads * head_dim; }      // Q
  std::int64_t kv_dim() const { return kv_heads * head_dim; }  // K
  std::int64_t ratio() const { return heads / kv_heads; }      // R, query heads per key/value head

  bool operator==(const ModelShape&) const = default;
};

/// Throws an input_error naming `where` and the field when the shape is impossible: a name with ';' or '=', zeros,
/// heads not a multiple of kv_heads, odd head_dim, sizes whose products overflow 64 bits (or any surface above 2^40
/// bytes).
void check_shape(const ModelShape& shape, std::string_view where);

/// Stories110M and Qwen3-0.6B (its shape with the seed's kernels), both with residual scale 1/sqrt(2L).
const std::vector<ModelShape>& model_presets();

/// A preset by name (case-insensitive), or the JSON file of that path when the name ends in ".json".
/// Errors: unknown name (with the nearest known one), unreadable file, malformed JSON, unknown or wrong fields.
ModelShape load_model_shape(std::string_view name_or_file);

/// From the text of a model file; `where` names it in errors. Defaults: rope_base 10000, rope_pairing "interleaved",
/// rms_eps 1e-5, residual_scale "1/sqrt(2L)" (a number is taken as it is).
ModelShape parse_model_shape(std::string_view json, std::string_view where);

/// The JSON form that parse_model_shape reads back to an equal shape.
std::string model_shape_json(const ModelShape& shape);

}  // namespace aneval
