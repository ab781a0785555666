// Weight files: the seed's bytes, several blobs in a file, and every way in which a file can be broken.
#include "ane/weight_blob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "common/error.h"

namespace aneval::ane {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

/// One blob of the halves 1, -2, 0.5.
Bytes small_file() {
  BlobWriter writer;
  writer.add(std::vector<float>{1.0F, -2.0F, 0.5F});
  return writer.finish();
}

void poke(Bytes& file, std::size_t at, std::uint64_t value, std::size_t size) {
  std::memcpy(file.data() + at, &value, size);
}

void expect_broken(const Bytes& file, std::uint64_t offset, std::uint64_t expected_bytes, const char* reason) {
  try {
    read_blob(file, offset, expected_bytes, "weights/w.bin");
    ADD_FAILURE() << "accepted, expected: " << reason;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("weights/w.bin"), HasSubstr(reason)));
  }
}

TEST(WeightBlob, OneBlobHasTheBytesThatTheSeedWrites) {
  Bytes expected(128);
  expected[0] = std::byte{1};                                    // one blob
  expected[4] = std::byte{2};                                    // version
  const Bytes sentinel = bytes_of({0xEF, 0xBE, 0xAD, 0xDE, 1});  // and data type fp16
  std::copy(sentinel.begin(), sentinel.end(), expected.begin() + 64);
  expected[72] = std::byte{6};    // bytes of data
  expected[80] = std::byte{128};  // where they are
  const Bytes data = bytes_of({0x00, 0x3C, 0x00, 0xC0, 0x00, 0x38});
  expected.insert(expected.end(), data.begin(), data.end());
  EXPECT_EQ(small_file(), expected);
}

TEST(WeightBlob, SeveralBlobsAreAlignedAndReadBack) {
  BlobWriter writer;
  const std::vector<half_t> halves = {0x3C00, 0x4000, 0x4200};
  const std::vector<std::int32_t> integers(17, -5);
  EXPECT_EQ(writer.add(halves), 64u);
  EXPECT_EQ(writer.add(BlobType::int32, std::as_bytes(std::span(integers))), 192u);  // 128 + 6, aligned
  EXPECT_EQ(writer.add(BlobType::uint8, bytes_of({7})), 192u + 64 + 128);            // 68 bytes take two lines
  const Bytes file = writer.finish();
  EXPECT_EQ(file.size(), 384u + 64 + 1);
  EXPECT_EQ(file[0], std::byte{3});

  const Blob first = read_blob(file, 64, 6, "f"), second = read_blob(file, 192, 68, "f"),
             last = read_blob(file, 384, 1, "f");
  EXPECT_EQ(first.type, BlobType::fp16);
  EXPECT_EQ(std::memcmp(first.bytes.data(), halves.data(), 6), 0);
  EXPECT_EQ(second.type, BlobType::int32);
  EXPECT_EQ(std::memcmp(second.bytes.data(), integers.data(), 68), 0);
  EXPECT_EQ(last.type, BlobType::uint8);
  EXPECT_EQ(last.bytes[0], std::byte{7});
}

TEST(WeightBlob, EmptyBlobAndEmptyFile) {
  BlobWriter writer;
  EXPECT_EQ(writer.finish().size(), 64u);
  EXPECT_EQ(writer.add(std::span<const half_t>()), 64u);
  EXPECT_TRUE(read_blob(writer.finish(), 64, 0, "f").bytes.empty());
}

TEST(WeightBlob, BytesPerElement) {
  EXPECT_EQ(blob_type_bytes(BlobType::fp16), 2u);
  EXPECT_EQ(blob_type_bytes(BlobType::fp32), 4u);
  EXPECT_EQ(blob_type_bytes(BlobType::int32), 4u);
  EXPECT_EQ(blob_type_bytes(BlobType::int8), 1u);
  EXPECT_EQ(blob_type_bytes(BlobType::uint8), 1u);
}

TEST(WeightBlob, WriterRefusesPartOfAnElement) {
  BlobWriter writer;
  EXPECT_THROW(writer.add(BlobType::fp32, bytes_of({1, 2, 3})), std::logic_error);
}

TEST(WeightBlob, FileShorterThanItsHeader) { expect_broken(Bytes(63), 64, 6, "63 bytes, its header alone needs 64"); }

TEST(WeightBlob, OtherVersion) {
  Bytes file = small_file();
  poke(file, 4, 1, 4);
  expect_broken(file, 64, 6, "version 1 is not 2");
}

TEST(WeightBlob, OffsetOfTheDataInsteadOfTheMetadata) {
  Bytes file = small_file();
  file.resize(256);
  expect_broken(file, 128, 6, "no sentinel");
}

TEST(WeightBlob, OffsetInsideTheHeaderOrBetweenLines) {
  expect_broken(small_file(), 0, 6, "multiple of 64");
  expect_broken(small_file(), 65, 6, "multiple of 64");
}

TEST(WeightBlob, OffsetBehindTheFile) {
  expect_broken(small_file(), 128, 6, "metadata ends behind the file");
  expect_broken(small_file(), 0xFFFFFFFFFFFFFFC0u, 6, "metadata ends behind the file");
}

TEST(WeightBlob, UnknownType) {
  Bytes file = small_file();
  poke(file, 68, 99, 4);
  expect_broken(file, 64, 6, "unknown data type 99");
}

TEST(WeightBlob, PartOfAnElement) {
  Bytes file = small_file();
  poke(file, 72, 5, 8);
  expect_broken(file, 64, 5, "part of an element");
}

TEST(WeightBlob, OtherSizeThanExpected) { expect_broken(small_file(), 64, 8, "6 bytes of data, 8 are expected"); }

TEST(WeightBlob, DataNotAligned) {
  Bytes file = small_file();
  poke(file, 80, 130, 8);
  expect_broken(file, 64, 6, "not aligned");
}

TEST(WeightBlob, DataEndsBehindTheFile) {
  Bytes file = small_file();
  file.pop_back();
  expect_broken(file, 64, 6, "ends behind the file of 133");
  poke(file, 80, 0xFFFFFFFFFFFFFFC0u, 8);  // offset + size would wrap around
  expect_broken(file, 64, 6, "ends behind the file");
}

}  // namespace
}  // namespace aneval::ane
