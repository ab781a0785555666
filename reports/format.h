// Numbers for people.
#pragma once

#include <string>
#include <string_view>

namespace aneval::reports {

/// Three significant digits in the unit that fits: "3.06 ms", "812 ns".
std::string time_text(double ns);
/// Three significant digits.
std::string number3(double value);
/// "41 %".
std::string percent(double share);
/// As text of XML and HTML, between tags or in an attribute in double quotes.
std::string markup_escaped(std::string_view text);

}  // namespace aneval::reports
