// fp16 device values under a numerics profile. A value is carried as the float that equals it: every fp16 number is
// one, products of two are exact in fp32, and fp32 tensors of a program (after a cast) need no second type.
#pragma once

#include <span>

#include "ane/emulator/plan.h"
#include "ane/emulator/profile.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

class DeviceArithmetic {
 public:
  using Element = float;
  using In = TensorView<const float>;
  using Out = TensorView<float>;

  explicit DeviceArithmetic(const Profile& profile) : profile_(&profile) {}

  void load_constant(const PlanConstant& constant, std::span<float> to) const;
  void unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const;
  void reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out, ThreadPool* pool) const;

 private:
  const Profile* profile_;
};

}  // namespace aneval::emulator
