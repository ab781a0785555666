// What a program computes when nothing rounds but its constants, which are taken as they were compiled. The values of
// the error shadows without their bounds: a third of the memory, and a product is one product.
#pragma once

#include <span>

#include "ane/emulator/plan.h"
#include "ane/emulator/tensor_view.h"
#include "common/thread_pool.h"

namespace aneval::validate {

class PlainArithmetic {
 public:
  using Element = double;
  using In = emulator::TensorView<const double>;
  using Out = emulator::TensorView<double>;

  void load_constant(const emulator::PlanConstant& constant, std::span<double> to) const;
  void slice(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void unary(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void binary(const emulator::Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const;
  void reduce(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void softmax(const emulator::Step& step, const In& x, const Out& out, ThreadPool* pool) const;
  void matmul(const emulator::Step& step, const In& x, const In& y, const In* bias, const Out& out,
              ThreadPool* pool) const;
};

}  // namespace aneval::validate
