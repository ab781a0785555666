// A numerics profile: which arithmetic a program runs under. Data, not a class hierarchy: a new chip is a new row.
//
// Every rule of a row says what it rests on (Ground), because most of what is known about the engine was measured by
// others on one chip and carried over to the next. docs/numerics.md tells the rules in full, with their sources.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ane/emulator/rules.h"

namespace aneval::emulator {

/// How a matmul or convolution adds its products up.
enum class Accumulator {
  fp32,         // fp32, in whatever order is fastest
  four_lane,    // four consecutive products in a 12-bit adder, their sums in fp32; from 32768 on infinite
  fixed_point,  // 32 bits with 16 behind the point; small products dropped; sticky infinity from 32768 on
};
/// How a result becomes fp16.
enum class Rounding { nearest_even, half_away };
/// How reduce_sum and the sum inside softmax add.
enum class Summation {
  fp32,  // in fp32, rounded once
  fp16,  // left to right, every partial sum rounded to fp16
  wide,  // exactly (in double), rounded once
};
/// How sigmoid, tanh, exp and softmax are computed.
enum class Functions { exact, tables };
/// What the bit patterns of NaN and infinity mean, and whether −0 exists.
enum class Specials {
  ieee,
  ordinary,  // exponent 31 is an exponent like any other: 0x7C00 is 2^16, NaNs are larger; −0 becomes +0
};

/// What a rule of a profile rests on, strongest first.
enum class Evidence { defined, measured, published, assumed, contested, unmeasured };
std::string_view evidence_name(Evidence evidence);

struct Ground {
  Evidence evidence = Evidence::unmeasured;
  std::string source;  // who measured or published it, on which chip; or why it is assumed
};

struct Profile {
  std::string name;       // "h16", or with settings "h16:reduce_sum=wide;slice=exact"
  std::string_view chip;  // what it stands for
  Accumulator accumulator = Accumulator::fp32;
  Rounding matmul_rounding = Rounding::nearest_even, elementwise_rounding = Rounding::nearest_even;
  bool flush_subnormals = false;  // of matmul operands
  Summation reduce_sum = Summation::fp32;
  Functions functions = Functions::exact;
  /// sigmoid by the bits of its argument, as a probe read it off a device; null: as `functions` says. It grows with the
  /// argument. Chips only: exponent 31 is ordinary.
  std::shared_ptr<const std::array<float, 65536>> measured_sigmoid = {};
  Specials specials = Specials::ieee;
  bool slice_gain = false;      // slices with a non-zero begin on the last axis lose what exceeds kSliceLimit
  std::vector<Ground> grounds;  // by Rule
  /// What its rule for 8-bit numbers rests on: quantize rounds as elementwise operations do and clips, products are
  /// exact sums of 32 bits (eight_bits.h). None: nothing is known, and such programs are refused.
  std::optional<Ground> eight_bits = {};

  const Ground& ground(Rule rule) const { return grounds.at(static_cast<std::size_t>(rule)); }
};

/// From here on an accumulator of the engine is infinite: measured on M1 to M6.
inline constexpr double kAccumulatorLimit = 32768;
/// 65504/16: what a slice with gain still passes.
inline constexpr double kSliceLimit = 4094;

/// "measured: …", as the other rules of a profile are printed; "no rule: …" without one.
std::string eight_bits_text(const Profile& profile);

const std::vector<Profile>& profiles();
/// The one of that name; null when there is none.
const Profile* builtin_profile(std::string_view name);

/// NAME, or NAME:RULE=VALUE;RULE=VALUE… for the rules that can be set (rules.h), as reduce_sum, which is contested:
/// the result's name is the text given. Or a file of `aneval probe`, FILE.json (profile_file.h): the result's name is
/// then such a text. Errors: an unknown name, with the nearest known one; an unknown setting or value; a bad file.
Profile find_profile(std::string_view text);

inline constexpr std::string_view kDefaultProfile = "h16";

}  // namespace aneval::emulator
