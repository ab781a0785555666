// Nesting of JSON texts. nlohmann's parser takes any depth, but writing, copying and comparing what it made call
// themselves once per level: some ten thousand brackets of a file would end the process with a stack overflow.
#pragma once

#include <string_view>

namespace aneval {

/// No file of the project or of Hugging Face nests a tenth as deep.
inline constexpr int kMaxJsonDepth = 64;

/// Before a text of strangers is parsed. Throws an input_error naming `where` when its lists and objects nest deeper
/// than kMaxJsonDepth; whatever else is wrong with it, the parser says.
void check_json_depth(std::string_view text, std::string_view where);

}  // namespace aneval
