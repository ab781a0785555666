#include "ane/mil/family.h"

#include "common/names.h"

namespace aneval::mil {

const std::vector<Family>& families() {
  // Axis caps and kernel widths: ANEForge (docs/cross-chip.md), which measured them on M1, M2 and M5 and found the same
  // caps within a generation group; its two groups end at M3 and begin at M4. Its slice measurements: M1, M1 Max and M2
  // Pro saturate, M4 and M5 do not; its pages disagree about everything between, and nobody published an M3. A kernel
  // width of 13 was measured on M1 and of 15 on M5; what lies between is taken at the larger value.
  // Smallest surfaces: imperatormk/ane-train (M1), Orion (M4 Max).
  static const std::vector<Family> table = {
      {"h13", "M1", kH13, 16384, 16384, 16384, 65536, 5, 13, true, SliceCrop::saturates, 2048,
       "axis caps, kernel width and slices measured (ANEForge); dialect reported (maderix/ANE#6)"},
      {"h14", "M2", kH14, 16384, 16384, 16384, 65536, 5, 15, true, SliceCrop::saturates, 0,
       "axis caps and slices measured (ANEForge); dialect reported (maderix/ANE#6)"},
      {"h15", "M3", kH15, 16384, 16384, 16384, 65536, 5, 15, false, SliceCrop::unmeasured, 0,
       "axis caps from the compiler's tables (ANEForge), slices unmeasured"},
      {"h16", "M4", kH16, 65536, 65536, 65536, 65536, 5, 15, false, SliceCrop::exact, 49152,
       "axis caps from the compiler's tables, slices measured (ANEForge)"},
      {"h17", "M5", kH17, 65536, 65536, 65536, 65536, 5, 15, false, SliceCrop::exact, 0,
       "axis caps, kernel width and slices measured (ANEForge)"},
      {"h18", "M6", kH18, 65536, 65536, 65536, 65536, 5, 15, false, SliceCrop::exact, 0,
       "no capability beyond h16 is known (ANEForge); its own caps are unmeasured"},
  };
  return table;
}

const Family& find_family(std::string_view name) {
  std::vector<std::string> known;
  for (const Family& family : families()) {
    if (family.name == name) return family;
    known.emplace_back(family.name);
  }
  unknown_name("family", name, known);
}

std::string family_set_text(FamilySet set) {
  if (set == 0) return "-";
  if (set == kAllFamilies) return "all";
  std::string text;
  const std::vector<Family>& all = families();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if ((set & all[i].bit) == 0) continue;
    std::size_t last = i;
    while (last + 1 < all.size() && (set & all[last + 1].bit) != 0) ++last;
    text.append(text.empty() ? "" : " ").append(all[i].name);
    if (last > i) text.append(last > i + 1 ? "-" : " ").append(all[last].name);
    i = last;
  }
  return text;
}

}  // namespace aneval::mil
