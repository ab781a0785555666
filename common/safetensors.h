// The safetensors format: u64 header length, JSON header {name: {dtype, shape, data_offsets}}, data, little endian.
// This module knows bytes and types, not numbers: widening fp16 is ane/half's business.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/tensor.h"

namespace aneval {

struct StoredTensor {
  std::string dtype;  // "F32", "F16", "BF16", "I32", …
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;

/// The file's own texts by key, under `__metadata__`.
using FileMetadata = std::map<std::string, std::string, std::less<>>;
/// Tensors that stay where they are, by name.
using TensorReferences = std::map<std::string, const Tensor*, std::less<>>;

/// Errors name the file and the tensor: truncated, a header length beyond the file or above 100 MB, malformed JSON,
/// unknown dtype, negative or overflowing shape, offsets outside the file, of the wrong size, or overlapping, a name
/// that appears twice, bytes that belong to no tensor (the format forbids holes), metadata that are no texts.
StoredTensors read_safetensors(const std::filesystem::path& file, FileMetadata* metadata = nullptr);
StoredTensors parse_safetensors(std::vector<std::byte> content, const std::string& name,
                                FileMetadata* metadata = nullptr);

/// F32 tensors, and `others` of any type, atomically: wider types first (so that all lie aligned), else names in order.
/// Throws std::logic_error when a shape and its data disagree, or a name occurs twice.
void write_safetensors(const std::filesystem::path& file, const NamedTensors& tensors);
void write_safetensors(const std::filesystem::path& file, const TensorReferences& tensors, const FileMetadata& metadata,
                       const StoredTensors& others = {});

}  // namespace aneval
