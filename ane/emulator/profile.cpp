#include "ane/emulator/profile.h"

#include "common/names.h"

namespace aneval::emulator {

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> table = {
      {"ieee", "no chip: IEEE fp16 storage, fp32 accumulation", "IEEE 754-2019", Accumulator::fp32,
       Rounding::nearest_even, Rounding::nearest_even, SumKind::fp32},
  };
  return table;
}

const Profile& find_profile(std::string_view name) {
  std::vector<std::string> known;
  for (const Profile& profile : profiles()) {
    if (profile.name == name) return profile;
    known.emplace_back(profile.name);
  }
  unknown_name("profile", name, known);
}

}  // namespace aneval::emulator
