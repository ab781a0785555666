#include "ane/emulator/device_arithmetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "ane/emulator/device_rows.h"
#include "ane/emulator/exact_functions.h"
#include "ane/emulator/fixed_point_product.h"
#include "ane/emulator/four_lane_product.h"
#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "ane/emulator/matrix_product.h"
#include "common/error.h"

namespace aneval::emulator {

DeviceArithmetic::DeviceArithmetic(Profile profile)
    : profile_(std::move(profile)), format_{profile_.elementwise_rounding, profile_.specials} {}

void DeviceArithmetic::load_constant(const PlanConstant& constant, std::span<float> to) const {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(constant.values[i]);
  if (profile_.specials == Specials::ieee || constant.operand.dtype != mil::DType::fp16) return;
  std::vector<ane::half_t> bits(to.size());
  ane::to_half(to.data(), bits.data(), static_cast<std::int64_t>(to.size()));
  decode_halves(profile_.specials, bits.data(), to.data(), static_cast<std::int64_t>(to.size()));
}

namespace {

/// Calls compute(a, to, n) for pieces of a view's rows and the same places of the output, both side by side.
template <class Compute>
void each_row(const TensorView<const float>& x, const TensorView<float>& out, ThreadPool* pool,
              const Compute& compute) {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    std::array<float, kPiece> operand, result;
    float* const at = out.data + row.offset[1];
    float* const to = row.step[1] == 1 ? at : result.data();
    compute(contiguous(x.data + row.offset[0], row.step[0], row.count, operand.data()), to, row.count);
    scatter(to, at, row.step[1], row.count);
  });
}

}  // namespace

/// What 16 times as much carries beyond fp16 stays infinite, all else passes exactly.
void DeviceArithmetic::slice(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  each_row(x, out, pool, [&](const float* a, float* to, std::int64_t n) {
    if (step.output.dtype == mil::DType::fp16)
      gain_row(a, to, n);
    else
      std::copy(a, a + n, to);
  });
}

void DeviceArithmetic::unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const mil::DType dtype = step.output.dtype;
  const auto pairs = [&](Function function, float other) {  // x ∘ other
    each_row(x, out, pool, [&](const float* a, float* to, std::int64_t n) {
      binary_row(function, format_, dtype, a, 1, &other, 0, to, n);
    });
  };
  switch (step.function) {
    case Function::cast:
      return each_row(x, out, pool, [&](const float* a, float* to, std::int64_t n) {
        std::copy(a, a + n, to);
        round_to(format_, dtype, to, n);
      });
    case Function::square:
      return each_row(x, out, pool, [&](const float* a, float* to, std::int64_t n) {
        binary_row(Function::mul, format_, dtype, a, 1, a, 1, to, n);
      });
    case Function::relu:
      return pairs(Function::maximum, 0);
    case Function::quantize:
      return quantize(step, x, out, pool);
    case Function::dequantize:
      return dequantize(step, x, out, pool);
    default:
      break;
  }
  const bool tables = profile_.functions == Functions::tables;
  if (tables || (dtype == mil::DType::fp16 && step.inputs.front().dtype == mil::DType::fp16)) {
    const float* table = (tables ? function_values(profile_, step.function) : exact_values(step.function)).data();
    each_row(x, out, pool,
             [&](const float* a, float* to, std::int64_t n) { lookup_row(table, profile_.specials, a, to, n); });
  } else {
    each_row(x, out, pool, [&](const float* a, float* to, std::int64_t n) {
      std::transform(a, a + n, to, [&](float value) { return exact_function(step.function, value, dtype); });
      round_to(format_, dtype, to, n);
    });
  }
}

void DeviceArithmetic::binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const {
  const mil::DType dtype = step.output.dtype;
  const RowLoop<3> loop(out.shape, {&x.strides, &y.strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<3>& row) {
    std::array<float, kPiece> left, right, result;
    const auto operand = [&](const In& view, std::size_t i, std::array<float, kPiece>& scratch) {
      const float* first = view.data + row.offset[i];
      return row.step[i] == 0 ? first : contiguous(first, row.step[i], row.count, scratch.data());
    };
    const float* const a = operand(x, 0, left);
    const float* const b = operand(y, 1, right);
    const std::int64_t da = row.step[0] == 0 ? 0 : 1, db = row.step[1] == 0 ? 0 : 1;
    float* const at = out.data + row.offset[2];
    float* const to = row.step[2] == 1 ? at : result.data();
    if (step.function == Function::pow) {
      for (std::int64_t i = 0; i < row.count; ++i) {
        const double power = std::pow(static_cast<double>(a[i * da]), static_cast<double>(b[i * db]));
        to[i] = dtype == mil::DType::fp16 ? narrow(power) : static_cast<float>(power);
      }
      round_to(format_, dtype, to, row.count);
    } else {
      binary_row(step.function, format_, dtype, a, da, b, db, to, row.count);
    }
    scatter(to, at, row.step[2], row.count);
  });
}

void DeviceArithmetic::matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out,
                              ThreadPool* pool) const {
  if (step.integers) return matmul_of_integers(step, x, y, out, pool);
  switch (profile_.accumulator) {
    case Accumulator::fp32:
      matmul_in_fp32(step, x, y, bias, out, pool);
      break;
    case Accumulator::four_lane:
      four_lane_product(x, y, bias, out, pool);
      break;
    case Accumulator::fixed_point:
      fixed_point_product(x, y, bias, out, pool);
      break;
  }
}

void DeviceArithmetic::matmul_in_fp32(const Step& step, const In& x, const In& y, const In* bias, const Out& out,
                                      ThreadPool* pool) const {
  matrix_product(x, y, out, pool);
  const RowLoop<1> loop(out.shape, {&out.strides});
  const std::int64_t rows = out.shape[out.shape.rank - 2], cols = out.shape[out.shape.rank - 1];
  if (bias != nullptr) {  // one image and group of a convolution: out is [1, M, N]
    for (std::int64_t m = 0; m < rows; ++m) {
      float* at = out.data + m * out.strides[out.shape.rank - 2];
      const float b = bias->data[m * bias->strides[0]];
      for (std::int64_t i = 0; i < cols; ++i) at[i] += b;
    }
  }
  const HalfFormat format{profile_.matmul_rounding, profile_.specials};
  for_each_row(pool, loop, 16384,
               [&](const Row<1>& row) { round_to(format, step.output.dtype, out.data + row.offset[0], row.count); });
}

namespace {

/// What a step asks of a chip that nobody published how it does it; empty for what has a rule.
std::string_view without_rule(const Step& step, const Profile& profile) {
  if (step.integers && !profile.eight_bits) return "products of 8-bit numbers";
  switch (step.function) {
    case Function::quantize:
    case Function::dequantize:
      return profile.eight_bits ? "" : step.function == Function::quantize ? "quantize" : "dequantize";
    case Function::sqrt:
      return "sqrt";
    case Function::rsqrt:
      return "rsqrt";
    case Function::silu:
      return "silu as one operation";
    case Function::real_div:
      return "real_div";
    case Function::pow:
      return "pow";
    case Function::mean:
      return "reduce_mean";
    default:
      break;
  }
  const bool computes = step.kind != StepKind::copy && step.function != Function::cast;
  return computes && step.output.dtype != mil::DType::fp16 ? "computing in fp32" : "";
}

}  // namespace

void require_rules(const Plan& plan, const Profile& profile) {
  if (profile.functions == Functions::exact) return;  // IEEE arithmetic has a rule for everything
  for (const Step& step : plan.steps)
    if (const std::string_view what = without_rule(step, profile); !what.empty())
      throw input_error(
          plan.file + ":" + std::to_string(step.location.line) + ":" + std::to_string(step.location.column),
          "profile " + profile.name + " has no rule for " + std::string(what) + " ('" + step.result + "')",
          "what the engine does there was not measured: write it with other operations, or use profile ieee");
}

bool has_rules(const Profile& profile, const ane::Variant& variant) {
  return variant.weights != ane::Weights::w8a8 || profile.eight_bits.has_value();
}

void require_rules(const ane::Variant& variant, const Profile& profile) {
  if (!has_rules(profile, variant))
    throw input_error("variant weights=w8a8",
                      "profile " + profile.name +
                          " has no rule eight_bits: nothing is known of that chip's products of "
                          "8-bit numbers",
                      "use weights=int8, whose products are fp16, or one of the profiles that `aneval list profiles` "
                      "gives the rule");
}

}  // namespace aneval::emulator
