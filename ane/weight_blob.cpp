// Weight files byte by byte (weight_blob.h has the layout and its source).
#include "ane/weight_blob.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/error.h"

namespace aneval::ane {
namespace {

constexpr std::uint64_t kHeaderBytes = 64, kMetadataBytes = 64, kAlignment = 64;
constexpr std::uint32_t kVersion = 2, kSentinel = 0xDEADBEEF;

static_assert(std::endian::native == std::endian::little, "weight files are little endian");

/// 64 bytes before the data of every blob.
struct Metadata {
  std::uint32_t sentinel = kSentinel;
  std::uint32_t type = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t data_offset = 0;
  std::uint64_t padding_bits = 0;
  std::byte reserved[32] = {};
};
static_assert(sizeof(Metadata) == kMetadataBytes);

struct Header {
  std::uint32_t count = 0;
  std::uint32_t version = kVersion;
  std::byte reserved[56] = {};
};
static_assert(sizeof(Header) == kHeaderBytes);

bool is_known(std::uint32_t type) {
  switch (static_cast<BlobType>(type)) {
    case BlobType::fp16:
    case BlobType::fp32:
    case BlobType::uint8:
    case BlobType::int8:
    case BlobType::int32:
      return true;
  }
  return false;
}

Error broken(std::string_view where, std::uint64_t offset, std::string reason) {
  return input_error(std::string(where) + ": blob at " + std::to_string(offset), std::move(reason),
                     "write the weight file again");
}

}  // namespace

std::size_t blob_type_bytes(BlobType type) {
  switch (type) {
    case BlobType::fp16:
      return 2;
    case BlobType::fp32:
    case BlobType::int32:
      return 4;
    case BlobType::uint8:
    case BlobType::int8:
      return 1;
  }
  throw std::logic_error("blob type " + std::to_string(static_cast<std::uint32_t>(type)));
}

std::uint64_t BlobWriter::add(std::span<const half_t> values) { return add(BlobType::fp16, std::as_bytes(values)); }

std::uint64_t BlobWriter::add(std::span<const float> values) {
  std::vector<half_t> rounded(values.size());
  to_half(values.data(), rounded.data(), static_cast<std::int64_t>(values.size()));
  return add(std::span<const half_t>(rounded));
}

std::uint64_t BlobWriter::add(BlobType type, std::span<const std::byte> bytes) {
  if (bytes.size() % blob_type_bytes(type) != 0)
    throw std::logic_error("a blob of " + std::to_string(bytes.size()) + " bytes has a part of an element");
  // Data is aligned by the next blob, not by the last: the file ends where its last data ends.
  body_.resize((body_.size() + kAlignment - 1) / kAlignment * kAlignment);
  const std::uint64_t offset = kHeaderBytes + body_.size();
  Metadata metadata;
  metadata.type = static_cast<std::uint32_t>(type);
  metadata.size_bytes = bytes.size();
  metadata.data_offset = offset + kMetadataBytes;
  const std::size_t end = body_.size();
  body_.resize(end + kMetadataBytes + bytes.size());
  std::memcpy(body_.data() + end, &metadata, sizeof metadata);
  std::copy(bytes.begin(), bytes.end(), body_.data() + end + kMetadataBytes);
  ++count_;
  return offset;
}

std::vector<std::byte> BlobWriter::finish() const {
  Header header;
  header.count = count_;
  std::vector<std::byte> file(kHeaderBytes + body_.size());
  std::memcpy(file.data(), &header, sizeof header);
  std::copy(body_.begin(), body_.end(), file.begin() + kHeaderBytes);
  return file;
}

Blob read_blob(std::span<const std::byte> file, std::uint64_t offset, std::uint64_t expected_bytes,
               std::string_view where) {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  if (file.size() < kHeaderBytes)
    throw broken(where, offset, "the file has " + number(file.size()) + " bytes, its header alone needs 64");
  Header header;
  std::memcpy(&header, file.data(), sizeof header);
  if (header.version != kVersion) throw broken(where, offset, "version " + number(header.version) + " is not 2");
  if (offset < kHeaderBytes || offset % kAlignment != 0)
    throw broken(where, offset, "metadata lies behind the 64-byte header at a multiple of 64");
  if (offset > file.size() || file.size() - offset < kMetadataBytes)
    throw broken(where, offset, "metadata ends behind the file of " + number(file.size()) + " bytes");

  Metadata metadata;
  std::memcpy(&metadata, file.data() + offset, sizeof metadata);
  if (metadata.sentinel != kSentinel)
    throw broken(where, offset, "no sentinel 0xDEADBEEF: the offset must name the metadata, not the data");
  if (!is_known(metadata.type)) throw broken(where, offset, "unknown data type " + number(metadata.type));
  const auto type = static_cast<BlobType>(metadata.type);
  if (metadata.size_bytes % blob_type_bytes(type) != 0)
    throw broken(where, offset, number(metadata.size_bytes) + " bytes hold a part of an element");
  if (metadata.size_bytes != expected_bytes)
    throw broken(where, offset,
                 number(metadata.size_bytes) + " bytes of data, " + number(expected_bytes) + " are expected");
  if (metadata.data_offset % kAlignment != 0)
    throw broken(where, offset, "its data at " + number(metadata.data_offset) + " is not aligned to 64 bytes");
  if (metadata.data_offset > file.size() || file.size() - metadata.data_offset < metadata.size_bytes)
    throw broken(where, offset,
                 "its data of " + number(metadata.size_bytes) + " bytes at " + number(metadata.data_offset) +
                     " ends behind the file of " + number(file.size()));
  return {type,
          file.subspan(static_cast<std::size_t>(metadata.data_offset), static_cast<std::size_t>(metadata.size_bytes))};
}

}  // namespace aneval::ane
