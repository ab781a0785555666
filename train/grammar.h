// Text to train on that needs no file: sentences of a small English grammar, drawn from a seed. A model that learns it
// has to learn spelling, word order, and that a verb agrees with its subject across whatever stands between them.
#pragma once

#include <cstdint>
#include <string>

namespace aneval::train {

/// Sentences until the text has at least `bytes` bytes; each ends in a full stop and a space or a line feed. The same
/// seed gives the same text on every platform, and a longer text begins with the shorter.
std::string grammar_text(std::uint64_t seed, std::int64_t bytes);

}  // namespace aneval::train
