// safetensors files: what is read can be written, and reads back to the same tensors and metadata.
#include "common/safetensors.h"

#include "fuzz/support.h"

namespace {

using namespace aneval;

bool same(const StoredTensors& a, const StoredTensors& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.dtype == y.second.dtype && x.second.shape == y.second.shape &&
           x.second.bytes == y.second.bytes;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  FileMetadata metadata;
  StoredTensors tensors;
  if (!fuzz::accepted(
          [&] { tensors = parse_safetensors(std::vector<std::byte>(bytes, bytes + size), "fuzz", &metadata); }))
    return 0;
  const fuzz::InputFile file("", ".safetensors");
  write_safetensors(file.path(), {}, metadata, tensors);
  fuzz::must_accept("a file that was written can be read", [&] {
    FileMetadata metadata_again;
    fuzz::require(same(tensors, read_safetensors(file.path(), &metadata_again)), "tensors read back the same");
    fuzz::require(metadata == metadata_again, "metadata read back the same");
  });
  return 0;
}
