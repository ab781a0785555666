// llama2.c checkpoints: a model that is accepted looks like one, and holds the numbers of the file.
#include "reference/llama2c.h"

#include <cstring>

#include "fuzz/support.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHeaderBytes = 28;
  const fuzz::InputFile file(fuzz::text_of(data, size), ".bin");
  const bool looks = reference::looks_like_llama2c(file.path());
  fuzz::accepted([&] {
    const reference::Model model = reference::read_llama2c(file.path());
    fuzz::require(looks, "what can be read looks like a checkpoint");
    fuzz::require(static_cast<std::int64_t>(model.layers.size()) == model.shape.layers, "a model has all its layers");
    const Tensor& embedding = model.globals.at("embedding");
    fuzz::require(
        size - kHeaderBytes >= embedding.data.size() * sizeof(float) &&
            std::memcmp(data + kHeaderBytes, embedding.data.data(), embedding.data.size() * sizeof(float)) == 0,
        "the embedding follows the header");
  });
  return 0;
}
