// MIL text: printer and parser.
//
// Two dialects mean the same: `modern` (program(1.3), ios18, string("x")) and `legacy` (program(1.0), ios16,
// tensor<string, []>("x")), which is what the compilers for M1 and M2 accept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "ane/mil/program.h"

namespace aneval::mil {

enum class Dialect { modern, legacy };

/// Limits of parse(): they bound the memory that hostile text can ask for to some hundred MB.
inline constexpr std::size_t kMaxTextBytes = std::size_t{1} << 26;
/// Operations, parameters, arguments, attributes, results and build-info entries of one program, taken together.
inline constexpr std::size_t kMaxItems = std::size_t{1} << 20;
/// Numbers in the literals of one program (a causal mask of 4096 tokens; larger ones belong into weight files).
inline constexpr std::size_t kMaxLiteralNumbers = std::size_t{1} << 24;
/// Dimensions of a type, and depth of nested lists. The engine takes 5.
inline constexpr std::size_t kMaxRank = 16;

/// The text that parse() reads back to an equal program. Version and opset are written as they are when they belong to
/// the dialect, else as its own: 1.3 and ios18, or 1.0 and ios16 (1.0, ios15 and ios16 are legacy, all others modern).
/// Floating-point literals are hexadecimal, hence exact.
std::string print(const Program& program, Dialect dialect = Dialect::modern);

/// Either dialect, comments (// and /* */) allowed. Malformed text is an input_error "FILE:LINE:COL: what was found,
/// what was expected". Syntax only: types and names are the checker's business, but a dimension that is not positive,
/// a type beyond kMaxElements and a number that its dtype cannot hold at all (fp16(1e6), inf, nan) are refused here.
Program parse(std::string_view text, std::string_view file);

}  // namespace aneval::mil
