// JSON of strangers: what it is asked before nlohmann's parser gets it, what that parser does not say, and the parser's
// complaints as errors of ours.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace aneval {

/// No file of the project or of Hugging Face nests a tenth as deep.
inline constexpr int kMaxJsonDepth = 64;

/// Throws an input_error naming `where` when lists and objects of the text nest deeper than kMaxJsonDepth; whatever
/// else is wrong with it, the parser says. The parser itself takes any depth, but writing, copying and comparing what
/// it made call themselves once per level: some ten thousand brackets of a file would end the process with a stack
/// overflow.
void check_json_depth(std::string_view text, std::string_view where);

/// Checks the depth and parses. Errors name `where`, line and column, and end in `remedy`.
template <class Json>  // nlohmann::json or nlohmann::ordered_json
Json parse_json(std::string_view text, std::string_view where, std::string_view remedy);

/// The first key that stands a second time in the outermost object; nothing when there is none or the text is no JSON.
/// The parser keeps the last of equal keys silently, and tells of keys only through a callback with which it looks at
/// all members of an object whenever one of them ends: a hundred thousand tensors took minutes.
std::optional<std::string> repeated_json_key(std::string_view text);

}  // namespace aneval
