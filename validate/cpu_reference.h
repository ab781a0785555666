// What the CPU does between kernels, in double, and how far any fp32 arithmetic may lie from it.
//
// With u = 2^-24 and γ_n = nu/(1 − nu), n roundings multiply a term by a factor within 1 ± γ_n, quotients and square
// roots included (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., lemma 3.1); a sum of n terms rounds
// each of them at most n − 1 times, in whatever order it is taken. So every bound below is γ of the number of roundings
// that a term meets, times the sum of the magnitudes of the terms. It binds any implementation, also one that sums in
// another order or fuses multiply and add; ours sums in double and stays far below. The table is in docs/judgement.md.
#pragma once

#include <string>
#include <vector>

#include "ane/layer_plan.h"
#include "common/tensor.h"
#include "reference/matrix.h"

namespace aneval::validate {

/// One output of a step. Where a bound is zero the values must be equal.
struct CpuReference {
  reference::Matrix<double> value, bound;
};

/// The outputs of a CPU step by position, from its operands by position. Gradients of weights start from zero.
std::vector<CpuReference> cpu_reference(ane::CpuOp op, const ModelShape& shape, const reference::Options& options,
                                        const std::vector<const Tensor*>& in);

/// How an output compares.
struct CpuComparison {
  double worst_ratio = 0;  // largest error / bound; infinite where nothing may round and something did
  std::int64_t violations = 0;
  std::string reason;  // empty without violations: how many, and the worst
};

/// Elements whose reference or bound is not finite are passed over: what came in was not finite, and is reported as
/// that. Anything else must be within its bound, so NaN fails.
CpuComparison compare_cpu(const Tensor& got, const CpuReference& expected);

}  // namespace aneval::validate
