// A report as one HTML file that needs nothing else: style, script, data, and what draws charts are inside.
//
// It asks no network (its own content security policy forbids it), works from a file:// address, and is readable
// without scripts: every chart has its numbers in a table beside it.
#pragma once

#include <string>
#include <string_view>

#include "reports/report.h"

namespace aneval::reports {

std::string to_html(const Report& report);

/// Text between tags or in an attribute in double quotes; control characters become U+FFFD.
std::string html_escaped(std::string_view text);
/// JSON for a <script>: nothing in it ends one.
std::string script_json(std::string_view json);

/// What a table is sorted by: the number that a cell begins with, times in ns ("3.06 ms", "≤ 0.5", "41 %", "×25").
/// Nothing for other texts.
std::string sort_key(std::string_view cell);

}  // namespace aneval::reports
