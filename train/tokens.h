// What is trained on: a long row of token ids, the sequences that are drawn from it, and the vocabulary that remains
// when only the ids that occur get rows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "reference/llama2c.h"
#include "reference/model.h"

namespace aneval::train {

using TokenIds = std::vector<std::int32_t>;

/// Little-endian unsigned ids of 16 or 32 bits, nothing else in the file. Errors name the file: 16 bits for a
/// vocabulary of more than 65536 entries, a size that is no multiple of an id's, an id outside the vocabulary, an empty
/// file.
TokenIds read_token_file(const std::filesystem::path& file, int bits, std::int64_t vocab);

/// The bytes of a text as ids 0…255. Errors: a vocabulary of fewer than 256 entries, an empty text.
TokenIds byte_tokens(std::string_view text, std::int64_t vocab);

/// A text file through a tokenizer, or byte by byte when there is none.
TokenIds read_text_tokens(const std::filesystem::path& file, const reference::Tokenizer* tokenizer, std::int64_t vocab);

/// Sequences of seq + 1 tokens (seq inputs and the token that follows each), at places drawn from the seed. Which
/// sequence a step gets depends on nothing else, so that a resumed run needs no position.
class SequenceSampler {
 public:
  /// Keeps a reference to the tokens. Errors: fewer than seq + 1 tokens.
  SequenceSampler(const TokenIds& tokens, std::int64_t seq, std::uint64_t seed);

  /// The sequence of this step's micro-step `micro` (from 0, below the accumulation count).
  std::span<const std::int32_t> sequence(std::int64_t step, std::int64_t micro) const;

 private:
  const TokenIds& tokens_;
  std::int64_t length_;
  std::uint64_t seed_;
};

/// Vocabulary compaction: the ids that occur in the data, in order; id n of the compacted model is the n-th of them.
/// A step that costs V·D products per token costs as many as the text has different tokens. The loss is that of a model
/// whose vocabulary is these ids, as in the training loop the kernels come from; rows that do not occur are not
/// trained, and not decayed.
TokenIds occurring_ids(const TokenIds& tokens);
/// The data in compacted ids. `ids` must hold every token.
TokenIds compact_tokens(const TokenIds& tokens, const TokenIds& ids);
/// The model with only these rows in embedding and classifier; shape.vocab becomes their number.
reference::Model compact_model(reference::Model model, const TokenIds& rows);

}  // namespace aneval::train
