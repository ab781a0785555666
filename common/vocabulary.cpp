#include "common/vocabulary.h"

#include <algorithm>
#include <stdexcept>

namespace aneval {

const std::vector<MetricName>& metric_names() {
  static const std::vector<MetricName> names = {
      // time and work
      {"time", "ns", "wall time of one run of the phase; rep numbers the samples of a process"},
      {"cpu_time", "ns", "processor time of one run, all threads together"},
      {"ratio", "1",
       "of two times: a step's to its layer's; else median over pairs of runs, rep numbers the repetitions"},
      {"ratio_q1", "1", "lower quartile of the pairs of runs whose median is ratio"},
      {"ratio_q3", "1", "upper quartile of the same"},
      {"ratio_at_least", "1", "what ratio, the yardstick's time / the benchmark's own, should reach"},
      {"ratio_at_most", "1", "what ratio, the benchmark's own time / the yardstick's, should stay below"},
      {"yardstick", "", "what the benchmark is held against"},
      {"fallback_share", "1", "multiply-accumulates summed one by one because they may overflow / all of them"},
      {"bytes", "bytes", "size of the surface region that the phase touches"},
      {"gb_per_s", "GB/s", "10^9 bytes per second, read and written"},
      {"tflops", "TFLOP/s", "10^12 operations per second: 2 per multiply-accumulate of the program's matmuls"},
      {"warmup_count", "count", "runs before the timed ones, until times were stable"},
      {"first_time", "ns", "the first of them, on caches and an engine that somebody else, or nobody, used before"},
      {"hardware_time", "ns", "of an evaluation by the engine's own clock, where it has one: median of the timed runs"},
      {"benchmark", "count",
       "version of the benchmark that wrote rows with these columns; text is its name, as --benchmark_filter takes it"},
      {"power_state", "", "power source, low power mode and thermal pressure, at the beginning and at the end"},
      // what the device was asked to do, per run; equal in every run
      {"compile_count", "count", "compile attempts"},
      {"load_count", "count", "programs loaded"},
      {"process_count", "count", "processes that a training took, one after the other"},
      {"dispatches", "count", "evaluations"},
      {"surfaces", "count", "surfaces of the kernel or layer"},
      {"surface_bytes", "bytes", "their size together"},
      {"program_hash", "", "of the MIL text and its weights"},
      {"point", "ns", "of a sweep: its text, and what it costs: the times of the sweep's phases together"},
      {"output_hash", "", "of the bits written by the kernel, or of a layer's results"},
      // errors of an output block against the reference
      {"max_abs", "1", "largest |got - reference|"},
      {"rms", "1", "root of the mean squared error"},
      {"nmse", "1", "sum of squared errors / sum of squared references"},
      {"snr_db", "dB", "-10 log10(nmse); none when the block is exact"},
      {"cosine", "1", "of got and reference as vectors"},
      {"max_ulp", "ulp", "largest error in fp16 spacings at the reference"},
      {"p99_ulp", "ulp", "99th percentile of the same"},
      {"bound_ratio", "1", "largest error / derived bound of its element; of a layer: of what a CPU operation made"},
      {"deviation_ratio", "1", "largest |error - expected error| in its standard deviations / what is allowed"},
      {"error_spread", "1", "R: root mean square of (error - expected error) / standard deviation; about 1"},
      {"spread_ratio", "1", "R / what is allowed"},
      {"bound_histogram", "", "elements by error / derived bound, those with a bound of more than one number"},
      {"deviation_histogram", "", "elements by |error - expected error| in its standard deviations"},
      {"predicted_error", "1", "root mean square of the error that the shadows expect"},
      {"reference_error", "1", "rms error of the fp32 reference / rms standard deviation of a device's"},
      {"underflow_fraction", "1", "outputs that are zero while |reference| >= 2^-24"},
      {"zero_fraction", "1", "outputs that are zero while the reference is not, of any size"},
      {"nan_count", "count", "outputs that are NaN"},
      {"inf_count", "count", "outputs that are infinite"},
      // where a block's error comes from: rms of device - reference on the fp32 inputs and of its parts, which add up
      // element by element; their rms values do not
      {"error_total", "1", "rms of device - reference on the fp32 inputs: end to end"},
      {"error_input", "1", "of it: rounding the inputs to fp16"},
      {"error_constants", "1", "of it: rounding the program's constants to fp16"},
      {"error_output_rounding", "1", "of it: rounding the result to fp16, which any fp16 output must lose"},
      {"error_arithmetic", "1", "of it: the device's arithmetic, what none of the others is"},
      {"error_left_out", "count", "elements that are not finite and so have no parts"},
      {"reference_rms", "1", "rms of the reference on the fp32 inputs"},
      {"excess", "1", "rms(device - reference) / rms of the reference's own fp16 rounding; `exact` when there is none"},
      // how the error grows through a layer, per tensor that it makes, relative to its rms(reference of the whole
      // layer)
      {"chain_error", "1", "rms(device - reference of the whole layer) / rms(reference)"},
      {"chain_own", "1", "of it: what the tensor's step added to what it was given; the rest is inherited"},
      {"chain_inherited", "1", "of it: what the step makes, without any error, of what the device gave it"},
      {"chain_step", "count",
       "the tensor's place in the layer, forward before backward; text is the step that makes it"},
      // what a program's numbers mean for a chip
      {"acc_peak", "1", "largest |partial sum| of a matmul / 32768, where accumulators overflow"},
      {"headroom", "bits", "-log2(acc_peak)"},
      {"clip_fraction", "1", "elements of an activation beyond the range that it is quantized to"},
      {"drop_fraction", "1", "pairs of nonzero operands whose exponents sum to <= -17: M4's accumulator drops them"},
      {"operand_nan_count", "count", "elements of an operation's operands that are NaN"},
      {"operand_inf_count", "count", "elements of an operation's operands that are infinite"},
      {"profile_rule", "", "what a numerics profile does, and what that rests on; item is the rule"},
      {"slice_peak", "1", "largest magnitude in a last-axis slice with begin > 0: M1 and M2 lose what exceeds 4094"},
      // the self-test: what the judge makes of defects that are committed on purpose
      {"defect_gate", "", "what flagged the defect: a gate, poison, nan, unstable; none"},
      {"defect_excess", "1", "how many times the gate's limit was reached"},
      {"defect_deviation", "1", "largest change that the defect makes / standard deviation of healthy errors"},
      {"defect_visibility", "1", "the change / what must be found"},
      {"defects_detectable", "count", "pairs of defect and case that must be found"},
      {"defects_found", "count", "those of them that were"},
      {"defects_in_noise", "count", "pairs of defect and case whose change is too small to be demanded"},
      {"healthy_runs", "count", "runs without a defect"},
      {"false_alarms", "count", "those of them that were flagged"},
      {"seed_defect", "", "how a defect of the seed project was found"},
      // training; `step` is the optimizer step, from 0
      {"loss", "1", "nats per predicted token, mean over the step's sequences, before its update"},
      {"gradient_norm", "1", "global norm of the gradients, without the loss scale, before clipping"},
      {"learning_rate", "1", "of the step"},
      {"tokens_per_s", "1/s", "predicted tokens / time of the step"},
      {"overflow_count", "count", "steps whose gradients were not finite, so that no weight was changed"},
      {"grad_cosine", "1", "of a weight's gradient and the fp32 reference's at the same weights, as vectors"},
      {"grad_rel_l2", "1", "norm of their difference / norm of the reference's"},
      {"largest_abs", "1", "largest activation of the forward pass"},
      {"layers", "count", "layers that a step trained; text says why not all of the model's"},
      {"control_deviation", "1", "|final loss - mean of the controls'| / their standard deviation"},
      {"band_exit", "count", "first step whose 10-step mean loss leaves the controls' mean by 3 standard deviations"},
      {"verdict", "", "of a training run, in words"},
      // a process about itself
      {"cases_planned", "count", "what the command set out to do"},
      {"cases_done", "count", "what it did: its last row"},
      {"threads", "count", "of the process that measured"},
  };
  return names;
}

const MetricName* find_metric(std::string_view name) {
  const auto& names = metric_names();
  const auto found = std::find_if(names.begin(), names.end(), [&](const MetricName& m) { return m.name == name; });
  return found == names.end() ? nullptr : &*found;
}

Record fact(const Record& row, std::string_view metric, double value) {
  const MetricName* name = find_metric(metric);
  if (name == nullptr) throw std::logic_error("no metric is called " + std::string(metric));
  Record result = row;
  result.metric = name->name;
  result.unit = name->unit;
  result.value = value;
  return result;
}

Record fact(const Record& row, std::string_view metric, std::string text) {
  Record result = fact(row, metric, 0.0);
  result.value.reset();
  result.text = std::move(text);
  return result;
}

const std::vector<PhaseName>& phase_names() {
  static const std::vector<PhaseName> names = {
      {"compile", "MIL text and weights to a program"},
      {"load", "program to the device"},
      {"stage_weights", "fp32 weights onto the input surface"},
      {"write_acts", "fp32 activations onto the input surface"},
      {"eval", "evaluation of the program"},
      {"read", "output blocks off the surface, to fp32"},
      {"copy", "output blocks of other kernels into activation slots, in fp16"},
      {"tile", "key/value heads to query heads"},
      {"reduce", "query heads back to key/value heads"},
      {"rmsnorm", "vector work between kernels: rmsnorm, residuals, rotations"},
      {"silu", "SiLU backward"},
      {"weight_grad", "weight gradients"},
      {"classifier", "embedding, classifier and loss, there and back"},
      {"optimizer", "norm and clipping of the gradients, AdamW"},
      {"restage", "new weights onto the input surfaces of all layers, or into the weight files of their programs"},
      {"train_step", "a whole optimizer step"},
      {"layer_forward", "all steps of a layer forward"},
      {"layer_backward", "all steps of a layer backward"},
      {"validate", "judgement against the reference"},
      {"self_test", "defects committed by a device, and healthy runs"},
      {"self_test_program", "wrong programs given to the checker"},
      {"profile", "the arithmetic that the emulator computes with"},
      {"convert", "fp32 <-> fp16 on ordinary memory"},
      {"arithmetic", "exact emulations of the engine's matmul"},
      {"engine", "chains of 1x1 convolutions with baked weights: latency and peak of the device"},
      {"host", "what this machine can do: memcpy, fused multiply-adds"},
      {"control", "loops that are the same machine code in every build"},
      {"ratio", "a part of the harness beside its yardstick"},
  };
  return names;
}

}  // namespace aneval
