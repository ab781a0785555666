#include "common/safetensors.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>

#include "common/files.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using testing::HasSubstr;

/// A file with the given header text and data, the length in front being right unless given.
std::vector<std::byte> file_of(std::string_view header, std::string_view data = {}, std::uint64_t header_bytes = 0) {
  if (header_bytes == 0) header_bytes = header.size();
  std::vector<std::byte> content(sizeof header_bytes);
  std::memcpy(content.data(), &header_bytes, sizeof header_bytes);
  for (const std::string_view part : {header, data})
    for (const char c : part) content.push_back(static_cast<std::byte>(c));
  return content;
}

std::string error_in(const std::vector<std::byte>& content) {
  const Error error = error_of([&] { parse_safetensors(content, "m.safetensors"); });
  EXPECT_EQ(error.code(), ExitCode::bad_input);
  return error.what();
}

std::string error_in_header(std::string_view header, std::string_view data = {}) {
  return error_in(file_of(header, data));
}

Tensor tensor(std::vector<std::int64_t> shape, Floats data) {
  Tensor result(std::move(shape));
  result.data = std::move(data);
  return result;
}

TEST(Safetensors, TensorsComeBackBitForBit) {
  const TemporaryFolder folder;
  const auto file = folder / "a.safetensors";
  const NamedTensors written = {
      {"x", tensor({2, 3}, {1, -0.0f, 1e-45f, 3.4e38f, std::numeric_limits<float>::infinity(), 6})},
      {"scalar", tensor({}, {7})},
      {"empty \"quoted\" µ", tensor({0, 5}, {})},
      {"vector", tensor({1}, {8})}};
  write_safetensors(file, written);
  const StoredTensors read = read_safetensors(file);
  ASSERT_EQ(read.size(), written.size());
  for (const auto& [name, expected] : written) {
    const StoredTensor& stored = read.at(name);
    EXPECT_EQ(stored.dtype, "F32");
    EXPECT_EQ(stored.shape, expected.shape);
    ASSERT_EQ(stored.bytes.size(), expected.data.size() * sizeof(float));
    EXPECT_TRUE(std::equal(stored.bytes.begin(), stored.bytes.end(), std::as_bytes(std::span(expected.data)).begin()));
  }
}

TEST(Safetensors, WritesTheDocumentedBytes) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"b", tensor({1}, {2})}, {"a", tensor({1, 1}, {1})}});
  const std::string header =
      R"({"a":{"data_offsets":[0,4],"dtype":"F32","shape":[1,1]},"b":{"data_offsets":[4,8],"dtype":"F32","shape":[1]}})";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(folder / "a"), file_of(header + padding, std::string_view("\0\0\x80\x3f\0\0\0\x40", 8)));
}

TEST(Safetensors, WritesOtherTypesWiderOnesFirst) {
  const TemporaryFolder folder;
  const Tensor narrow = tensor({1}, {2});
  const StoredTensor wide{"I64", {1, 2}, std::vector<std::byte>(16, std::byte{3})};
  const StoredTensor bytes{"U8", {3}, std::vector<std::byte>(3, std::byte{4})};
  write_safetensors(folder / "a", {{"m", &narrow}}, {{"k", "v"}}, {{"z", wide}, {"a", bytes}});
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"data_offsets":[20,23],"dtype":"U8","shape":[3]},)"
      R"("m":{"data_offsets":[16,20],"dtype":"F32","shape":[1]},"z":{"data_offsets":[0,16],"dtype":"I64","shape":[1,2]}})";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(folder / "a"),
            file_of(header + padding, std::string(16, '\3') + std::string("\0\0\0\x40", 4) + std::string(3, '\4')));
  EXPECT_THROW(write_safetensors(folder / "a", {{"z", &narrow}}, {}, {{"z", wide}}), std::logic_error);
  EXPECT_THROW(write_safetensors(folder / "a", {}, {}, {{"z", {"I64", {3}, wide.bytes}}}), std::logic_error);
  EXPECT_THROW(write_safetensors(folder / "a", {}, {}, {{"z", {"I65", {2}, wide.bytes}}}), std::logic_error);
}

TEST(Safetensors, ReadsOtherTypesAndSkipsMetadata) {
  const auto read = parse_safetensors(file_of(R"({"__metadata__":{"format":"pt"},)"
                                              R"("half":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},)"
                                              R"("index":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   )",
                                              "abcdefghijkl"),
                                      "m");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read.at("half").dtype, "F16");
  EXPECT_EQ(static_cast<char>(read.at("half").bytes.at(0)), 'i');
  EXPECT_EQ(read.at("index").bytes.size(), 8u);
  EXPECT_TRUE(parse_safetensors(file_of("{}"), "m").empty());
}

TEST(Safetensors, BrokenFiles) {
  EXPECT_THAT(error_in({}), HasSubstr("m.safetensors: too short"));
  EXPECT_THAT(error_in(file_of("{}", "", 3)), HasSubstr("a header of 3 bytes in a file of 10"));
  EXPECT_THAT(error_in(file_of("{}", "", 100'000'001)), HasSubstr("above the format's limit"));
  EXPECT_THAT(error_in(file_of("{}", "", std::numeric_limits<std::uint64_t>::max())),
              HasSubstr("above the format's limit"));
  EXPECT_THAT(error_in_header("{\"a\":"), HasSubstr("the header is not JSON"));
  EXPECT_THAT(error_in_header("{\"\xff\":1}"), HasSubstr("the header is not JSON"));
  EXPECT_THAT(error_in_header("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_in_header(std::string(100'000, '[')), HasSubstr("nests lists or objects deeper than 64"));
  EXPECT_THAT(error_in_header("{}", "x"), HasSubstr("bytes at the end belong to no tensor"));
}

TEST(Safetensors, BrokenTensorsAreNamed) {
  const auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const std::string f32 = R"("F32")", four = "abcd";
  EXPECT_THAT(error_in_header(R"({"w":3})"), HasSubstr("m.safetensors: tensor 'w': 'dtype' is missing"));
  EXPECT_THAT(error_in_header(R"({"w":{"dtype":"F32","data_offsets":[0,0]}})"), HasSubstr("'shape' is missing"));
  EXPECT_THAT(error_in_header(R"({"w":{"dtype":"F32","shape":[]}})"), HasSubstr("'data_offsets' is missing"));
  EXPECT_THAT(error_in_header(entry(R"("F31")", "[1]", "[0,4]"), four), HasSubstr("tensor 'w': unknown dtype \"F31\""));
  EXPECT_THAT(error_in_header(entry("32", "[1]", "[0,4]"), four), HasSubstr("unknown dtype 32"));
  EXPECT_THAT(error_in_header(entry(f32, "1", "[0,4]"), four), HasSubstr("'shape' is not a list"));
  EXPECT_THAT(error_in_header(entry(f32, "[1.0]", "[0,4]"), four), HasSubstr("not a whole number"));
  EXPECT_THAT(error_in_header(entry(f32, "[-1]", "[0,4]"), four), HasSubstr("a dimension is negative"));
  EXPECT_THAT(error_in_header(entry(f32, "[18446744073709551615]", "[0,4]"), four),
              HasSubstr("does not fit in 64 bits"));
  for (const char* shape : {"[4294967296,4294967296]", "[2305843009213693952,0]", "[0,4294967296,4294967296]"})
    EXPECT_THAT(error_in_header(entry(f32, shape, "[0,0]")), HasSubstr("does not fit in 64 bits")) << shape;
  for (const char* offsets : {"3", "[0]", "[0,1,2]", "[-4,0]", "[0.0,4.0]", R"(["0","4"])"})
    EXPECT_THAT(error_in_header(entry(f32, "[1]", offsets), four), HasSubstr("not a pair of offsets")) << offsets;
  EXPECT_THAT(error_in_header(entry(f32, "[1]", "[4,8]"), four), HasSubstr("offsets 4 to 8 lie outside the 4 bytes"));
  EXPECT_THAT(error_in_header(entry(f32, "[1]", "[4,0]"), four), HasSubstr("lie outside"));
  EXPECT_THAT(error_in_header(entry(f32, "[2]", "[0,4]"), four), HasSubstr("4 bytes for F32 [2], which needs 8"));
}

TEST(Safetensors, OverlapsHolesAndRepetitions) {
  const auto two = [](const std::string& second_name, const std::string& second_offsets) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},")" + second_name +
           R"(":{"dtype":"U8","shape":[4],"data_offsets":)" + second_offsets + "}}";
  };
  EXPECT_EQ(parse_safetensors(file_of(two("b", "[4,8]"), "abcdefgh"), "m").size(), 2u);
  EXPECT_THAT(error_in_header(two("b", "[3,7]"), "abcdefg"), HasSubstr("tensor 'b': its bytes overlap"));
  EXPECT_THAT(error_in_header(two("b", "[0,4]"), "abcd"), HasSubstr("its bytes overlap"));
  EXPECT_THAT(error_in_header(two("b", "[5,9]"), "abcdefghi"),
              HasSubstr("tensor 'b': bytes before it belong to no tensor"));
  EXPECT_THAT(error_in_header(two("a", "[4,8]"), "abcdefgh"), HasSubstr("tensor 'a': appears twice"));
}

TEST(Safetensors, TruncationAnywhereIsNoticed) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"x", tensor({3}, {1, 2, 3})}});
  const std::vector<std::byte> whole = read_file(folder / "a");
  for (std::size_t size = 0; size < whole.size(); ++size)
    error_in(std::vector<std::byte>(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
}

TEST(Safetensors, ShapeAndDataMustAgree) {
  const TemporaryFolder folder;
  EXPECT_THROW(write_safetensors(folder / "a", {{"x", tensor({2}, {1})}}), std::logic_error);
  EXPECT_THROW(write_safetensors(folder / "a", {{"__metadata__", tensor({1}, {1})}}), std::logic_error);
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
  EXPECT_THAT(error_of([&] { read_safetensors(folder / "none"); }).what(), HasSubstr("cannot open"));
}

TEST(Safetensors, MetadataComeBackAsTheyWere) {
  TemporaryFolder folder;
  const Tensor a = tensor({2}, {1, 2});
  const FileMetadata metadata = {{"step", "7"}, {"text", "a \"quoted\" one"}};
  write_safetensors(folder / "m", {{"a", &a}}, metadata);
  FileMetadata read = {{"old", "gone"}};
  EXPECT_EQ(read_safetensors(folder / "m", &read).size(), 1u);
  EXPECT_EQ(read, metadata);
  EXPECT_THAT(error_in_header(R"({"__metadata__":{"step":7}})"), HasSubstr("metadata are no map of texts"));
  EXPECT_THAT(error_in_header(R"({"__metadata__":["step"]})"), HasSubstr("metadata are no map of texts"));
}

}  // namespace
}  // namespace aneval
