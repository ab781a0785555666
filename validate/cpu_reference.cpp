#include "validate/cpu_reference.h"

#include <fmt/format.h>

#include <cmath>

#include "common/names.h"
#include "reference/blocks.h"
#include "reference/convert.h"
#include "validate/shadow/half_interval.h"

namespace aneval::validate {
namespace {

using reference::Index;
using Matrix = reference::Matrix<double>;
using Column = Eigen::ArrayXd;
using Row = Eigen::Array<double, 1, Eigen::Dynamic>;

double gamma(Index roundings) { return gamma_of(roundings, kUnit32); }

/// A product whose result is subnormal in fp32 is off by up to half of the smallest number. What is multiplied later
/// enlarges that by the factors above 1 at most.
constexpr double kUnderflow = 0x1p-150;
auto at_least_one(const Matrix& m) { return m.array().abs().max(1.0); }

struct Call {
  const ModelShape& shape;
  const reference::Options& options;
  std::vector<Matrix> in;

  const Matrix& x() const { return in.at(0); }
};

/// 1/rms per token.
Row inverse_rms(const Matrix& x, double eps) { return (x.array().square().colwise().mean() + eps).sqrt().inverse(); }

/// Roundings in r = (mean x² + eps)^-1/2: a square, D − 1 additions, a quotient, eps and its addition, root, quotient.
Index roundings_of_r(const Matrix& x) { return x.rows() + 5; }

/// y = x·r·w: r's, and two products.
std::vector<CpuReference> rmsnorm(const Call& call) {
  CpuReference y;
  const Matrix& w = call.in.at(1);
  reference::rmsnorm(call.x(), w, call.shape.rms_eps, y.value);
  const Row r = inverse_rms(call.x(), call.shape.rms_eps).max(1.0);
  y.bound = gamma(roundings_of_r(call.x()) + 2) * y.value.array().abs() +
            2 * kUnderflow * ((at_least_one(call.x()).rowwise() * r).colwise() * at_least_one(w).col(0));
  return {y};
}

/// dx = w·dy·r − x·r³/D·Σ(w·dy·x). A term of the first part meets r's roundings, two products and the subtraction; one
/// of the second two products and D − 1 additions of the sum, three times r's, five products or quotients and the
/// subtraction. dw = Σ dy·x·r: r's, two products, S − 1 additions, and the addition to what was there.
std::vector<CpuReference> rmsnorm_backward(const Call& call) {
  const Matrix &x = call.x(), &w = call.in.at(1), &dy = call.in.at(2);
  CpuReference dx, dw;
  reference::rmsnorm_backward(x, w, dy, call.shape.rms_eps, dx.value, dw.value);
  const Row r = inverse_rms(x, call.shape.rms_eps), above = r.max(1.0);
  const auto dim = static_cast<double>(x.rows());
  const Index of_r = roundings_of_r(x);
  const Matrix wdy = (dy.array().colwise() * w.col(0).array()).abs();
  const Row sum = (wdy.array() * x.array().abs()).colwise().sum();
  const Row lost = ((at_least_one(dy).colwise() * at_least_one(w).col(0)) * at_least_one(x)).colwise().sum();
  dx.bound = gamma(of_r + 3) * (wdy.array().rowwise() * r) +
             gamma(x.rows() + 1 + 3 * of_r + 6) * (x.array().abs().rowwise() * (sum * r.cube() / dim)) +
             2 * kUnderflow * ((at_least_one(dy).colwise() * at_least_one(w).col(0)).rowwise() * above) +
             8 * kUnderflow * (at_least_one(x).rowwise() * (lost * above.cube()));
  dw.bound = gamma(of_r + x.cols() + 2) * ((dy.array() * x.array()).abs().rowwise() * r).rowwise().sum() +
             2 * kUnderflow * ((at_least_one(dy) * at_least_one(x)).rowwise() * above).rowwise().sum();
  return {dx, dw};
}

/// x + a·f: the addition; for the second term also a's rounding to fp32 and the product.
std::vector<CpuReference> add_scaled(const Call& call, double a) {
  const Matrix &x = call.x(), &f = call.in.at(1);
  CpuReference y;
  y.value = x + a * f;
  y.bound = gamma(1) * x.array().abs() + gamma(3) * (a * f.array()).abs() + kUnderflow;
  return {y};
}

/// x + f: one rounding of the result.
std::vector<CpuReference> add(const Call& call) {
  CpuReference y;
  y.value = call.x() + call.in.at(1);
  y.bound = gamma(1) * y.value.array().abs();
  return {y};
}

/// a·x: a's rounding to fp32 and the product.
std::vector<CpuReference> scale(const Call& call, double a) {
  CpuReference y;
  y.value = a * call.x();
  y.bound = gamma(2) * y.value.array().abs() + kUnderflow;
  return {y};
}

constexpr double kLeastSigma = 0x1p-128;

/// g = h1·σ·h3: σ's four roundings, told below, and two products.
std::vector<CpuReference> silu_gate(const Call& call) {
  const Matrix &h1 = call.x(), &h3 = call.in.at(1);
  CpuReference g;
  reference::gated_silu(h1, h3, g.value);
  g.bound = gamma(6) * g.value.array().abs() + (kLeastSigma + 2 * kUnderflow) * at_least_one(h1) * at_least_one(h3);
  return {g};
}

/// σ = 1/(1 + e^-h1) = e^h1/(1 + e^h1) meets four roundings either way: the exponential's, which is within a unit in
/// the last place and counts twice, the addition, the quotient. Where e^-h1 overflows, σ comes out as 0 and is below
/// 2^-128.
///   dh3 = dg·h1·σ                       two products more
///   dh1 = dg·h3·σ·(1 + h1·(1 − σ))      σ twice (4 + 4), 1 − σ, h1·, 1 +, and three products; 1 − σ may cancel, so the
///                                       magnitudes are those of 1, h1 and h1·σ: with σ ≤ 1 at most 1 + |h1| counted
///                                       once for h1·1 and once for h1·σ
std::vector<CpuReference> silu_backward(const Call& call) {
  const Matrix &dg = call.x(), &h1 = call.in.at(1), &h3 = call.in.at(2);
  CpuReference dh1, dh3;
  reference::gated_silu_backward(h1, h3, dg, dh1.value, dh3.value);
  const Matrix sigma = (1 + (-h1.array()).exp()).inverse();
  dh3.bound = gamma(6) * dh3.value.array().abs() + (kLeastSigma + 2 * kUnderflow) * at_least_one(dg) * at_least_one(h1);
  const Matrix terms = 1 + h1.array().abs() * (1 + sigma.array());
  dh1.bound = gamma(14) * (dg.array() * h3.array() * sigma.array()).abs() * terms.array() +
              2 * (kLeastSigma + 4 * kUnderflow) * at_least_one(dg) * at_least_one(h3) * terms.array();
  return {dh1, dh3};
}

/// Copies.
std::vector<CpuReference> tile_kv(const Call& call) {
  const auto heads = reference::Heads::of(call.shape, call.options);
  CpuReference full;
  full.value.resize(heads.count() * heads.dim, call.x().cols());
  for (Index j = 0; j < heads.count(); ++j)
    full.value.middleRows(j * heads.dim, heads.dim) =
        call.x().middleRows(heads.source[static_cast<std::size_t>(j)] * heads.dim, heads.dim);
  full.bound = Matrix::Zero(full.value.rows(), full.value.cols());
  return {full};
}

/// R − 1 additions; adding to a zero does not round.
std::vector<CpuReference> reduce_kv(const Call& call) {
  const auto heads = reference::Heads::of(call.shape, call.options);
  CpuReference kv;
  reference::reduce_heads(heads, call.shape.kv_heads, call.x(), kv.value);
  reference::reduce_heads<double>(heads, call.shape.kv_heads, call.x().cwiseAbs(), kv.bound);
  kv.bound *= gamma(call.shape.ratio() - 1);
  return {kv};
}

/// a·cos ± b·sin: cos and sin rounded to fp32, a product, an addition. The angle itself, position·base^(−2i/h) in
/// double, is off by libm's unit in the last place and two roundings, on either side: 2^-50 of it. Where it is put
/// together from those of the position's binary digits, each costs a product of unit complex numbers: less than 2^-51
/// with the roundings of its cosine and sine.
std::vector<CpuReference> rotation(const Call& call, bool back) {
  const Index seq = call.x().cols(), pairs = call.shape.head_dim / 2;
  const double digits = std::ceil(std::log2(static_cast<double>(seq)));
  const bool interleaved = call.shape.rope_pairing == RopePairing::interleaved;
  CpuReference y;
  y.value = call.x();
  const reference::Rotation<double> rope(call.shape, seq);
  back ? rope.undo(y.value) : rope.apply(y.value);
  y.bound.resize(y.value.rows(), seq);
  for (Index i = 0; i < pairs; ++i) {
    const double frequency =
        std::pow(call.shape.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(call.shape.head_dim));
    const Row angle = Row::LinSpaced(seq, 0, static_cast<double>(seq - 1)) * frequency;
    const Row cosine = angle.cos().abs(), sine = angle.sin().abs(), turned = angle.abs() * 0x1p-50 + digits * 0x1p-51;
    for (Index head = 0; head < y.value.rows(); head += 2 * pairs) {
      const Index first = head + (interleaved ? 2 * i : i), second = first + (interleaved ? 1 : pairs);
      const Row a = call.x().row(first).array().abs(), b = call.x().row(second).array().abs();
      y.bound.row(first) = gamma(3) * (a * cosine + b * sine) + turned * (a + b) + 2 * kUnderflow;
      y.bound.row(second) = gamma(3) * (b * cosine + a * sine) + turned * (a + b) + 2 * kUnderflow;
    }
  }
  return {y};
}

/// Σ_s dout·act: a product, S − 1 additions, and the addition to what was there. Σ|dout||act| ≤ ‖dout‖·‖act‖, which
/// needs no second matrix product (Cauchy-Schwarz; larger by π/2 on normal data).
std::vector<CpuReference> weight_gradient(const Call& call) {
  const Matrix &dout = call.x(), &act = call.in.at(1);
  CpuReference dw;
  dw.value.noalias() = dout * act.transpose();
  const double underflow = static_cast<double>(dout.cols()) * kUnderflow;
  dw.bound.noalias() = (gamma(dout.cols() + 1) * dout.rowwise().norm()) * act.rowwise().norm().transpose();
  dw.bound.array() += underflow;
  return {dw};
}

}  // namespace

std::vector<CpuReference> cpu_reference(ane::CpuOp op, const ModelShape& shape, const reference::Options& options,
                                        const std::vector<const Tensor*>& in) {
  Call call{shape, options, {}};
  for (const Tensor* tensor : in) call.in.push_back(reference::to_matrix<double>(*tensor));
  switch (op) {
    case ane::CpuOp::rmsnorm:
      return rmsnorm(call);
    case ane::CpuOp::rmsnorm_backward:
      return rmsnorm_backward(call);
    case ane::CpuOp::residual:
      return add_scaled(call, shape.residual_scale);
    case ane::CpuOp::add:
      return add(call);
    case ane::CpuOp::residual_scale:
      return scale(call, shape.residual_scale);
    case ane::CpuOp::silu_gate:
      return silu_gate(call);
    case ane::CpuOp::silu_backward:
      return silu_backward(call);
    case ane::CpuOp::tile_kv:
      return tile_kv(call);
    case ane::CpuOp::reduce_kv:
      return reduce_kv(call);
    case ane::CpuOp::rope:
      return rotation(call, false);
    case ane::CpuOp::rope_inverse:
      return rotation(call, true);
    case ane::CpuOp::unfold_scale:
      return scale(call, 1 / std::sqrt(static_cast<double>(shape.head_dim)));
    case ane::CpuOp::weight_gradient:
      return weight_gradient(call);
  }
  throw std::logic_error("a CPU operation without a reference");
}

CpuComparison compare_cpu(const Tensor& got, const CpuReference& expected) {
  // The reference is off by n·2^-53 where the bound is n·2^-24 of the same terms: 2^-29 of it, and 2^-20 is plenty.
  constexpr double kReferenceNoise = 1 + 0x1p-20;
  const Index columns = std::max<Index>(expected.value.cols(), 1);
  CpuComparison result;
  Index worst = -1;
  for (Index i = 0; i < expected.value.size(); ++i) {
    const double value = expected.value.data()[i], bound = expected.bound.data()[i] * kReferenceNoise;
    if (!std::isfinite(value) || !std::isfinite(bound)) continue;
    const double error = std::abs(static_cast<double>(got.data[static_cast<std::size_t>(i)]) - value);
    const bool inside = error <= bound;  // false for NaN
    const double ratio = error == 0 ? 0 : bound > 0 && !std::isnan(error) ? error / bound : kInfinity;
    if (!inside) ++result.violations;
    if (worst < 0 || ratio > result.worst_ratio) {
      result.worst_ratio = ratio;
      worst = i;
    }
  }
  if (result.violations > 0)
    result.reason = fmt::format("{} elements outside their bound, worst at [{}, {}]: got {}, expected {}, bound {}",
                                result.violations, worst / columns, worst % columns,
                                number_text(static_cast<double>(got.data[static_cast<std::size_t>(worst)])),
                                number_text(expected.value.data()[worst]), number_text(expected.bound.data()[worst]));
  return result;
}

}  // namespace aneval::validate
