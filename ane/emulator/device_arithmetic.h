// fp16 device values under a numerics profile, carried as the floats that equal them (half_values.h): products of two
// are exact in fp32, and fp32 tensors of a program (after a cast) need no second type.
#pragma once

#include <span>

#include "ane/emulator/blocks.h"
#include "ane/emulator/half_values.h"
#include "ane/emulator/plan.h"
#include "ane/emulator/profile.h"
#include "ane/variant.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

class DeviceArithmetic {
 public:
  using Element = float;
  using In = TensorView<const float>;
  using Out = TensorView<float>;

  explicit DeviceArithmetic(Profile profile);

  const Profile& profile() const { return profile_; }

  void load_constant(const PlanConstant& constant, std::span<float> to) const;
  void slice(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const;
  void reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out, ThreadPool* pool) const;

 private:
  /// One row, whose results lie `step` apart.
  void softmax_in_double(mil::DType dtype, const Matrix& row, float* to, std::int64_t step) const;
  /// Up to kColumnsReduced rows; element (r, i) of the results lies at to[r·row_step + i·step].
  void softmax_from_tables(const Matrix& rows, float* to, std::int64_t row_step, std::int64_t step) const;
  void quantize(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void dequantize(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void matmul_of_integers(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const;
  void matmul_in_fp32(const Step& step, const In& x, const In& y, const In* bias, const Out& out,
                      ThreadPool* pool) const;

  Profile profile_;
  HalfFormat format_;
};

/// Throws an input_error with the place of the first operation that the profile has no rule for: functions nobody
/// measured on the engine, computing in fp32, which the engine does not, and 8-bit numbers where nothing is known of
/// them.
void require_rules(const Plan& plan, const Profile& profile);

/// Whether the profile has rules for what programs of the variant do; what is missing, if not.
bool has_rules(const Profile& profile, const ane::Variant& variant);
/// Throws an input_error that names the rule: before anything is compiled.
void require_rules(const ane::Variant& variant, const Profile& profile);

}  // namespace aneval::emulator
