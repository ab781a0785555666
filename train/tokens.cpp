#include "train/tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/error.h"
#include "common/files.h"
#include "common/random.h"

namespace aneval::train {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are read as they lie in memory");

template <class Id>
TokenIds ids_of(const std::vector<std::byte>& bytes, const std::string& file, std::int64_t vocab) {
  if (bytes.empty()) throw input_error(file, "is empty", "give a file of token ids");
  if (bytes.size() % sizeof(Id) != 0)
    throw input_error(file, fmt::format("{} bytes are no whole number of {}-bit ids", bytes.size(), 8 * sizeof(Id)),
                      "check that it was copied completely, and --token-bits");
  TokenIds tokens(bytes.size() / sizeof(Id));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    Id id;
    std::memcpy(&id, bytes.data() + i * sizeof id, sizeof id);
    if (static_cast<std::int64_t>(id) >= vocab)
      throw input_error(file,
                        fmt::format("token {} at position {} is outside the vocabulary of {} entries", id, i, vocab),
                        "check --token-bits, and use data made with the model's tokenizer");
    tokens[i] = static_cast<std::int32_t>(id);
  }
  return tokens;
}

Tensor rows_of(const Tensor& table, const TokenIds& ids) {
  Tensor rows({static_cast<std::int64_t>(ids.size()), table.cols()});
  const auto width = static_cast<std::ptrdiff_t>(table.cols());
  for (std::size_t i = 0; i < ids.size(); ++i)
    std::copy_n(table.data.begin() + ids[i] * width, width, rows.data.begin() + static_cast<std::ptrdiff_t>(i) * width);
  return rows;
}

}  // namespace

TokenIds read_token_file(const std::filesystem::path& file, int bits, std::int64_t vocab) {
  if (bits != 16 && bits != 32) throw input_error("--token-bits", "is neither 16 nor 32", "give the width of an id");
  if (bits == 16 && vocab > 65536)
    throw input_error(file.string(), fmt::format("16-bit ids cannot name the {} entries of the vocabulary", vocab),
                      "write the ids with 32 bits and give --token-bits 32");
  const std::vector<std::byte> bytes = read_file(file);
  return bits == 16 ? ids_of<std::uint16_t>(bytes, file.string(), vocab)
                    : ids_of<std::uint32_t>(bytes, file.string(), vocab);
}

TokenIds byte_tokens(std::string_view text, std::int64_t vocab) {
  if (vocab < 256)
    throw input_error("vocabulary", fmt::format("has {} entries, and bytes need 256", vocab),
                      "choose a model with a larger one, or give token ids");
  if (text.empty()) throw input_error("text", "is empty", "give one of at least a sequence and a token more");
  TokenIds tokens(text.size());
  std::ranges::transform(text, tokens.begin(), [](char c) { return static_cast<unsigned char>(c); });
  return tokens;
}

TokenIds read_text_tokens(const std::filesystem::path& file, const reference::Tokenizer* tokenizer,
                          std::int64_t vocab) {
  const std::string text = read_text_file(file);
  return tokenizer != nullptr ? tokenizer->encode(text) : byte_tokens(text, vocab);
}

SequenceSampler::SequenceSampler(const TokenIds& tokens, std::int64_t seq, std::uint64_t seed)
    : tokens_(tokens), length_(seq + 1), seed_(seed) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (count < length_)
    throw input_error("data",
                      fmt::format("{} tokens are fewer than a sequence of {} and the token after it", count, seq),
                      "give more data, or a smaller --seq");
}

std::span<const std::int32_t> SequenceSampler::sequence(std::int64_t step, std::int64_t micro) const {
  const auto places = static_cast<std::int64_t>(tokens_.size()) - length_ + 1;
  const std::int64_t begin = Random(seed_, fmt::format("sequence {} {}", step, micro)).below(places);
  return std::span(tokens_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(length_));
}

TokenIds occurring_ids(const TokenIds& tokens) {
  TokenIds ids = tokens;
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

TokenIds compact_tokens(const TokenIds& tokens, const TokenIds& ids) {
  TokenIds compact(tokens.size());
  std::ranges::transform(tokens, compact.begin(), [&](std::int32_t token) {
    const auto found = std::ranges::lower_bound(ids, token);
    if (found == ids.end() || *found != token)
      throw std::logic_error("compact_tokens: token " + std::to_string(token) + " is none of the ids");
    return static_cast<std::int32_t>(found - ids.begin());
  });
  return compact;
}

reference::Model compact_model(reference::Model model, const TokenIds& rows) {
  for (const char* name : {"embedding", "classifier"})
    if (const auto found = model.globals.find(name); found != model.globals.end())
      found->second = rows_of(found->second, rows);
  model.shape.vocab = static_cast<std::int64_t>(rows.size());
  return model;
}

}  // namespace aneval::train
