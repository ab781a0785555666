// A numerics profile: which arithmetic a program runs under. Data, not a class hierarchy: a new chip is a new row.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace aneval::emulator {

/// How a matmul adds its products up.
enum class Accumulator { fp32 };
/// How reduce_sum adds.
enum class SumKind { fp32 };
/// How a result becomes fp16.
enum class Rounding { nearest_even };

struct Profile {
  std::string_view name;
  std::string_view chip;      // what it stands for
  std::string_view evidence;  // measured, published, assumed: what the row rests on
  Accumulator accumulator;
  Rounding matmul_rounding, elementwise_rounding;
  SumKind reduce_sum;
};

const std::vector<Profile>& profiles();

/// Errors: unknown name, with the nearest known one.
const Profile& find_profile(std::string_view name);

inline constexpr std::string_view kDefaultProfile = "ieee";

}  // namespace aneval::emulator
