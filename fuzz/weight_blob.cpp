// Weight files: every blob that is accepted lies inside the file, and can be written and read back; the checker and the
// planner take the file or name what is wrong with it.
#include "ane/weight_blob.h"

#include <cstring>

#include "ane/emulator/plan.h"
#include "ane/mil/checker.h"
#include "ane/mil/text.h"
#include "fuzz/support.h"

namespace {

using namespace aneval;

constexpr std::string_view kProgram = R"(program(1.3) {
  func main<ios18>(tensor<fp16, [1, 4, 1, 2]> x) {
    tensor<fp16, [1, 4, 1, 2]> h = const()[name = string("h"), val = tensor<fp16, [1, 4, 1, 2]>(BLOBFILE(path = string("@model_path/weights/f.bin"), offset = uint64(64)))];
    tensor<int8, [4, 2]> q = const()[name = string("q"), val = tensor<int8, [4, 2]>(BLOBFILE(path = string("@model_path/weights/f.bin"), offset = uint64(192)))];
    tensor<fp16, [1, 4, 1, 2]> s = add(x = x, y = h)[name = string("s")];
  } -> (s);
})";

void check_blobs(std::span<const std::byte> file) {
  constexpr std::uint64_t kStep = 32;  // also offsets that are not aligned
  for (std::uint64_t offset = 0; offset <= file.size(); offset += kStep) {
    // What the metadata say of the size, so that the other checks are reached.
    std::uint64_t expected = 16;
    if (offset + 16 <= file.size()) std::memcpy(&expected, file.data() + offset + 8, sizeof expected);
    fuzz::accepted([&] {
      const ane::Blob blob = ane::read_blob(file, offset, expected, "fuzz.bin");
      fuzz::require(blob.bytes.size() == expected && blob.bytes.data() >= file.data() &&
                        blob.bytes.data() + blob.bytes.size() <= file.data() + file.size(),
                    "a blob lies inside its file");
      ane::BlobWriter writer;
      const std::uint64_t place = writer.add(blob.type, blob.bytes);
      const std::vector<std::byte> written = writer.finish();
      fuzz::must_accept("a blob that was written can be read", [&] {
        const ane::Blob again = ane::read_blob(written, place, expected, "written.bin");
        fuzz::require(again.type == blob.type && std::ranges::equal(again.bytes, blob.bytes),
                      "a blob reads back the same");
      });
    });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  // A copy: the sanitizer then sees a byte read behind the file.
  const ane::WeightFiles files = {{"@model_path/weights/f.bin", std::vector<std::byte>(bytes, bytes + size)}};
  check_blobs(files.begin()->second);
  const mil::Program program = mil::parse(kProgram, "blob.mil");
  fuzz::accepted([&] {
    mil::check_or_throw(program, &files);
    (void)emulator::make_plan(program, files);
  });
  return 0;
}
