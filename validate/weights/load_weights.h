// A whole model from files of any kind that `--weights` takes:
//   * a llama2.c checkpoint (any name but *.safetensors), which brings its shape
//   * a safetensors file with own names (embedding, rms_final, classifier, layers.N.wq …), a training checkpoint or a
//     dump of a step among them
//   * a safetensors file with Hugging Face's names, or a folder with config.json and model.safetensors or its shards
// Tensors are F32, F16 or BF16 and are widened exactly; they are rounded to fp16 when they are staged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "reference/model.h"

namespace aneval::validate {

struct Weights {
  reference::Model model;         // shape.vocab: rows of the embedding
  std::vector<std::int32_t> ids;  // token of each row, ascending, when only these have one; empty: row n is token n
  std::int64_t vocab = 0;         // tokens that there are
  std::filesystem::path file;
};

/// `shape` is what --model says. Without it the shape comes from config.json (in the folder, or beside a file with
/// Hugging Face's names) or from the metadata of a dump or checkpoint. wq and wk leave with the lanes of a head in the
/// order of the model's rope_pairing: that of `shape`, else interleaved.
/// Errors name file, tensor and remedy: none of these kinds, no shape, a contradiction between `shape`, file and
/// tensors, damaged or incomplete files, a value that is not finite; with Hugging Face's names also any tensor that the
/// kernels do not have: q_norm and k_norm, biases, quantised ones, unknown ones.
Weights load_weights(const std::filesystem::path& place, const std::optional<ModelShape>& shape = {});

/// The rows of the embedding for these tokens. Errors: a token without a row.
std::vector<std::int32_t> rows_of_tokens(const Weights& weights, const std::vector<std::int32_t>& tokens);

}  // namespace aneval::validate
