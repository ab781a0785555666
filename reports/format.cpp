#include "reports/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace aneval::reports {

std::string number3(double value) {
  const double size = std::fabs(value);
  if (size == 0) return "0";
  if (size < 1e-3 || size >= 1e6) return fmt::format("{:.2e}", value);
  // Digits after the point such that three are significant; 999.6 becomes 1000, not 1e+03.
  const int digits = std::max(0, 2 - static_cast<int>(std::floor(std::log10(size))));
  return fmt::format("{:.{}f}", value, digits);
}

std::string time_text(double ns) {
  struct Unit {
    double ns;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits = {{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}}};
  for (const Unit& unit : kUnits)
    if (ns >= unit.ns || unit.ns == 1) return number3(ns / unit.ns) + " " + unit.name;
  return {};
}

std::string percent(double share) {
  const double hundredths = 100 * share;
  return hundredths < 9.95 ? fmt::format("{:.1f} %", hundredths) : fmt::format("{:.0f} %", hundredths);
}

std::string markup_escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  return result;
}

}  // namespace aneval::reports
