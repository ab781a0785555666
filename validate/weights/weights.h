// Named tensors from files, and the weights of a model before its first step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/safetensors.h"
#include "reference/model.h"

namespace aneval::validate {

/// fp32 copy of a stored tensor; F16 and BF16 are widened, exactly. Errors: any other type.
Tensor widen(const std::string& name, const StoredTensor& stored, const std::string& file);

/// The whole numbers of a stored tensor: I64, I32, or F32 that has no fractions. Errors: any other type or value.
std::vector<std::int64_t> integers_of(const std::string& name, const StoredTensor& stored, const std::string& file);

/// Every tensor of a safetensors file, widened.
NamedTensors read_tensors(const std::filesystem::path& file);

/// The named tensor, which must have that shape. Errors name `file`, the tensor and the shape it needs.
Tensor& require_tensor(NamedTensors& tensors, const std::string& name, const std::vector<std::int64_t>& shape,
                       const std::string& file);

/// Shapes of the nine weights of a layer, by name: wq [Q, D] … rms_ffn [D].
std::map<std::string, std::vector<std::int64_t>> layer_weight_shapes(const ModelShape& shape);

/// A model before its first step: matrices N(0, 1/fan_in), embedding N(0, 0.02²) and tied to the classifier, RMSNorm
/// weights 1.
reference::Model random_model(const ModelShape& shape, std::uint64_t seed);
/// shape.seq tokens, each as likely as any other.
std::vector<std::int32_t> random_tokens(const ModelShape& shape, std::uint64_t seed);

}  // namespace aneval::validate
