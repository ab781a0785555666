#include "reports/gate/render_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "common/names.h"
#include "reports/format.h"

namespace aneval::gate {
namespace {

const std::string kNone = "–";

/// Places of readers' interest, from the worst.
int rank(const Finding& f) {
  const bool worse = f.verdict == Verdict::regressed;
  if (fails(f)) return f.kind != Kind::timing && worse ? 0 : worse ? 2 : 1;
  if (!f.expected.empty()) return 4;
  switch (f.verdict) {
    case Verdict::regressed:
    case Verdict::error:
    case Verdict::removed:
    case Verdict::refused:
      return 3;
    case Verdict::improved:
      return 5;
    case Verdict::inconclusive:
    case Verdict::not_comparable:
      return 6;
    case Verdict::added:
      return 7;
    default:
      return 8;
  }
}

std::string value_text(const Finding& f, const std::optional<double>& value, const std::string& text) {
  if (!value) return text.empty() ? kNone : plain(text);
  if (f.unit == "ns") return reports::time_text(*value);
  if (f.kind == Kind::exact) return number_text(*value);
  return reports::number3(*value) + (f.unit.empty() || f.unit == "1" || f.unit == "count" ? "" : " " + f.unit);
}

/// Bytes of the character that begins here; 0 when it is none that UTF-8 or XML knows.
std::size_t character(std::string_view rest) {
  const auto byte = [&](std::size_t i) { return i < rest.size() ? static_cast<unsigned char>(rest[i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 && first < 0xF5   ? 4
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xC2 && first < 0xE0 ? 2
                                                             : 0;
  if (length == 0) return 0;
  unsigned code = first & (0x7F >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = code < (length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u);
  const bool surrogate = code >= 0xD800 && code < 0xE000, outside = code > 0x10FFFF, none = (code & 0xFFFE) == 0xFFFE;
  return overlong || surrogate || outside || none ? 0 : length;
}

}  // namespace

bool fails(const Finding& f) {
  return f.gating && (f.verdict == Verdict::regressed || f.verdict == Verdict::removed || f.verdict == Verdict::error);
}

std::vector<const Finding*> worst_first(const Outcome& outcome) {
  std::vector<const Finding*> order;
  for (const Finding& f : outcome.findings) order.push_back(&f);
  const auto place = [](const Finding* f) {
    const double change = f->change.value_or(0);
    return std::tuple(rank(*f), f->kind == Kind::timing, -(std::isfinite(change) ? std::fabs(change) : 1e300));
  };
  std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) { return place(a) < place(b); });
  return order;
}

std::string base_value(const Finding& f) { return value_text(f, f.base, f.base_text); }
std::string new_value(const Finding& f) { return value_text(f, f.now, f.now_text); }

std::string signed_percent(const std::optional<double>& relative) {
  if (!relative || std::isnan(*relative)) return kNone;
  if (std::isinf(*relative)) return *relative > 0 ? "+∞" : "-∞";
  const double hundredths = 100 * *relative;
  if (std::fabs(hundredths) >= 1e4) return fmt::format("{:+.1e} %", hundredths);
  return fmt::format("{:+.{}f} %", hundredths, std::fabs(hundredths) < 9.95 ? 1 : 0);
}

std::string interval(const Finding& f) {
  if (!f.low || !f.high) return kNone;
  return signed_percent(f.low) + " … " + signed_percent(f.high);
}

std::string p_value(const Finding& f) {
  if (!f.p) return kNone;
  return *f.p < 0.001 ? fmt::format("{:.1e}", *f.p) : fmt::format("{:.3f}", *f.p);
}

std::string detectable(const Finding& f) {
  if (!f.detectable) return kNone;
  return std::isfinite(*f.detectable) ? reports::percent(*f.detectable) : "none";
}

std::string remark(const Finding& f) {
  if (f.expected.empty()) return plain(f.note);
  return plain("expected: " + f.expected + (f.note.empty() ? "" : "; " + f.note));
}

std::string verdict_text(const Finding& f) {
  std::string text(verdict_name(f.verdict));
  if (!f.expected.empty()) return text + " (expected)";
  const bool bad = f.verdict == Verdict::regressed || f.verdict == Verdict::removed || f.verdict == Verdict::error;
  return bad && !f.gating ? text + " (advisory)" : text;
}

std::string plain(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = character(std::string_view(text).substr(i));
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0)
      result += "\uFFFD";
    else if (byte == '\n' || byte == '\r' || byte == '\t')
      result += ' ';
    else if (byte >= 0x20 && byte != 0x7F)
      result += text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

std::string cut(const std::string& text, std::size_t bytes) {
  static const std::string kMore = "…";
  if (text.size() <= bytes) return text;
  std::size_t end = bytes < kMore.size() ? 0 : bytes - kMore.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + kMore;
}

}  // namespace aneval::gate
