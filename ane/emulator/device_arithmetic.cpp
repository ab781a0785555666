#include "ane/emulator/device_arithmetic.h"

#include <array>
#include <cmath>
#include <stdexcept>

#include "ane/emulator/device_rows.h"
#include "ane/emulator/fixed_point_product.h"
#include "ane/emulator/four_lane_product.h"
#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "ane/emulator/matrix_product.h"
#include "common/error.h"

namespace aneval::emulator {
namespace {

/// Functions whose result is not an fp32 operation are evaluated in double, so that rounding to fp16 is the only one
/// that counts ("exact, rounded").
float unary_value(Function function, float x, mil::DType dtype) {
  const double wide = static_cast<double>(x);
  switch (function) {
    case Function::cast:
      return x;
    case Function::sigmoid:
      return narrow_to(1.0 / (1.0 + std::exp(-wide)), dtype);
    case Function::tanh:
      return narrow_to(std::tanh(wide), dtype);
    case Function::exp:
      return narrow_to(std::exp(wide), dtype);
    case Function::sqrt:
      return std::sqrt(x);
    case Function::rsqrt:
      return narrow_to(1.0 / std::sqrt(wide), dtype);
    case Function::square:
      return x * x;
    case Function::silu:
      return narrow_to(wide / (1.0 + std::exp(-wide)), dtype);
    case Function::relu:
      return x > 0 || std::isnan(x) ? x : 0.0F;
    default:
      throw std::logic_error("not a unary function");
  }
}

float binary_value(Function function, float x, float y, mil::DType dtype) {
  switch (function) {
    case Function::add:
      return x + y;
    case Function::sub:
      return x - y;
    case Function::mul:
      return x * y;
    case Function::real_div:
      return x / y;
    case Function::maximum:
      return x > y || std::isnan(x) ? x : y;
    case Function::minimum:
      return x < y || std::isnan(x) ? x : y;
    case Function::pow:
      return narrow_to(std::pow(static_cast<double>(x), static_cast<double>(y)), dtype);
    default:
      throw std::logic_error("not a binary function");
  }
}

}  // namespace

DeviceArithmetic::DeviceArithmetic(Profile profile)
    : profile_(std::move(profile)), format_{profile_.elementwise_rounding, profile_.specials} {}

void DeviceArithmetic::load_constant(const PlanConstant& constant, std::span<float> to) const {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(constant.values[i]);
  if (profile_.specials == Specials::ieee || constant.operand.dtype != mil::DType::fp16) return;
  std::vector<ane::half_t> bits(to.size());
  ane::to_half(to.data(), bits.data(), static_cast<std::int64_t>(to.size()));
  decode_halves(profile_.specials, bits.data(), to.data(), static_cast<std::int64_t>(to.size()));
}

/// Multiplied by 16 and divided again: what 16 carries beyond fp16 stays infinite, all else passes exactly.
void DeviceArithmetic::slice(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  constexpr auto kLimit = static_cast<float>(kSliceLimit);
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    const float* a = x.data + row.offset[0];
    float* b = out.data + row.offset[1];
    for (std::int64_t i = 0; i < row.count; ++i) {
      const float value = a[i * row.step[0]];
      const bool lost = step.output.dtype == mil::DType::fp16 && std::abs(value) > kLimit;
      b[i * row.step[1]] = lost ? std::copysign(kOrdinaryInfinity, value) : value;
    }
  });
}

void DeviceArithmetic::unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const bool from_table =
      profile_.functions == Functions::tables &&
      (step.function == Function::sigmoid || step.function == Function::tanh || step.function == Function::exp);
  const float* table = from_table ? function_values(step.function).data() : nullptr;
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    const float* a = x.data + row.offset[0];
    store_row(format_, step.output.dtype, out.data + row.offset[1], row.step[1], row.count, [&](float* values) {
      if (table != nullptr) {
        std::array<ane::half_t, kPiece> bits;
        for (std::int64_t i = 0; i < row.count; ++i) values[i] = a[i * row.step[0]];
        encode_halves(profile_.specials, values, bits.data(), row.count);
        for (std::int64_t i = 0; i < row.count; ++i) values[i] = table[bits[static_cast<std::size_t>(i)]];
      } else {
        for (std::int64_t i = 0; i < row.count; ++i)
          values[i] = unary_value(step.function, a[i * row.step[0]], step.output.dtype);
      }
    });
  });
}

void DeviceArithmetic::binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const {
  const RowLoop<3> loop(out.shape, {&x.strides, &y.strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<3>& row) {
    const float* a = x.data + row.offset[0];
    const float* b = y.data + row.offset[1];
    const std::int64_t da = row.step[0], db = row.step[1], n = row.count;
    store_row(format_, step.output.dtype, out.data + row.offset[2], row.step[2], n, [&](float* values) {
      // The function is chosen outside the loop over elements, so that the common ones vectorise.
      const auto each = [&](auto function) {
        if (da == 1 && db == 1)
          for (std::int64_t i = 0; i < n; ++i) values[i] = function(a[i], b[i]);
        else
          for (std::int64_t i = 0; i < n; ++i) values[i] = function(a[i * da], b[i * db]);
      };
      switch (step.function) {
        case Function::add:
          each([](float p, float q) { return p + q; });
          break;
        case Function::sub:
          each([](float p, float q) { return p - q; });
          break;
        case Function::mul:
          each([](float p, float q) { return p * q; });
          break;
        default:
          each([&](float p, float q) { return binary_value(step.function, p, q, step.output.dtype); });
      }
    });
  });
}

void DeviceArithmetic::matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out,
                              ThreadPool* pool) const {
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
  for_each_row(pool, loop, kPiece,
               [&](const Row<1>& row) { round_to(format, step.output.dtype, out.data + row.offset[0], row.count); });
}

namespace {

/// What a step asks of a chip that nobody published how it does it; empty for what has a rule.
std::string_view without_rule(const Step& step) {
  switch (step.function) {
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
    if (const std::string_view what = without_rule(step); !what.empty())
      throw input_error(
          plan.file + ":" + std::to_string(step.location.line) + ":" + std::to_string(step.location.column),
          "profile " + profile.name + " has no rule for " + std::string(what) + " ('" + step.result + "')",
          "what the engine does there was not measured: write it with other operations, or use profile ieee");
}

}  // namespace aneval::emulator
