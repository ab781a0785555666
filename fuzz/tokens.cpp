// Token files of `aneval train --data`: the vocabulary's size (two bytes), the width of an id (odd: 32 bits), the file.
// Every id that is accepted is one of the vocabulary's, and none is lost.
#include "train/tokens.h"
#include "fuzz/support.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHeadBytes = 3;
  if (size < kHeadBytes) return 0;
  const std::int64_t vocab = 1 + data[0] + 256 * data[1];
  const int bits = data[2] % 2 == 0 ? 16 : 32;
  const std::string_view content = fuzz::text_of(data + kHeadBytes, size - kHeadBytes);
  const fuzz::InputFile file(content, ".bin");
  const auto check = [&](const train::TokenIds& ids, std::size_t expected) {
    fuzz::require(ids.size() == expected, "no id is lost");
    fuzz::require(std::all_of(ids.begin(), ids.end(), [&](std::int32_t id) { return id >= 0 && id < vocab; }),
                  "every id is one of the vocabulary's");
  };
  fuzz::accepted([&] {
    check(train::read_token_file(file.path(), bits, vocab), content.size() * 8 / static_cast<std::size_t>(bits));
  });
  fuzz::accepted([&] { check(train::byte_tokens(content, vocab), content.size()); });
  return 0;
}
