// Error shadows: the value that exact arithmetic would give, with what is known of how far a device's value lies from
// it, carried through the same MIL program by the same evaluator that runs it:
//
//   bound      E  no device value is further away: a worst case
//   bias       B  what the profile does systematically: dropped products, truncation, a function table's error
//   variance   V  of the roundings that are this element's own
//   shared     T  signed standard deviations of what it has in common with others: the rounding error of a row's sum
//
// All are derived, element by element, from the program and the profile: no tuned tolerance. Rules and references are
// in docs/judgement.md. With ErrorModel::exact nothing rounds, and what is left is the effect of compiled constants:
// that is the program check.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ane/emulator/plan.h"
#include "ane/emulator/profile.h"
#include "common/thread_pool.h"

namespace aneval::validate {

/// An error that many elements have in common, each with a factor of its own.
struct SharedError {
  float amount = 0;       // signed standard deviation; 0: none
  std::uint32_t row = 0;  // names the random variable; equal numbers, the same one
};

struct Shadow {
  double value = 0;
  double bound = 0;    // how far a finite device value may lie from `value`: see ErrorModel
  float bias = 0;      // expected device value − value
  float variance = 0;  // infinite or NaN: nothing is known but the bound
  /// Two, because two rows meet behind a softmax: its sum, and a sum over what is made of its probabilities.
  std::array<SharedError, 2> shared{};
  bool plus_infinity = false, minus_infinity = false;  // the device's value may be that
  bool finite = true;                                  // it may be finite

  /// It is not certain that the device's value is finite.
  bool straddles() const { return plus_infinity || minus_infinity; }
  /// Where a device's value is expected.
  double centre() const { return value + static_cast<double>(bias); }
  /// T²: the variance of what is shared.
  double shared_variance() const {
    double sum = 0;
    for (const SharedError& part : shared) sum += static_cast<double>(part.amount) * static_cast<double>(part.amount);
    return sum;
  }
  /// Standard deviation around the centre. Zero: only one fp16 number is possible, and it is the centre.
  double sigma() const { return std::sqrt(static_cast<double>(variance) + shared_variance()); }
};

/// What moves values away from exact arithmetic on the program's constants.
///   exact       |what the author meant − value| ≤ bound: constants whose origin is unknown were rounded from something
///   a profile   |device − value| ≤ bound: every rounding of the profile, and known constants as they were compiled
/// The sum of both bounds holds the device against the mathematics.
struct ErrorModel {
  std::optional<emulator::Profile> profile;  // none: exact arithmetic

  static ErrorModel exact() { return {}; }
  static ErrorModel of(emulator::Profile profile) { return {std::move(profile)}; }
};

class ShadowArithmetic {
 public:
  using Element = Shadow;
  using In = emulator::TensorView<const Shadow>;
  using Out = emulator::TensorView<Shadow>;

  /// `exact_constants`: what the program's fp16 constants were rounded from, by identifier. Constants that are not
  /// listed (programs that were read, not built) may have been rounded from anything within half a unit.
  ShadowArithmetic(ErrorModel model, const std::map<std::string, std::vector<double>, std::less<>>& exact_constants)
      : model_(std::move(model)), exact_constants_(&exact_constants) {}

  void load_constant(const emulator::PlanConstant& constant, std::span<Shadow> to) const;
  void slice(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void unary(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void binary(const emulator::Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const;
  void reduce(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void softmax(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void matmul(const emulator::Step& step, const In& x, const In& y, const In* bias, const Out& out,
              ThreadPool* pool) const;

 private:
  bool from_tables() const { return model_.profile && model_.profile->functions == emulator::Functions::tables; }
  /// Throws where the profile has no rule for the step; exact arithmetic and IEEE have one for everything.
  void require_rule(const emulator::Step& step) const;
  /// A shadow as an operand of a computation.
  Shadow read(const Shadow& x) const;
  /// The result of an elementwise operation as a tensor of that type holds it.
  Shadow stored(Shadow x, mil::DType dtype) const;
  /// The result of a product: rounded as the accumulator's results are.
  Shadow stored_product(Shadow x, mil::DType dtype) const;

  /// One row of a softmax.
  struct SoftmaxRow {
    const Shadow* x;
    Shadow* y;
    std::int64_t dx, dy, count;
    std::uint32_t name;  // of what its probabilities share

    const Shadow& score(std::int64_t i) const { return x[i * dx]; }
  };
  void softmax_from_tables(const SoftmaxRow& row) const;
  void softmax_in_double(mil::DType dtype, const SoftmaxRow& row) const;
  Shadow scaled_sum(const emulator::IntegerProduct& integers, std::int64_t row, std::int64_t column, double reach,
                    Shadow sum) const;
  /// quantize and dequantize.
  void change_units(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void matmul_in_fp32(const emulator::Step& step, const In& x, const In& y, const In* bias, const Out& out,
                      ThreadPool* pool) const;

  ErrorModel model_;
  const std::map<std::string, std::vector<double>, std::less<>>* exact_constants_;
};

}  // namespace aneval::validate
