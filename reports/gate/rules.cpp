#include "reports/gate/rules.h"

#include <algorithm>

namespace aneval::gate {
namespace {

/// Half an fp16 spacing at 1: what rounding in another order may move.
constexpr double kHalfSpacing = 0x1p-11;
constexpr double kTenth = 0.1;

/// Outputs that vanish: of ten thousand, a handful depends on the last bit of a sum.
constexpr double kFewOutputs = 1e-3;

constexpr double kDispatchNs = 2e5;  // below, an evaluation is mostly its dispatch

}  // namespace

const std::vector<Rule>& rules() {
  static const std::vector<Rule> table = {
      // what a device was asked to do
      {.metric = "compile_count", .kind = Kind::exact},
      {.metric = "load_count", .kind = Kind::exact},
      {.metric = "process_count", .kind = Kind::exact},
      {.metric = "dispatches", .kind = Kind::exact},
      {.metric = "surfaces", .kind = Kind::exact},
      {.metric = "surface_bytes", .kind = Kind::exact},
      {.metric = "bytes", .kind = Kind::exact},
      {.metric = "program_hash", .kind = Kind::exact, .better = Better::same},
      {.metric = "layers", .kind = Kind::exact, .better = Better::same},  // of a training step: else times differ
      // what the judge finds
      {.metric = "defects_detectable", .kind = Kind::exact, .better = Better::higher},
      {.metric = "defects_found", .kind = Kind::exact, .better = Better::higher},
      {.metric = "false_alarms", .kind = Kind::exact},
      // what goes into an operation
      {.metric = "operand_nan_count", .kind = Kind::exact},
      {.metric = "operand_inf_count", .kind = Kind::exact},
      // errors of an output block; vanished outputs are small in all other measures
      {.metric = "underflow_fraction", .kind = Kind::tolerance, .relative = kTenth, .absolute = kFewOutputs},
      {.metric = "zero_fraction", .kind = Kind::tolerance, .relative = kTenth, .absolute = kFewOutputs},
      {.metric = "nan_count", .kind = Kind::exact},
      {.metric = "inf_count", .kind = Kind::exact},
      {.metric = "max_abs",
       .kind = Kind::tolerance,
       .relative = kTenth,
       .absolute = kHalfSpacing,
       .scale = "reference_rms"},
      {.metric = "rms",
       .kind = Kind::tolerance,
       .relative = kTenth,
       .absolute = kHalfSpacing,
       .scale = "reference_rms"},
      {.metric = "snr_db", .kind = Kind::tolerance, .better = Better::higher, .absolute = 0.5},
      {.metric = "cosine", .kind = Kind::tolerance, .better = Better::higher, .absolute = kHalfSpacing},
      {.metric = "max_ulp", .kind = Kind::tolerance, .relative = kTenth, .absolute = 0.5},
      {.metric = "p99_ulp", .kind = Kind::tolerance, .relative = kTenth, .absolute = 0.5},
      {.metric = "bound_ratio", .kind = Kind::tolerance, .relative = kTenth, .absolute = 0.05, .contract = 1},
      {.metric = "deviation_ratio", .kind = Kind::tolerance, .relative = kTenth, .absolute = 0.05, .contract = 1},
      {.metric = "spread_ratio", .kind = Kind::tolerance, .relative = kTenth, .absolute = 0.05, .contract = 1},
      // of a layer's tensors
      {.metric = "chain_error", .kind = Kind::tolerance, .relative = kTenth, .absolute = kHalfSpacing},
  };
  return table;
}

const Rule* find_rule(std::string_view metric) {
  const auto& table = rules();
  const auto found = std::find_if(table.begin(), table.end(), [&](const Rule& r) { return r.metric == metric; });
  return found == table.end() ? nullptr : &*found;
}

double timing_tolerance(std::string_view phase, double ns) {
  if (phase == "compile" || phase == "load") return 0.10;
  if (phase == "stage_weights" || phase == "write_acts" || phase == "read" || phase == "copy") return 0.05;
  if (ns < kDispatchNs) return 0.10;
  return 0.03;
}

}  // namespace aneval::gate
