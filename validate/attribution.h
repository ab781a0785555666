// Where the error of an output block comes from. From end to end, device − reference on the fp32 inputs is
//
//   input            reference(fp16 inputs) − reference(fp32 inputs)     what staging rounded
//   constants        program(compiled constants) − reference(fp16 inputs)
//   output rounding  fp16(that program) − that program                   what any fp16 output must lose
//   arithmetic       device − fp16(that program)                         what the device's arithmetic did
//
// where nothing but the constants is rounded in "program". Element by element the four add up to the total; their rms
// values do not. Reported, never gated.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ane/emulator/plan.h"
#include "ane/packed_layout.h"
#include "ane/surface.h"
#include "common/tensor.h"
#include "common/thread_pool.h"
#include "reference/kernels.h"
#include "validate/judge.h"

namespace aneval::validate {

/// The parts of one element's error.
struct ErrorParts {
  double input = 0, constants = 0, output_rounding = 0, arithmetic = 0;
  double total = 0;
};

/// `exact`: the reference on the fp32 inputs; `staged`: on the fp16 inputs; `compiled`: the program's value.
ErrorParts error_parts(double device, double exact, double staged, double compiled);

/// Of one block: rms values over the elements whose parts are all finite.
struct Attribution {
  std::string block;
  double reference = 0;  // of the reference on the fp32 inputs itself
  double total = 0, input = 0, constants = 0, output_rounding = 0, arithmetic = 0;
  /// rms(device − reference on the fp16 inputs) over that of the reference's own fp16 rounding, which counts at least
  /// as that of the smallest spacing, 2^-24/√12. None when the device is exactly right everywhere.
  std::optional<double> excess;
  std::int64_t left_out = 0;  // elements with a part that is not finite
};

/// The three others per element of a block, in its order.
Attribution attribute_block(std::span<const float> device, std::span<const double> exact,
                            std::span<const double> staged, std::span<const double> compiled);

/// What a kernel is meant to compute from: every slot in its orientation, weights times their slot's factor, in double.
/// `tensor_of` gives an activation slot's tensor, and of a weight slot the natural weight.
reference::Matrices<double> unrounded_inputs(const ane::PackedLayout& layout,
                                             const std::function<const Tensor&(const ane::Slot&)>& tensor_of);

struct AttributionInput {
  const ModelShape& shape;
  reference::Options options;
  const ane::PackedLayout& layout;
  const NamedTensors &weights, &activations;           // fp32, before staging
  const reference::KernelFunction<double>& reference;  // of the kernel
  const reference::Matrices<double>& staged;           // what it gave on the fp16 inputs
  const std::shared_ptr<const emulator::Plan>& plan;
  const std::map<std::string, std::vector<double>, std::less<>>& exact_constants;
  ane::Surface &input, &output;  // after the evaluation
  ThreadPool* pool = nullptr;
};

/// One per judged block, but none where the program computes something else than the reference: what it misses would be
/// charged to its constants.
std::vector<Attribution> attribute_errors(const AttributionInput& in, const std::vector<BlockJudgement>& blocks);

}  // namespace aneval::validate
