// The families of the engine as rows of one table: h13 … h18, the engines of M1 … M6, and what is known to differ
// between them in ways that a program's text can meet.
//
// Names: M(n) has engine H(n+12), as the devices themselves report it (`aneSubType` h13, h14g, h15g, h16g, …); the
// suffix of a die variant does not matter here. Core ML tools call the same generations A13 … A16 and later.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aneval::mil {

/// Families as bits, so that a rule can say where it holds.
using FamilySet = std::uint8_t;
inline constexpr FamilySet kH13 = 1, kH14 = 2, kH15 = 4, kH16 = 8, kH17 = 16, kH18 = 32;
inline constexpr FamilySet kAllFamilies = kH13 | kH14 | kH15 | kH16 | kH17 | kH18;

/// What a slice that begins inside the last axis does to its values.
enum class SliceCrop {
  saturates,   // measured: |v| > 4094 becomes infinite (a crop in fixed point, scaled by 16)
  unmeasured,  // sources say both or nothing
  exact,       // measured
};

/// One row per family. To add one: a bit above, a row in family.cpp, and its bit in the rules that hold for it.
struct Family {
  std::string_view name;  // "h13"
  std::string_view chip;  // "M1"
  FamilySet bit;
  // The largest extents that the compiler takes. Width is the last axis, height the one before, channels axis 1 of a
  // tensor of rank 4; contraction is the axis that a matmul sums over.
  std::int64_t max_width, max_height, max_contraction, max_channels;
  std::int64_t max_rank;
  std::int64_t max_kernel_width;  // of a conv
  bool legacy_dialect;            // wants program(1.0), ios16, tensor<string, []>("x"), and has no cast
  SliceCrop slice_crop;
  std::int64_t min_surface_bytes;  // a reported smallest input surface, contested; 0: none reported
  std::string_view evidence;       // what the row rests on
};

const std::vector<Family>& families();

/// Errors: unknown name, with the nearest known one.
const Family& find_family(std::string_view name);

/// "all", "h13-h15", "h13 h16-h18", "-" for none.
std::string family_set_text(FamilySet set);

}  // namespace aneval::mil
