#include "ane/emulator/exact_functions.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "ane/emulator/half_values.h"

namespace aneval::emulator {
namespace {

float narrow_to(double value, mil::DType dtype) {
  return dtype == mil::DType::fp16 ? narrow(value) : static_cast<float>(value);
}

template <Function kFunction>
const std::array<float, 65536>& values_of() {
  static const auto values = [] {
    auto made = std::make_unique<std::array<float, 65536>>();
    std::vector<ane::half_t> bits(made->size());
    std::iota(bits.begin(), bits.end(), ane::half_t{0});
    const auto n = static_cast<std::int64_t>(made->size());
    decode_halves(Specials::ieee, bits.data(), made->data(), n);
    for (float& value : *made) value = exact_function(kFunction, value, mil::DType::fp16);
    round_to_half({Rounding::nearest_even, Specials::ieee}, made->data(), n);
    return made;
  }();
  return *values;
}

}  // namespace

float exact_function(Function function, float x, mil::DType dtype) {
  const double wide = static_cast<double>(x);
  switch (function) {
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
    case Function::silu:
      return narrow_to(wide / (1.0 + std::exp(-wide)), dtype);
    default:
      throw std::logic_error("not an exact function");
  }
}

const std::array<float, 65536>& exact_values(Function function) {
  switch (function) {
    case Function::sigmoid:
      return values_of<Function::sigmoid>();
    case Function::tanh:
      return values_of<Function::tanh>();
    case Function::exp:
      return values_of<Function::exp>();
    case Function::sqrt:
      return values_of<Function::sqrt>();
    case Function::rsqrt:
      return values_of<Function::rsqrt>();
    case Function::silu:
      return values_of<Function::silu>();
    default:
      throw std::logic_error("not an exact function");
  }
}

}  // namespace aneval::emulator
