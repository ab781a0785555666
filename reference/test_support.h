// What the tests of reference/ share: shapes, random tensors, and measures of difference.
#pragma once

#include <cmath>
#include <string>

#include "common/random.h"
#include "common/test_support.h"
#include "reference/layer.h"

namespace aneval::reference {

inline constexpr double kUnitFloat = 0x1p-24, kUnitDouble = 0x1p-53;  // unit roundoffs

template <class T>
Matrix<T> random_matrix(Eigen::Index rows, Eigen::Index cols, double sd, Random& random, double mean = 0) {
  return Matrix<T>::NullaryExpr(rows, cols, [&] { return static_cast<T>(mean + sd * random.normal()); });
}

/// Everything layer_forward reads: weights N(0, 1/fan_in), RMSNorm weights well away from 1.
inline Matrices<double> random_layer(const ModelShape& s, Eigen::Index seq, std::uint64_t seed) {
  Random random(seed);
  const auto weight = [&](std::int64_t out, std::int64_t in) {
    return random_matrix<double>(out, in, 1.0 / std::sqrt(static_cast<double>(in)), random);
  };
  Matrices<double> input;
  input["x"] = random_matrix<double>(s.dim, seq, 1.0, random);
  input["wq"] = weight(s.q_dim(), s.dim);
  input["wk"] = weight(s.kv_dim(), s.dim);
  input["wv"] = weight(s.kv_dim(), s.dim);
  input["wo"] = weight(s.dim, s.q_dim());
  input["w1"] = weight(s.hidden, s.dim);
  input["w2"] = weight(s.dim, s.hidden);
  input["w3"] = weight(s.hidden, s.dim);
  input["rms_att"] = random_matrix<double>(s.dim, 1, 0.5, random, 1.3);
  input["rms_ffn"] = random_matrix<double>(s.dim, 1, 0.5, random, 0.7);
  return input;
}

inline Matrices<float> to_float(const Matrices<double>& matrices) {
  Matrices<float> result;
  for (const auto& [name, m] : matrices) result[name] = m.cast<float>();
  return result;
}

/// ‖actual − expected‖₂ / ‖expected‖₂; infinite for different shapes.
template <class A, class B>
double relative_difference(const A& actual, const B& expected) {
  if (actual.rows() != expected.rows() || actual.cols() != expected.cols()) return HUGE_VAL;
  const Matrix<double> a = actual.template cast<double>(), b = expected.template cast<double>();
  const double norm = b.norm(), error = (a - b).norm();
  return error == 0 ? 0 : error / norm;
}

}  // namespace aneval::reference
