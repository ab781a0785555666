// The weight file that programs of the MIL targets can name: @model_path/weights/w.bin, one blob of every type.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "ane/weight_blob.h"

namespace aneval::fuzz {

/// Blobs of 16 bytes each: fp16 at 64, fp32 at 192, uint8 at 320, int8 at 448, int32 at 576.
inline ane::WeightFiles mil_weights() {
  std::array<std::byte, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(0x3C + 7 * i);
  ane::BlobWriter writer;
  for (const ane::BlobType type :
       {ane::BlobType::fp16, ane::BlobType::fp32, ane::BlobType::uint8, ane::BlobType::int8, ane::BlobType::int32})
    writer.add(type, bytes);
  return {{"@model_path/weights/w.bin", writer.finish()}};
}

}  // namespace aneval::fuzz
