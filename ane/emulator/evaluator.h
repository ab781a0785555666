// Runs a plan, generic over what it carries. Moving elements (copies, concatenation, patches of a convolution) is done
// here, the same for all; computing is the arithmetic's:
//
//   fp16 values under a profile          emulator/device_arithmetic.h
//   values with their error bounds       validate/shadow/shadow.h
//
// An arithmetic has an Element type and seven functions (see the concept), which write every element of their output:
// what lay there before may be another tensor's. It throws what it has no rule for: an operation is never passed over.
#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <span>

#include "ane/emulator/blocks.h"
#include "ane/emulator/memory_plan.h"
#include "ane/emulator/plan.h"
#include "ane/emulator/transpose.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

template <class A>
concept Arithmetic = requires(A& a, const Step& step, TensorView<const typename A::Element> in,
                              const TensorView<const typename A::Element>* bias, TensorView<typename A::Element> out,
                              ThreadPool* pool, const PlanConstant& constant, std::span<typename A::Element> to) {
  a.load_constant(constant, to);
  a.slice(step, in, out, pool);  // a slice with the profile's gain
  a.unary(step, in, out, pool);
  a.binary(step, in, in, out, pool);
  a.reduce(step, in, out, pool);
  a.softmax(step, in, out, pool);
  // x [batch…, M, K] · y [batch…, K, N] (+ bias [M], part of the accumulator) -> out, contiguous in its last axis
  a.matmul(step, in, in, bias, out, pool);
};

template <Arithmetic A>
class Evaluator {
 public:
  using Element = typename A::Element;

  Evaluator(std::shared_ptr<const Plan> plan, A arithmetic, ThreadPool* pool, Sharing sharing = Sharing::by_lifetime)
      : plan_(std::move(plan)),
        arithmetic_(std::move(arithmetic)),
        pool_(pool),
        memory_plan_(plan_memory(*plan_, sharing)),
        memory_(memory_plan_.elements),
        patches_(most_patch_elements(*plan_)) {
    for (const PlanConstant& constant : plan_->constants) arithmetic_.load_constant(constant, buffer(constant.operand));
  }

  const Plan& plan() const { return *plan_; }
  A& arithmetic() { return arithmetic_; }

  /// The elements of input or output i of the signature, row-major.
  std::span<Element> input(std::size_t i) { return buffer(plan_->inputs.at(i).operand); }
  std::span<const Element> output(std::size_t i) { return buffer(plan_->outputs.at(i).operand); }

  /// What lies there: after run(), what was last written, which without Sharing::none may be another buffer's.
  TensorView<const Element> const_view(const Operand& operand) {
    const TensorView<Element> v = view(operand);
    return {v.data, v.shape, v.strides};
  }

  void run() {
    for (const Step& step : plan_->steps) run_step(step);
  }

 private:
  Element* first(const Operand& operand) {
    return memory_.data() + memory_plan_.offsets[static_cast<std::size_t>(operand.buffer)] + operand.offset;
  }
  std::span<Element> buffer(const Operand& operand) {
    return {first(operand), static_cast<std::size_t>(operand.shape.product())};
  }
  TensorView<Element> view(const Operand& operand) { return {first(operand), operand.shape, operand.strides}; }

  void run_step(const Step& step) {
    const auto in = [&](std::size_t i) { return const_view(step.inputs[i]); };
    switch (step.kind) {
      case StepKind::copy:
        return copy(in(0), view(step.output));
      case StepKind::slice:
        return arithmetic_.slice(step, in(0), view(step.output), pool_);
      case StepKind::unary:
        return arithmetic_.unary(step, in(0), view(step.output), pool_);
      case StepKind::binary:
        return arithmetic_.binary(step, in(0), in(1), view(step.output), pool_);
      case StepKind::reduce:
        return arithmetic_.reduce(step, in(0), view(step.output), pool_);
      case StepKind::softmax:
        return arithmetic_.softmax(step, in(0), view(step.output), pool_);
      case StepKind::matmul:
        return arithmetic_.matmul(step, in(0), in(1), nullptr, view(step.output), pool_);
      case StepKind::conv:
        return conv(step);
    }
  }

  void copy(const TensorView<const Element>& from, const TensorView<Element>& to) {
    if (copied_transposed(from, to)) return;
    const RowLoop<2> loop(from.shape, {&from.strides, &to.strides});
    for_each_row(pool_, loop, 16384, [&](const Row<2>& row) {
      const Element* source = from.data + row.offset[0];
      Element* target = to.data + row.offset[1];
      if (row.step[0] == 1 && row.step[1] == 1) {
        std::copy(source, source + row.count, target);
      } else {
        for (std::int64_t i = 0; i < row.count; ++i) target[i * row.step[1]] = source[i * row.step[0]];
      }
    });
  }

  /// Where the source's elements lie side by side along another axis than the target's, planes of these two axes are
  /// transposed: walking along either one alone would touch a cache line per element.
  bool copied_transposed(const TensorView<const Element>& from, const TensorView<Element>& to) {
    const auto axis_of_step_one = [](const auto& view) {
      int axis = view.shape.rank - 1;
      while (axis >= 0 && (view.shape[axis] == 1 || view.strides[axis] != 1)) --axis;
      return axis;
    };
    const int along = axis_of_step_one(from), across = axis_of_step_one(to);
    if (along < 0 || across < 0 || along == across) return false;
    Extents shape, from_strides, to_strides;  // of all axes but `across`, with `along` as the last
    const auto keep = [&](int axis) {
      shape.push(from.shape[axis]);
      from_strides.push(from.strides[axis]);
      to_strides.push(to.strides[axis]);
    };
    for (int axis = 0; axis < from.shape.rank; ++axis)
      if (axis != along && axis != across) keep(axis);
    keep(along);
    const RowLoop<2> loop(shape, {&from_strides, &to_strides});
    const std::int64_t columns = from.shape[across], column_step = from.strides[across];
    const auto body = [&](const Row<2>& row) {
      transpose(from.data + row.offset[0], row.count, columns, column_step, to.data + row.offset[1], row.step[1]);
    };
    for_each_row(pool_, loop, 64, body, columns);
    return true;
  }

  /// The step from pixel to pixel where a window of one element visits them all in order: then an image is its own
  /// patch matrix. Nothing where patches must be gathered.
  static std::optional<std::int64_t> pixel_step(const Step& step) {
    const Operand& x = step.inputs[0];
    const Extents& weight = step.inputs[1].shape;
    const ConvParameters& p = step.conv;
    if (weight[2] * weight[3] != 1 || p.stride[0] * p.stride[1] != 1 || p.pad_before[0] + p.pad_before[1] != 0 ||
        step.output.shape[2] != x.shape[2] || step.output.shape[3] != x.shape[3])
      return std::nullopt;
    if (x.shape[3] == 1) return x.strides[2];
    if (x.shape[2] == 1 || x.strides[2] == x.shape[3] * x.strides[3]) return x.strides[3];
    return std::nullopt;
  }

  /// Elements of the largest patch matrix [C/groups·kh·kw, H'·W'] that is gathered, of one image and group.
  static std::int64_t most_patch_elements(const Plan& plan) {
    std::int64_t most = 0;
    for (const Step& step : plan.steps) {
      if (step.kind != StepKind::conv || pixel_step(step)) continue;
      const Extents& weight = step.inputs[1].shape;
      most = std::max(most, weight[1] * weight[2] * weight[3] * step.output.shape[2] * step.output.shape[3]);
    }
    return most;
  }

  /// A convolution is a matmul of the weights [O/groups, C/groups·kh·kw] with the patches, per image and group. The
  /// weights may be any tensor of the program.
  void conv(const Step& step) {
    const auto x = const_view(step.inputs[0]), weight = const_view(step.inputs[1]);
    const auto out = view(step.output);
    const std::int64_t groups = step.conv.groups, rows = weight.shape[0] / groups, depth = weight.shape[1];
    const std::int64_t pixels = out.shape[2] * out.shape[3], taps = depth * weight.shape[2] * weight.shape[3];
    const std::optional<std::int64_t> direct = pixel_step(step);
    TensorView<const Element> bias;
    if (step.inputs.size() > 2) bias = const_view(step.inputs[2]);
    for (std::int64_t image = 0; image < x.shape[0]; ++image) {
      for (std::int64_t group = 0; group < groups; ++group) {
        const Element* const first = x.data + image * x.strides[0] + group * depth * x.strides[1];
        TensorView<const Element> columns{first, extents_of({1, taps, pixels}), {}};
        if (direct) {
          columns.strides = extents_of({0, x.strides[1], *direct});
        } else {
          gather_patches(step, first, x, weight.shape, out.shape, patches_.data());
          columns.data = patches_.data();
          columns.strides = extents_of({0, pixels, 1});
        }
        const TensorView<const Element> filter{weight.data + group * rows * weight.strides[0],
                                               extents_of({1, rows, taps}),
                                               extents_of({0, weight.strides[0], weight.strides[3]})};
        const TensorView<Element> target{out.data + image * out.strides[0] + group * rows * out.strides[1],
                                         extents_of({1, rows, pixels}), extents_of({0, out.strides[1], 1})};
        TensorView<const Element> part = bias;
        if (bias.data != nullptr) part.data += group * rows * bias.strides[0];
        arithmetic_.matmul(step, filter, columns, bias.data != nullptr ? &part : nullptr, target, pool_);
      }
    }
  }

  static void gather_patches(const Step& step, const Element* image, const TensorView<const Element>& x,
                             const Extents& weight, const Extents& out, Element* at) {
    const ConvParameters& p = step.conv;
    for (std::int64_t channel = 0; channel < weight[1]; ++channel)
      for (std::int64_t kh = 0; kh < weight[2]; ++kh)
        for (std::int64_t kw = 0; kw < weight[3]; ++kw)
          for (std::int64_t row = 0; row < out[2]; ++row)
            for (std::int64_t col = 0; col < out[3]; ++col) {
              const std::int64_t h = row * p.stride[0] + kh * p.dilation[0] - p.pad_before[0];
              const std::int64_t w = col * p.stride[1] + kw * p.dilation[1] - p.pad_before[1];
              const bool inside = h >= 0 && h < x.shape[2] && w >= 0 && w < x.shape[3];
              *at++ = inside ? image[channel * x.strides[1] + h * x.strides[2] + w * x.strides[3]] : Element{};
            }
  }

  std::shared_ptr<const Plan> plan_;
  A arithmetic_;
  ThreadPool* pool_;
  MemoryPlan memory_plan_;
  Elements<Element> memory_;   // all buffers
  Elements<Element> patches_;  // of one image and group of a convolution
};

}  // namespace aneval::emulator
