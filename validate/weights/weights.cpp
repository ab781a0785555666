#include "validate/weights/weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "ane/half.h"
#include "common/error.h"
#include "common/random.h"

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
  } else if (stored.dtype == "BF16") {
    // The upper half of an fp32 number.
    std::vector<std::uint16_t> bits(tensor.data.size());
    std::memcpy(bits.data(), stored.bytes.data(), stored.bytes.size());
    std::ranges::transform(bits, tensor.data.begin(),
                           [](std::uint16_t upper) { return std::bit_cast<float>(std::uint32_t{upper} << 16); });
  } else {
    throw input_error(file + ": tensor '" + name + "'", "has type " + stored.dtype, "store it as F32, F16 or BF16");
  }
  return tensor;
}

namespace {

template <class Stored>
std::vector<std::int64_t> whole_numbers(const StoredTensor& stored) {
  std::vector<Stored> values(stored.bytes.size() / sizeof(Stored));
  std::memcpy(values.data(), stored.bytes.data(), stored.bytes.size());
  return {values.begin(), values.end()};
}

}  // namespace

std::vector<std::int64_t> integers_of(const std::string& name, const StoredTensor& stored, const std::string& file) {
  if (stored.dtype == "I64") return whole_numbers<std::int64_t>(stored);
  if (stored.dtype == "I32") return whole_numbers<std::int32_t>(stored);
  const std::string subject = file + ": tensor '" + name + "'";
  if (stored.dtype != "F32") throw input_error(subject, "has type " + stored.dtype, "store it as I64, I32 or F32");
  std::vector<std::int64_t> numbers;
  for (const float value : widen(name, stored, file).data) {
    // Beyond 2^53 a float is no index of anything; the conversion of NaN would be undefined.
    if (!(std::abs(value) < 0x1p53F) || std::trunc(value) != value)
      throw input_error(subject, "holds " + std::to_string(value) + ", which is no whole number", "store it as I64");
    numbers.push_back(static_cast<std::int64_t>(value));
  }
  return numbers;
}

NamedTensors read_tensors(const std::filesystem::path& file) {
  NamedTensors tensors;
  for (const auto& [name, stored] : read_safetensors(file)) tensors[name] = widen(name, stored, file.string());
  return tensors;
}

std::map<std::string, std::vector<std::int64_t>> layer_weight_shapes(const ModelShape& s) {
  const std::int64_t d = s.dim, f = s.hidden, q = s.q_dim(), k = s.kv_dim();
  return {{"wq", {q, d}}, {"wk", {k, d}}, {"wv", {k, d}},   {"wo", {d, q}},  {"w1", {f, d}},
          {"w2", {d, f}}, {"w3", {f, d}}, {"rms_att", {d}}, {"rms_ffn", {d}}};
}

reference::Model random_model(const ModelShape& shape, std::uint64_t seed) {
  reference::Model model;
  model.shape = shape;
  const auto normal = [&](const std::string& name, const std::vector<std::int64_t>& dims, double sigma) {
    Tensor tensor(dims);
    Random(seed, name).fill_normal(tensor.data, sigma);
    return tensor;
  };
  const auto ones = [](const std::vector<std::int64_t>& dims) {
    Tensor tensor(dims);
    std::fill(tensor.data.begin(), tensor.data.end(), 1.0F);
    return tensor;
  };
  model.globals["embedding"] = normal("embedding", {shape.vocab, shape.dim}, 0.02);
  model.globals["rms_final"] = ones({shape.dim});
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    NamedTensors weights;
    for (const auto& [name, dims] : layer_weight_shapes(shape))
      weights[name] = dims.size() == 1 ? ones(dims)
                                       : normal("layers." + std::to_string(layer) + "." + name, dims,
                                                1.0 / std::sqrt(static_cast<double>(dims[1])));
    model.layers.push_back(std::move(weights));
  }
  return model;
}

std::vector<std::int32_t> random_tokens(const ModelShape& shape, std::uint64_t seed) {
  Random random(seed, "tokens");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(shape.seq));
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(random.below(shape.vocab));
  return tokens;
}

}  // namespace aneval::validate
