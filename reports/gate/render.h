// An Outcome as text, for every reader: each renderer is a function in a file of its own (render_*.cpp), and adds
// nothing to what the outcome says.
#pragma once

#include <string>
#include <vector>

#include "reports/gate/outcome.h"

namespace aneval::gate {

/// For a terminal of 120 columns: what is worth reading, worst first, the rest counted.
std::string to_console(const Outcome& outcome, bool strict);

/// GitHub-flavoured, at most kMarkdownBytes; `details` says where everything is.
std::string to_markdown(const Outcome& outcome, bool strict, const std::string& details);
inline constexpr std::size_t kMarkdownBytes = 60'000;  // a comment on a pull request takes 65 536 characters

/// JUnit XML: every finding a test case, its classname the kind; what does not gate, or is open, is skipped.
std::string to_junit(const Outcome& outcome);

/// Every finding with every column, RFC 4180 with LF.
std::string to_csv(const Outcome& outcome);

/// `::error::` lines of a GitHub workflow, for the worst findings that fail the comparison: GitHub shows ten of a step.
std::string to_annotations(const Outcome& outcome, bool strict);
inline constexpr std::size_t kMostAnnotations = 10;

}  // namespace aneval::gate
