// MIL text: printer and parser.
//
// Two dialects mean the same: `modern` (program(1.3), ios18, string("x")) and `legacy` (program(1.0), ios16,
// tensor<string, []>("x")), which is what the compilers for M1 and M2 accept.
#pragma once

#include <string>
#include <string_view>

#include "ane/mil/program.h"

namespace aneval::mil {

enum class Dialect { modern, legacy };

/// The text that parse() reads back to an equal program.
std::string print(const Program& program, Dialect dialect = Dialect::modern);

/// Either dialect, comments (// and /* */) allowed. Malformed text is an input_error "FILE:LINE:COL: what was found,
/// what was expected". Limits (depth, size of literals, number of operations) bound the memory of hostile text.
/// Syntax only: types and names are the checker's business.
Program parse(std::string_view text, std::string_view file);

}  // namespace aneval::mil
