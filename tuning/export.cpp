#include "tuning/export.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "common/error.h"
#include "common/names.h"

namespace aneval::tuning {
namespace {

/// As a C++ string literal.
std::string literal(std::string_view text) {
  std::string quoted = "\"";
  for (const char ch : text) {
    if (ch == '"' || ch == '\\') quoted += '\\';
    quoted += ch;
  }
  return quoted + "\"";
}

constexpr std::string_view kHead =
    R"(// Made by `aneval tune export`; do not edit. How each kernel is best run, per chip.
#pragma once

#include <cstddef>
#include <string_view>

namespace aneval_tuning {

struct Entry {
  std::string_view chip, family, os, backend, profile, kernel;
  long long dim, hidden, heads, kv_heads, head_dim, seq;
  std::string_view knobs;  // "pad=32;threads=2", or "default"
  double time_ns, error;
  std::string_view verdict;
};

inline constexpr Entry kEntries[] = {
)";

constexpr std::string_view kTail = R"(};

/// Larger over smaller: 1 for equal sizes.
constexpr double stretch(long long a, long long b) {
  return a > b ? static_cast<double>(a) / static_cast<double>(b) : static_cast<double>(b) / static_cast<double>(a);
}

/// The exact entry, else the nearest shape on that chip, else the nearest on a chip of the family; null: the default.
constexpr const Entry* look_up(std::string_view chip, std::string_view family, std::string_view kernel, long long dim,
                               long long hidden, long long heads, long long kv_heads, long long head_dim,
                               long long seq) {
  const Entry* best = nullptr;
  bool best_is_chip = false;
  double nearest = 0;
  for (const Entry& e : kEntries) {
    const bool is_chip = e.chip == chip;
    if (e.kernel != kernel || (!is_chip && (family.empty() || e.family != family)) || (best_is_chip && !is_chip)) continue;
    const double distance = stretch(e.dim, dim) * stretch(e.hidden, hidden) * stretch(e.heads, heads) *
                            stretch(e.kv_heads, kv_heads) * stretch(e.head_dim, head_dim) * stretch(e.seq, seq);
    if (best != nullptr && is_chip == best_is_chip && distance >= nearest) continue;
    best = &e;
    best_is_chip = is_chip;
    nearest = distance;
  }
  return best;
}

}  // namespace aneval_tuning
)";

}  // namespace

std::string json_text(const std::vector<Entry>& entries) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Entry& e : entries) {
    const Point point = e.point();
    const ModelShape& s = point.c.shape;
    nlohmann::ordered_json knobs = nlohmann::ordered_json::object();
    if (e.knobs != "default")
      for (const auto& [name, value] : parse_pairs(e.knobs, "knobs")) knobs[name] = value;
    all.push_back({{"chip", e.chip},
                   {"family", e.family},
                   {"os", e.os},
                   {"backend", e.backend},
                   {"profile", e.profile},
                   {"kernel", e.kernel},
                   {"model", s.name},
                   {"dim", s.dim},
                   {"hidden", s.hidden},
                   {"heads", s.heads},
                   {"kv_heads", s.kv_heads},
                   {"head_dim", s.head_dim},
                   {"seq", s.seq},
                   {"knobs", knobs},
                   {"verdict", verdict_name(e.verdict)},
                   {"time_ns", e.time_ns},
                   {"default_ns", e.default_ns},
                   {"gain", e.gain},
                   {"gain_low", e.gain_low},
                   {"gain_high", e.gain_high},
                   {"error", e.error},
                   {"default_error", e.default_error},
                   {"program", e.program},
                   {"commit", e.commit}});
  }
  return nlohmann::ordered_json{{"schema", 1}, {"entries", all}}.dump(2) + "\n";
}

std::string header_text(const std::vector<Entry>& entries) {
  std::set<std::pair<std::string, std::string>> kinds;
  for (const Entry& e : entries) kinds.emplace(e.backend, e.backend == "apple" ? std::string() : e.profile);
  if (kinds.size() > 1)
    throw input_error("tune export --format header",
                      "entries of several backends or profiles cannot be told apart in it",
                      "choose one with --profile, or export tables one by one");
  std::string text(kHead);
  for (const Entry& e : entries) {
    const Point point = e.point();
    const ModelShape& s = point.c.shape;
    text += fmt::format("    {{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}},\n", literal(e.chip),
                        literal(e.family), literal(e.os), literal(e.backend), literal(e.profile), literal(e.kernel),
                        s.dim, s.hidden, s.heads, s.kv_heads, s.head_dim, s.seq, literal(e.knobs),
                        number_text(e.time_ns), number_text(e.error), literal(verdict_name(e.verdict)));
  }
  return text + std::string(kTail);
}

}  // namespace aneval::tuning
