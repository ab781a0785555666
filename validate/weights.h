// Trained weights from a file of either kind.
#pragma once

#include <filesystem>

#include "common/safetensors.h"
#include "reference/model.h"

namespace aneval::validate {

/// fp32 copy of a stored tensor; F16 is widened. Errors: any other type.
Tensor widen(const std::string& name, const StoredTensor& stored, const std::string& file);

/// Every tensor of a safetensors file, widened.
NamedTensors read_tensors(const std::filesystem::path& file);

/// The named tensor, which must have that shape. Errors name `file`, the tensor and the shape it needs.
Tensor& require_tensor(NamedTensors& tensors, const std::string& name, const std::vector<std::int64_t>& shape,
                       const std::string& file);

/// A llama2.c checkpoint (which brings its shape), or a safetensors file with the names embedding, rms_final,
/// classifier (optional), layers.N.wq … layers.N.rms_ffn, whose shape `shape` gives. Errors: neither kind, a missing
/// tensor, a wrong shape.
reference::Model load_weights(const std::filesystem::path& file, const ModelShape& shape);

}  // namespace aneval::validate
