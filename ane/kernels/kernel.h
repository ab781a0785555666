// One description of a kernel drives everything: staging, the MIL program, benchmarks, validation, sweeps, reports.
//
// To add a kernel: one file here with its layout and its program, one line in registry.cpp, one function with its row
// in reference/kernels.cpp. A kernel from outside the tree is added to a KernelRegistry value with add().
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ane/mil/builder.h"
#include "ane/model_shape.h"
#include "ane/packed_layout.h"
#include "ane/variant.h"
#include "common/tensor.h"

namespace aneval::ane {

/// What a kernel is instantiated for. ic and oc are used by the generic dynamic matmul only.
struct KernelConfig {
  ModelShape shape;
  Variant variant;
  std::int64_t ic = 0, oc = 0;
  /// Constants of weight files keep their types and have no numbers: a program that cannot run, built in a millisecond
  /// at any size (the causal mask alone has S² numbers).
  bool shapes_only = false;
  /// A layer's tensors by name (wq [Q, D], …), for programs that hold them: weights=static, int8 and w8a8.
  const NamedTensors* weights = nullptr;
  /// Activations by slot name, [channels, S], whose scales a program of weights=w8a8 is calibrated on.
  const NamedTensors* activations = nullptr;
};

struct KernelSpec {
  std::string name;     // "sdpaFwd"
  std::string summary;  // one line for `aneval list kernels`
  std::function<PackedLayout(const KernelConfig&)> layout;
  /// Takes the layout it was given, so that offsets are stated once. Errors: weights to be compiled in that are
  /// missing or of another shape.
  std::function<mil::BuiltProgram(const KernelConfig&, const PackedLayout&)> program;
};

class KernelRegistry {
 public:
  /// The ten kernels of a layer, in the order of a training step, those of other cuts, and the generic matmul.
  static KernelRegistry builtin();

  /// Errors: the name exists already.
  void add(KernelSpec spec);
  /// Errors: unknown name, with the nearest known one.
  const KernelSpec& find(std::string_view name) const;
  const std::vector<KernelSpec>& all() const { return specs_; }
  /// What is judged and timed of a variant: the kernels of its layer in the order of the plan, then those that no
  /// layer has, whatever its cut (the generic matmul, kernels from outside the tree).
  std::vector<KernelSpec> of_variant(const Variant& variant) const;

 private:
  std::vector<KernelSpec> specs_;
};

}  // namespace aneval::ane
