// The defect catalogue: what kernels, devices and training loops are known to do wrong, committed on purpose. A check
// that never met a defect proves nothing; here every one is applied to every case where it changes something, and the
// judge has to find it (self_test.h).
//
// The device commits the defect while the checker goes on believing the healthy program, so that the gates on the
// device's numbers are tested and not only the program check. A defect is a row of the table and says how it is done:
//
//   program     the device compiles another program on the same layout
//   staging     other bits lie on the device's own copy of the input surface
//   output      the output is spoilt after the evaluation, or there was none
//   arithmetic  operations are computed or stored in another way
//   host        the CPU between kernels computes something else (layer_check.h)
//
// To add one: its row in the defects_*.cpp of its mechanism. `aneval list defects` and the self-test follow.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ane/emulator/plan.h"
#include "ane/half.h"
#include "ane/kernels/kernel.h"

namespace aneval::validate {

enum class Mechanism { program, staging, output, arithmetic, host };
std::string_view mechanism_name(Mechanism mechanism);

/// One kernel instance that a defect is applied to.
struct DefectSite {
  ane::KernelSpec spec;
  ane::KernelConfig config;
  ane::PackedLayout layout;

  static DefectSite of(const ane::KernelSpec& spec, const ane::KernelConfig& config) {
    return {spec, config, spec.layout(config)};
  }
  const std::string& kernel() const { return spec.name; }
  std::int64_t seq() const { return config.shape.seq; }
};

/// How operations are computed in another way.
struct ArithmeticFault {
  enum class Product {
    healthy,
    without_last,  // the last pair of every dot product is left out
    fp16_sums,     // every partial sum is rounded to fp16
  };
  Product product = Product::healthy;
  /// Products, sums and differences are stored towards zero instead of to the nearest number.
  bool truncates = false;
  /// What a stored value of a step becomes.
  std::function<double(const emulator::Step&, double)> after = {};
};

/// What happens to an evaluation as such.
enum class EvaluationFault {
  none,
  skipped,   // success is reported and nothing was computed
  previous,  // the result is that of the evaluation before
};

struct Defect {
  std::string name, summary;
  Mechanism mechanism = Mechanism::program;
  /// Whether it can be committed there at all.
  std::function<bool(const DefectSite&)> applies = {};

  // One of these, by mechanism.
  std::function<mil::BuiltProgram(const DefectSite&)> program = {};
  std::function<void(const DefectSite&, std::span<ane::half_t> input)> input = {};
  /// On the whole output surface, as numbers; `evaluation` counts from 0.
  std::function<void(const DefectSite&, std::int64_t evaluation, std::span<double> output)> output = {};
  EvaluationFault evaluation = EvaluationFault::none;
  ArithmeticFault arithmetic = {};

  /// It leaves NaN, infinity, poison or changing bits: found whatever the noise.
  bool always_visible = false;
};

/// All defects of kernels, in the order of the mechanisms.
const std::vector<Defect>& defect_catalogue();
/// Errors: an unknown name, with the nearest known one.
const Defect& find_defect(std::string_view name);

// The parts of the catalogue.
std::vector<Defect> program_defects();
std::vector<Defect> eight_bit_defects();
std::vector<Defect> staging_defects();
std::vector<Defect> output_defects();
std::vector<Defect> arithmetic_defects();

/// fp16 towards zero; bf16 to nearest even.
double truncated_to_half(double value);
double rounded_to_bf16(double value);

}  // namespace aneval::validate
