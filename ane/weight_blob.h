// Weight files of compiled programs: a 64-byte file header, then per blob 64 bytes of metadata and its data. MIL's
// BLOBFILE offset points at the metadata, not at the data.
//
// Layout: apple/coremltools, mlmodel/src/MILBlob/Blob/StorageFormat.hpp. Header {u32 count; u32 version = 2; 56 bytes
// 0}; metadata {u32 sentinel 0xDEADBEEF; u32 dtype; u64 size in bytes; u64 absolute offset of the data; u64 padding
// bits; 32 bytes 0}; data aligned to 64 bytes; everything little endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ane/half.h"

namespace aneval::ane {

/// Numbers of the format, not ours.
enum class BlobType : std::uint32_t { fp16 = 1, fp32 = 2, uint8 = 3, int8 = 4, int32 = 14 };

std::size_t blob_type_bytes(BlobType type);

/// The weight files of a program by the path that its BLOBFILE values name ("@model_path/weights/mask.bin").
using WeightFiles = std::map<std::string, std::vector<std::byte>, std::less<>>;

/// Builds one file of any number of blobs.
class BlobWriter {
 public:
  /// Each returns the offset of the blob's metadata, which is what MIL's BLOBFILE takes (64 for the first).
  std::uint64_t add(std::span<const half_t> values);
  std::uint64_t add(std::span<const float> values);  // rounded to fp16
  std::uint64_t add(BlobType type, std::span<const std::byte> bytes);
  std::vector<std::byte> finish() const;  // the whole file

 private:
  std::vector<std::byte> body_;
  std::uint32_t count_ = 0;
};

/// A verified view of one blob.
struct Blob {
  BlobType type;
  std::span<const std::byte> bytes;
};

/// The blob whose metadata lies at `offset`. Errors name `where` and what is wrong: file too short, version, sentinel,
/// unknown type, size not a multiple of the type or not `expected_bytes`, data outside the file or misaligned.
Blob read_blob(std::span<const std::byte> file, std::uint64_t offset, std::uint64_t expected_bytes,
               std::string_view where);

}  // namespace aneval::ane
