#include "validate/weights.h"

#include <cstring>

#include "ane/half.h"
#include "common/error.h"
#include "reference/llama2c.h"

namespace aneval::validate {
Tensor& require_tensor(NamedTensors& tensors, const std::string& name, const std::vector<std::int64_t>& shape,
                       const std::string& file) {
  const auto found = tensors.find(name);
  if (found == tensors.end())
    throw input_error(file, "has no tensor '" + name + "'", "store it with shape " + shape_text(shape));
  if (found->second.shape != shape)
    throw input_error(file, "tensor '" + name + "' has shape " + shape_text(found->second.shape),
                      "it must have shape " + shape_text(shape));
  return found->second;
}

Tensor widen(const std::string& name, const StoredTensor& stored, const std::string& file) {
  Tensor tensor(stored.shape);
  if (stored.dtype == "F32") {
    std::memcpy(tensor.data.data(), stored.bytes.data(), stored.bytes.size());
  } else if (stored.dtype == "F16") {
    std::vector<ane::half_t> bits(tensor.data.size());
    std::memcpy(bits.data(), stored.bytes.data(), stored.bytes.size());
    ane::to_float(bits.data(), tensor.data.data(), static_cast<std::int64_t>(bits.size()));
  } else {
    throw input_error(file, "tensor '" + name + "' has type " + stored.dtype, "store it as F32 or F16");
  }
  return tensor;
}

NamedTensors read_tensors(const std::filesystem::path& file) {
  NamedTensors tensors;
  for (const auto& [name, stored] : read_safetensors(file)) tensors[name] = widen(name, stored, file.string());
  return tensors;
}

reference::Model load_weights(const std::filesystem::path& file, const ModelShape& shape) {
  if (file.extension() != ".safetensors") return reference::read_llama2c(file);
  NamedTensors tensors = read_tensors(file);
  const std::string name = file.string();
  reference::Model model;
  model.shape = shape;
  const std::int64_t d = shape.dim, f = shape.hidden, q = shape.q_dim(), k = shape.kv_dim();
  model.globals["embedding"] = std::move(require_tensor(tensors, "embedding", {shape.vocab, d}, name));
  model.globals["rms_final"] = std::move(require_tensor(tensors, "rms_final", {d}, name));
  if (tensors.contains("classifier"))
    model.globals["classifier"] = std::move(require_tensor(tensors, "classifier", {shape.vocab, d}, name));
  const std::map<std::string, std::vector<std::int64_t>> shapes = {{"wq", {q, d}}, {"wk", {k, d}},   {"wv", {k, d}},
                                                                   {"wo", {d, q}}, {"w1", {f, d}},   {"w2", {d, f}},
                                                                   {"w3", {f, d}}, {"rms_att", {d}}, {"rms_ffn", {d}}};
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    NamedTensors weights;
    for (const auto& [weight, dims] : shapes)
      weights[weight] =
          std::move(require_tensor(tensors, "layers." + std::to_string(layer) + "." + weight, dims, name));
    model.layers.push_back(std::move(weights));
  }
  return model;
}

}  // namespace aneval::validate
