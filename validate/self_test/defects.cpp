#include "validate/self_test/defects.h"

#include <array>
#include <bit>
#include <cmath>

#include "common/names.h"

namespace aneval::validate {

std::string_view mechanism_name(Mechanism mechanism) {
  constexpr std::array<std::string_view, 5> kNames = {"program", "staging", "output", "arithmetic", "host"};
  return kNames.at(static_cast<std::size_t>(mechanism));
}

const std::vector<Defect>& defect_catalogue() {
  static const std::vector<Defect> catalogue = [] {
    std::vector<Defect> all;
    for (const auto part : {program_defects, eight_bit_defects, staging_defects, output_defects, arithmetic_defects})
      for (Defect& defect : part()) all.push_back(std::move(defect));
    return all;
  }();
  return catalogue;
}

const Defect& find_defect(std::string_view name) {
  std::vector<std::string> known;
  for (const Defect& defect : defect_catalogue()) {
    if (defect.name == name) return defect;
    known.push_back(defect.name);
  }
  unknown_name("defect", name, known);
}

double truncated_to_half(double value) {
  const ane::half_t nearest = ane::to_half(value);
  const double rounded = static_cast<double>(ane::to_float(nearest));
  if (!std::isfinite(rounded) || std::abs(rounded) <= std::abs(value)) return rounded;
  return static_cast<double>(ane::to_float(static_cast<ane::half_t>(nearest - 1)));  // one step towards zero
}

double rounded_to_bf16(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  if (!std::isfinite(value)) return value;
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U;
  return static_cast<double>(std::bit_cast<float>(rounded));
}

}  // namespace aneval::validate
