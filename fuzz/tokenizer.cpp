// llama2.c tokenizers, and texts through them. The input is the vocabulary's size (two bytes), the length of the text
// (one), the text, and the tokenizer's file. Every id of an encoded text is one of the vocabulary's.
#include "fuzz/support.h"
#include "reference/llama2c.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHeadBytes = 3;
  constexpr std::int32_t kBos = 1;
  if (size < kHeadBytes) return 0;
  const std::int64_t vocab = data[0] + 256 * data[1];
  const std::size_t length = std::min<std::size_t>(data[2], size - kHeadBytes);
  const std::string_view text = fuzz::text_of(data + kHeadBytes, length);
  const fuzz::InputFile file(fuzz::text_of(data + kHeadBytes + length, size - kHeadBytes - length), ".bin");
  fuzz::accepted([&] {
    const reference::Tokenizer tokenizer = reference::Tokenizer::read(file.path(), vocab);
    const std::vector<std::int32_t> ids = tokenizer.encode(text);
    fuzz::require(ids.front() == kBos, "a text begins with BOS");
    fuzz::require(ids.size() <= text.size() + 2, "a text has no more tokens than bytes, BOS and the space before it");
    fuzz::require(std::all_of(ids.begin() + 1, ids.end(), [&](std::int32_t id) { return id >= 0 && id < vocab; }),
                  "every id is one of the vocabulary's");
    fuzz::require(tokenizer.encode(text) == ids, "a text has the same tokens twice");
  });
  return 0;
}
