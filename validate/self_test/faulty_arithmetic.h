// An arithmetic that computes like another one but for an ArithmeticFault: around the emulator's it is the device that
// commits the defect, around shadows it tells what the defect changes (visibility.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/evaluator.h"
#include "ane/emulator/fixed_point.h"
#include "ane/emulator/four_lane.h"
#include "validate/self_test/defects.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

inline double number_of(float element) { return static_cast<double>(element); }
inline double number_of(const Shadow& element) { return element.centre(); }
inline void set_number(float& element, double value) { element = static_cast<float>(value); }
inline void set_number(Shadow& element, double value) { element = {value}; }

/// The fp16 number nearest to a value; what is beyond stays as it is.
inline double nearest_to_half(double value) {
  const double held = static_cast<double>(ane::to_float(ane::to_half(value)));
  return std::isfinite(held) ? held : value;
}

/// The sum of a dot product before it is stored: the device's own accumulator.
class DeviceSum {
 public:
  explicit DeviceSum(const emulator::Profile& profile) : accumulator_(profile.accumulator) {}

  double operator()(std::int64_t count, const float* x, std::int64_t dx, const float* y, std::int64_t dy) const {
    namespace fixed = emulator::fixed_point;
    namespace four = emulator::four_lane;
    if (accumulator_ == emulator::Accumulator::fixed_point) {
      std::int64_t units = 0;
      for (std::int64_t k = 0; k < count; ++k)
        units += fixed::product(fixed::decode(x[k * dx]), fixed::decode(y[k * dy]));
      return static_cast<double>(units) * 0x1p-16;
    }
    double total = 0;
    for (std::int64_t k = 0; k < count; k += four::kGroup) {
      if (accumulator_ == emulator::Accumulator::fp32) {
        for (std::int64_t i = k; i < std::min(count, k + four::kGroup); ++i)
          total += static_cast<double>(x[i * dx]) * static_cast<double>(y[i * dy]);
        continue;
      }
      float sum = 0;
      for (std::int64_t lane = 0; lane < four::kGroup && k + lane < count; ++lane) {
        const float product = four::operand(x[(k + lane) * dx]) * four::operand(y[(k + lane) * dy]);
        sum = lane == 0 ? product : four::add(sum, product);
      }
      total = static_cast<double>(static_cast<float>(total) + sum);
    }
    return total;
  }

 private:
  emulator::Accumulator accumulator_;
};

/// Shadows have their sums before they are stored.
struct NoSum {};

/// `committed` false: the fault's counterpart, which rounds to nearest where the fault cuts off and does the rest well.
/// Of exact arithmetic that is what the fault is compared with.
template <class Base, class Sum>
class FaultyArithmetic {
 public:
  using Element = typename Base::Element;
  using In = typename Base::In;
  using Out = typename Base::Out;
  using Step = emulator::Step;

  FaultyArithmetic(Base base, Sum sum, const ArithmeticFault& fault, bool committed)
      : base_(std::move(base)), sum_(std::move(sum)), fault_(&fault), committed_(committed) {}

  void load_constant(const emulator::PlanConstant& constant, std::span<Element> to) const {
    base_.load_constant(constant, to);
  }
  void slice(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
    base_.slice(step, x, out, pool);
    after(step, out);
  }
  void unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
    base_.unary(step, x, out, pool);
    after(step, out);
  }
  void binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const {
    if (fault_->truncates) {
      // The result before it is stored; the centre of a shadow is that already.
      if constexpr (std::is_same_v<Element, float>) {
        Step wide = step;
        wide.output.dtype = mil::DType::fp32;
        base_.binary(wide, x, y, out, pool);
      } else {
        base_.binary(step, x, y, out, pool);
      }
      store(out);
    } else {
      base_.binary(step, x, y, out, pool);
    }
    after(step, out);
  }
  void reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
    base_.reduce(step, x, out, pool);
    after(step, out);
  }
  void softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
    base_.softmax(step, x, out, pool);
    after(step, out);
  }
  void matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out, ThreadPool* pool) const {
    using Product = ArithmeticFault::Product;
    // Sums of integers are exact: nothing is rounded that a fault could round in another way.
    const bool rounds = fault_->truncates || fault_->product == Product::fp16_sums;
    if (step.integers && rounds) {
      base_.matmul(step, x, y, bias, out, pool);
    } else if (fault_->truncates) {
      if constexpr (std::is_same_v<Element, float>)
        each_dot(x, y, out, sum_);
      else
        base_.matmul(step, x, y, bias, out, pool);
      store(out);
    } else if (fault_->product == Product::fp16_sums && committed_) {
      each_dot(x, y, out, [](std::int64_t count, const Element* a, std::int64_t da, const Element* b, std::int64_t db) {
        double sum = 0;
        for (std::int64_t k = 0; k < count; ++k)
          sum = nearest_to_half(sum + number_of(a[k * da]) * number_of(b[k * db]));
        return sum;
      });
    } else if (fault_->product == Product::without_last && committed_) {
      In shorter_x = x, shorter_y = y;
      shorter_x.shape[x.shape.rank - 1] -= 1;
      shorter_y.shape[y.shape.rank - 2] -= 1;
      base_.matmul(step, shorter_x, shorter_y, bias, out, pool);
    } else {
      base_.matmul(step, x, y, bias, out, pool);
    }
    after(step, out);
  }

 private:
  template <class Change>
  static void each(const Out& out, const Change& change) {
    const emulator::RowLoop<1> loop(out.shape, {&out.strides});
    for (std::int64_t r = 0; r < loop.rows(); ++r) {
      const emulator::Row<1> row = loop.row(r);
      for (std::int64_t i = 0; i < row.count; ++i) {
        Element& element = out.data[row.offset[0] + i * row.step[0]];
        set_number(element, change(number_of(element)));
      }
    }
  }

  template <class Dot>
  static void each_dot(const In& x, const In& y, const Out& out, const Dot& dot) {
    const int rank = out.shape.rank;
    const std::int64_t rows = out.shape[rank - 2], columns = out.shape[rank - 1], depth = x.shape[x.shape.rank - 1];
    const std::int64_t xr = x.strides[x.shape.rank - 2], xk = x.strides[x.shape.rank - 1];
    const std::int64_t yk = y.strides[y.shape.rank - 2], yc = y.strides[y.shape.rank - 1];
    for (std::int64_t batch = 0; batch < out.batches(); ++batch) {
      const Element *a = x.matrix(batch), *b = y.matrix(batch);
      Element* c = out.matrix(batch);
      for (std::int64_t m = 0; m < rows; ++m)
        for (std::int64_t n = 0; n < columns; ++n)
          set_number(c[m * out.strides[rank - 2] + n * out.strides[rank - 1]],
                     dot(depth, a + m * xr, xk, b + n * yc, yk));
    }
  }

  /// Where the fault cuts off, its counterpart rounds.
  void store(const Out& out) const {
    each(out, [&](double value) { return committed_ ? truncated_to_half(value) : nearest_to_half(value); });
  }

  void after(const Step& step, const Out& out) const {
    if (committed_ && fault_->after) each(out, [&](double value) { return fault_->after(step, value); });
  }

  Base base_;
  Sum sum_;
  const ArithmeticFault* fault_;
  bool committed_;
};

using FaultyDeviceArithmetic = FaultyArithmetic<emulator::DeviceArithmetic, DeviceSum>;
using FaultyShadowArithmetic = FaultyArithmetic<ShadowArithmetic, NoSum>;

}  // namespace aneval::validate
