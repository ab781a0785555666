// llama2.c files: checkpoints (version 0, fp32) and tokenizers, and the byte-pair encoding that goes with them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "reference/model.h"

namespace aneval::reference {

/// Seven little-endian int32 (dim, hidden, layers, heads, kv_heads, vocab, seq; negative vocab: untied classifier),
/// then fp32 arrays, each for all layers before the next. Residual scale 1, interleaved RoPE, base 10000, eps 1e-5.
/// Errors name the file and say what is wrong: too short, impossible header, a size that does not match it, foreign,
/// a weight that is not finite.
Model read_llama2c(const std::filesystem::path& file);

/// Whether the file begins like a llama2.c checkpoint whose size fits its header (for choosing a reader).
bool looks_like_llama2c(const std::filesystem::path& file);

class Tokenizer {
 public:
  /// int32 longest token, then per token a float32 score, an int32 byte length and the bytes, `vocab` times.
  /// Errors name the file: truncated, bytes left over (another vocabulary), an impossible length, a score that is not
  /// finite.
  static Tokenizer read(const std::filesystem::path& file, std::int64_t vocab);

  /// BOS (1), a leading space, UTF-8 characters with byte fallback (id = byte + 3), then repeatedly the adjacent pair
  /// whose merge has the highest score, the leftmost on a tie.
  /// An empty text is BOS alone. Errors: a byte that the vocabulary has no token for.
  std::vector<std::int32_t> encode(std::string_view text) const;

 private:
  struct Entry {
    std::string bytes;
    float score;
  };

  /// The token of these bytes, -1 when there is none.
  std::int32_t find(std::string_view bytes) const;
  /// Before any merge: one token per character, or per byte of a character without one.
  std::vector<std::int32_t> characters(std::string_view text) const;

  std::vector<Entry> entries_;
  std::vector<std::pair<std::string, std::int32_t>> sorted_;  // by bytes, for lookup
};

}  // namespace aneval::reference
