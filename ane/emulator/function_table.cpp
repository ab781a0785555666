#include "ane/emulator/function_table.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

#include "ane/emulator/half_values.h"

namespace aneval::emulator {
namespace {

constexpr int kPoints = 33;
constexpr HalfFormat kFormat{Rounding::half_away, Specials::ordinary};

double rounded(double value) { return static_cast<double>(round_to_half(kFormat, value)); }

using Points = std::array<double, kPoints>;

template <class F>
Points make_points(const F& f) {
  Points points;
  for (int i = 0; i < kPoints; ++i) points[static_cast<std::size_t>(i)] = rounded(f(i));
  return points;
}

/// At `place` steps from the first point, within the table; not yet rounded.
double interpolate(const Points& points, double place) {
  const auto k = static_cast<std::size_t>(std::min<double>(std::floor(place), kPoints - 2));
  return points[k] + rounded((points[k + 1] - points[k]) * (place - static_cast<double>(k)));
}

double sigmoid(double x) {
  static const Points points = make_points([](int i) { return 1 / (1 + std::exp(-(-8 + 0.5 * i))); });
  return interpolate(points, (std::clamp(x, -8.0, 8.0) + 8) / 0.5);
}

double tanh(double x) {
  static const Points points = make_points([](int i) { return std::tanh(0.125 * i); });
  const double magnitude = std::abs(x);
  return std::copysign(magnitude > 4 ? 1.0 : interpolate(points, magnitude / 0.125), x);
}

double exp(double x) {
  static const Points points = make_points([](int i) { return std::exp2(i / 32.0); });
  static const double log2_e = rounded(1 / std::log(2.0));
  const double a = rounded(x * log2_e), n = std::floor(a);
  return std::ldexp(rounded(interpolate(points, (a - n) * 32)), static_cast<int>(n));
}

}  // namespace

float table_function(Function function, float x) {
  const double wide = static_cast<double>(x);
  switch (function) {
    case Function::sigmoid:
      return round_to_half(kFormat, sigmoid(wide));
    case Function::tanh:
      return round_to_half(kFormat, tanh(wide));
    case Function::exp:
      return round_to_half(kFormat, exp(wide));
    default:
      throw std::logic_error("not a function of a table");
  }
}

const std::array<float, 65536>& function_values(Function function) {
  const auto make = [](Function which) {
    auto values = std::make_unique<std::array<float, 65536>>();
    for (std::uint32_t bits = 0; bits < values->size(); ++bits) {
      const auto half = static_cast<ane::half_t>(bits);
      float x = 0;
      decode_halves(Specials::ordinary, &half, &x, 1);
      (*values)[bits] = table_function(which, x);
    }
    return values;
  };
  static const auto sigmoids = make(Function::sigmoid), tanhs = make(Function::tanh), exps = make(Function::exp);
  switch (function) {
    case Function::sigmoid:
      return *sigmoids;
    case Function::tanh:
      return *tanhs;
    case Function::exp:
      return *exps;
    default:
      throw std::logic_error("not a function of a table");
  }
}

const std::array<float, 65536>& function_values(const Profile& profile, Function function) {
  const bool measured = function == Function::sigmoid && profile.measured_sigmoid != nullptr;
  return measured ? *profile.measured_sigmoid : function_values(function);
}

}  // namespace aneval::emulator
