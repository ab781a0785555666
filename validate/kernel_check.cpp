#include "validate/kernel_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/evaluator.h"
#include "ane/kernels/attention.h"
#include "ane/mil/text.h"
#include "ane/staging.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/stopwatch.h"
#include "validate/shadow.h"

namespace aneval::validate {
namespace {

using ShadowEvaluator = emulator::Evaluator<ShadowArithmetic>;

/// The share of its elements that a block may lose (metrics.h: mostly_lost), asked of products.
constexpr double kFewDropped = 0.01;

/// The case's part that decides what is compiled.
std::string program_key(const Case& c) {
  Case key;
  key.kernel = c.kernel;
  key.shape = c.shape;
  key.variant = c.variant;
  key.ic = c.ic;
  key.oc = c.oc;
  return case_text(key);
}

/// The natural weight's number that belongs to element [c, w] of a slot, by the slot's name alone: `wq_t` is the
/// transpose of `wq`.
/// With the slot's factor.
double natural_number(const ane::Slot& slot, const CaseData& data, std::int64_t c, std::int64_t w) {
  const bool transposed = slot.name.ends_with("_t");
  const Tensor& natural = data.weights.at(transposed ? slot.name.substr(0, slot.name.size() - 2) : slot.name);
  const std::int64_t at = transposed ? w * slot.channels.size() + c : c * slot.width.size() + w;
  return static_cast<double>(natural.data[static_cast<std::size_t>(at)]) * slot.scale;
}

/// An 8-bit weight, q·s as the program's text and files say, lies within half a step of the natural one; how large a
/// step may be is worked out from the natural weights of the output channel: nine scales from max/127 to twice that.
void check_eight_bits(const ane::Slot& slot, const CaseData& data, const reference::Matrix<float>& held) {
  const bool columns =
      slot.name.ends_with("_t") || slot.weight == "w";  // natural rows are outputs, dynMatmul's columns
  const std::int64_t lines = columns ? held.cols() : held.rows(), depth = columns ? held.rows() : held.cols();
  for (std::int64_t line = 0; line < lines; ++line) {
    const auto place = [&](std::int64_t i) { return columns ? std::pair{i, line} : std::pair{line, i}; };
    double largest = 0;
    for (std::int64_t i = 0; i < depth; ++i)
      largest = std::max(largest, std::abs(natural_number(slot, data, place(i).first, place(i).second)));
    const double half_step = std::max(2 * (9.0 / 8) * largest / 127, 0x1p-19) / 2;
    for (std::int64_t i = 0; i < depth; ++i) {
      const auto [c, w] = place(i);
      const double expected = natural_number(slot, data, c, w);
      if (!(std::abs(static_cast<double>(held(c, w)) - expected) <= half_step))
        throw Error(ExitCode::check_failed, "8-bit weight " + slot.name,
                    fmt::format("channel {} column {} holds {}, the weight {} gives {} within {:.3g}", c, w, held(c, w),
                                slot.weight, expected, half_step),
                    "the program's numbers, scales and zero point are not those of the layer's weights");
    }
  }
}

/// What a slot must hold, worked out from its name and the natural tensor alone, not from the layout's own idea of it:
/// `wq_t` is the transpose of `wq`. Finds swapped slots, transposed weights and wrong offsets, on the surface or in the
/// program.
void check_staged_weights(const ane::PackedLayout& layout, const CaseData& data,
                          const reference::Matrices<float>& inputs) {
  for (const ane::Slot& slot : layout.operands()) {
    if (slot.kind != ane::SlotKind::weight) continue;
    if (slot.eight_bits) {
      check_eight_bits(slot, data, inputs.at(slot.name));
      continue;
    }
    const bool transposed = slot.name.ends_with("_t");
    const std::string weight = transposed ? slot.name.substr(0, slot.name.size() - 2) : slot.name;
    const Tensor& natural = data.weights.at(weight);
    const std::int64_t channels = slot.channels.size(), width = slot.width.size();
    const float* staged = inputs.at(slot.name).data();
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t w = 0; w < width; ++w) {
        const float source = natural.data[static_cast<std::size_t>(transposed ? w * channels + c : c * width + w)];
        const ane::half_t expected = ane::to_half(static_cast<double>(source) * slot.scale);
        const float got = staged[c * width + w];
        if (!(got == ane::to_float(expected)))
          throw Error(ExitCode::check_failed, "staging of slot " + slot.name,
                      fmt::format("channel {} column {} holds {}, the weight {} gives {}", c, w, got, weight,
                                  ane::to_float(expected)),
                      "the packed layout and the staging disagree");
      }
    }
  }
}

/// Which slot holds what fp16 cannot; the exact reference of an infinite input means nothing. Empty: none.
std::string beyond_fp16(const ane::PackedLayout& layout, const reference::Matrices<float>& inputs) {
  for (const ane::Slot& slot : layout.slots()) {
    const reference::Matrix<float>& m = inputs.at(slot.name);
    const auto count = std::count_if(m.data(), m.data() + m.size(), [](float value) { return !std::isfinite(value); });
    if (count > 0)
      return fmt::format("slot {} of the input: {} of {} values are beyond fp16 (65504) or NaN: {}", slot.name, count,
                         m.size(), is_gradient(slot.name) ? "take a smaller loss scale" : "take smaller data");
  }
  return {};
}

/// What the kernel computes from: what lies on the surface, slot by slot, and the weights in the program.
reference::Matrices<float> kernel_inputs(const ane::CompiledKernel& kernel, ane::Surface& input) {
  reference::Matrices<float> inputs;
  const auto values = [&](const ane::Slot& slot) {
    reference::Matrix<float>& m = inputs[slot.name];
    m.resize(slot.channels.size(), slot.width.size());
    return std::span(m.data(), static_cast<std::size_t>(m.size()));
  };
  for (const ane::Slot& slot : kernel.layout.slots()) ane::read_slot(kernel.layout, slot.name, input, values(slot));
  for (const ane::Slot& slot : kernel.layout.compiled()) ane::read_compiled_weight(kernel, slot, values(slot));
  return inputs;
}

/// In place of 8-bit weights the natural ones: the reference computes with these, so that what quantizing costs is part
/// of the error that is bounded.
void take_natural_weights(const ane::PackedLayout& layout, const CaseData& data, reference::Matrices<float>& inputs) {
  for (const ane::Slot& slot : layout.compiled()) {
    if (!slot.eight_bits) continue;
    reference::Matrix<float>& m = inputs.at(slot.name);
    for (std::int64_t c = 0; c < m.rows(); ++c)
      for (std::int64_t w = 0; w < m.cols(); ++w) m(c, w) = static_cast<float>(natural_number(slot, data, c, w));
  }
}

/// Of the weights that a program is to hold, and of the activations that it is calibrated on; empty when it holds none.
std::string compiled_weights_hash(const ane::PackedLayout& layout, const CaseData& data, const ane::Variant& variant) {
  if (layout.compiled().empty()) return {};
  Hasher hasher;
  if (variant.weights == ane::Weights::w8a8)
    for (const auto& [slot, tensor] : data.activations)
      hasher.add(tensor.data.data(), tensor.data.size() * sizeof(float));
  for (const ane::Slot& slot : layout.compiled()) {
    const Tensor& tensor = data.weights.at(slot.weight);
    hasher.add(tensor.data.data(), tensor.data.size() * sizeof(float));
  }
  return hasher.digest();
}

/// Which weight cannot be compiled in, because fp16 cannot hold it. Empty: all can.
std::string compiled_beyond_fp16(const ane::PackedLayout& layout, const CaseData& data) {
  for (const ane::Slot& slot : layout.compiled())
    for (const ane::half_t bits : ane::staged_bits(slot, data.weights))
      if (!std::isfinite(ane::to_float(bits)))
        return fmt::format("weight {} of the program: a value is beyond fp16 (65504) or NaN: take smaller data",
                           slot.weight);
  return {};
}

reference::Matrices<double> in_double(const reference::Matrices<float>& inputs) {
  reference::Matrices<double> wide;
  for (const auto& [name, matrix] : inputs) wide[name] = matrix.cast<double>();
  return wide;
}

/// Runs the program's shadows on what lies on the input surface.
std::unique_ptr<ShadowEvaluator> run_shadows(const ane::CompiledKernel& kernel,
                                             const std::shared_ptr<const emulator::Plan>& plan, ErrorModel model,
                                             ane::Surface& input, ThreadPool* pool) {
  auto evaluator =
      std::make_unique<ShadowEvaluator>(plan, ShadowArithmetic(model, kernel.program.exact_constants), pool);
  {
    const ane::ReadLock lock(input);
    const auto halves = lock.halves();
    const auto to = evaluator->input(0);
    for (std::size_t i = 0; i < to.size(); ++i) to[i].value = static_cast<double>(ane::to_float(halves[i]));
  }
  evaluator->run();
  return evaluator;
}

/// The shadows of one block, cropped of padding like staging's read_block.
std::vector<Shadow> block_shadows(const ane::PackedLayout& layout, const ane::Block& block,
                                  std::span<const Shadow> output) {
  std::vector<Shadow> shadows;
  shadows.reserve(static_cast<std::size_t>(block.channels.size() * block.width.size()));
  for (std::int64_t c = 0; c < block.channels.size(); ++c)
    for (std::int64_t t = 0; t < block.width.size(); ++t) shadows.push_back(output[layout.output_place(block, c, t)]);
  return shadows;
}

/// Evaluates from a poisoned output and returns the hash of what was written.
std::string evaluate(ane::Device& device, ane::Request& request, std::int64_t generation) {
  ane::evaluate_poisoned(device, request, ane::kPoison[generation % 2]);
  return ane::surface_hash(*request.output());
}

/// Failures before what is degraded before ok; the first of its kind stays.
bool worse(Status status, Status than) {
  const auto rank = [](Status s) { return s == Status::ok ? 0 : s == Status::degraded ? 1 : 2; };
  return rank(status) > rank(than);
}

/// Which activation has more than that share of its elements beyond the range that it was calibrated for. Empty: none.
std::string mostly_clipped(const std::vector<CaseStatistics>& statistics) {
  if (statistics.empty()) return {};
  for (const emulator::QuantizeStatistics& quantized : statistics.front().program.quantizations)
    if (quantized.clip_fraction > kFewDropped)
      return fmt::format("{:.2g} % of the elements that {} quantizes are clipped", 100 * quantized.clip_fraction,
                         quantized.result);
  return {};
}

/// Where the accumulator drops products: the smallest loss scale that was tried under which it drops few, and nothing
/// overflows. Empty when there is none, or dropping is not what is wrong.
std::string cure(const emulator::Profile& profile, const std::vector<CaseStatistics>& statistics) {
  const auto most_dropped = [](const emulator::ProgramStatistics& program) {
    double most = 0;
    for (const emulator::MatmulStatistics& matmul : program.matmuls) most = std::max(most, matmul.drop_fraction);
    return most;
  };
  if (profile.accumulator != emulator::Accumulator::fixed_point || statistics.empty() ||
      most_dropped(statistics.front().program) <= kFewDropped)
    return {};
  for (std::size_t i = 1; i < statistics.size(); ++i) {
    const emulator::ProgramStatistics& program = statistics[i].program;
    const bool overflows = std::any_of(program.matmuls.begin(), program.matmuls.end(),
                                       [](const emulator::MatmulStatistics& matmul) { return matmul.acc_peak >= 1; });
    if (overflows || !program.specials.empty() || most_dropped(program) > kFewDropped) continue;
    return fmt::format("; gradients times {:.0f} would drop {:.2g} % of the products instead of {:.2g} %",
                       statistics[i].loss_scale, 100 * most_dropped(program),
                       100 * most_dropped(statistics.front().program));
  }
  return {};
}

}  // namespace

void CheckOptions::add(ane::KernelSpec kernel, reference::KernelFunction<double> in_double,
                       reference::KernelFunction<float> in_float) {
  std::string name = kernel.name;
  registry.add(std::move(kernel));
  references.add({std::move(name), std::move(in_double), std::move(in_float)});
}

ane::KernelConfig kernel_config(const Case& c) { return {c.shape, c.variant, c.ic, c.oc}; }

reference::Options reference_options(const ane::Variant& variant) {
  reference::Options options;
  options.cyclic_heads = variant.head_map == ane::HeadMap::cyclic;
  options.folded_scale = variant.score_scale == ane::ScoreScale::folded;
  options.causal_tile = variant.causal == ane::Causal::tiles ? ane::kCausalTile : 0;
  return options;
}

KernelChecker::Ready& KernelChecker::ready(const Case& c, const CaseData& data) {
  const std::string key = program_key(c);
  const ane::KernelSpec& spec = options_.registry.find(c.kernel);
  ane::KernelConfig config = kernel_config(c);
  const std::string weights = compiled_weights_hash(spec.layout(config), data, c.variant);
  if (const auto found = ready_.find(key); found != ready_.end() && found->second.weights_hash == weights)
    return found->second;
  ane::Device& device = *options_.device;
  config.weights = &data.weights;
  config.activations = &data.activations;
  Ready made{ane::compile_kernel(device, spec, config, options_.programs), nullptr, weights};
  made.kernel.config.weights = made.kernel.config.activations = nullptr;  // the case's data go, the kernel stays
  made.request = device.make_request(
      made.kernel.executable, device.create_surface(static_cast<std::size_t>(made.kernel.layout.input_bytes())),
      device.create_surface(static_cast<std::size_t>(made.kernel.layout.output_bytes())));
  return ready_.insert_or_assign(key, std::move(made)).first->second;
}

CaseResult KernelChecker::run(const Case& c) {
  check_shape(c.shape, "case '" + case_text(c) + "'");
  const ane::PackedLayout layout = options_.registry.find(c.kernel).layout(kernel_config(c));
  return run(c, make_case_data(c, layout));
}

CaseResult KernelChecker::run(const Case& c, const CaseData& data) {
  const Stopwatch watch;
  CaseResult result;
  result.c = c;
  result.variant = ane::variant_text(c.variant);
  try {
    if (std::string beyond = compiled_beyond_fp16(options_.registry.find(c.kernel).layout(kernel_config(c)), data);
        !beyond.empty()) {
      result.status = Status::nonfinite;
      result.reason = std::move(beyond);
      return result;
    }
    Ready& kernel = ready(c, data);
    if (kernel.kernel.external) result.variant = "external";
    result.program_hash = kernel.kernel.executable->program_hash();
    judge(c, data, kernel, result);
  } catch (const Error& error) {
    // A device or a check that failed is a result; a wrong case is the caller's mistake.
    if (error.code() == ExitCode::bad_input) throw;
    result.status = ane::status_of(error);
    result.reason = error.what();
  }
  result.milliseconds = watch.ns() / 1'000'000;
  return result;
}

void KernelChecker::judge(const Case& c, const CaseData& data, Ready& ready, CaseResult& result) {
  const ane::CompiledKernel& kernel = ready.kernel;
  const ane::PackedLayout& layout = kernel.layout;
  ane::Surface& input = *ready.request->input();

  ane::stage_weights(layout, data.weights, input, options_.pool);
  for (const auto& [slot, tensor] : data.activations) ane::write_slot(layout, slot, tensor.data, input);
  reference::Matrices<float> inputs = kernel_inputs(kernel, input);
  check_staged_weights(layout, data, inputs);
  take_natural_weights(layout, data, inputs);
  if (const std::string beyond = beyond_fp16(layout, inputs); !beyond.empty()) {
    result.status = Status::nonfinite;
    result.reason = beyond;
    return;
  }

  const reference::Matrices<double> expected =
      options_.references.find(c.kernel).in_double(c.shape, reference_options(c.variant), in_double(inputs));

  const reference::Matrices<float> in_float =
      options_.references.find(c.kernel).in_float(c.shape, reference_options(c.variant), inputs);

  result.output_hash = evaluate(*options_.device, *ready.request, generation_++);
  const std::string second = evaluate(*options_.device, *ready.request, generation_++);

  // The text that the device got is what is judged, not the graph that it was printed from.
  const mil::Program program = mil::parse(kernel.program.text, kernel.name);
  const auto plan = std::make_shared<const emulator::Plan>(
      emulator::make_plan(program, kernel.program.weights, options_.profile.slice_gain));
  emulator::require_rules(*plan, options_.profile);
  std::map<std::string, std::vector<Shadow>> exact;
  {
    const auto evaluator = run_shadows(kernel, plan, ErrorModel::exact(), input, options_.pool);
    for (const ane::Block& block : layout.blocks())
      exact[block.name] = block_shadows(layout, block, evaluator->output(0));
  }
  const auto evaluator = run_shadows(kernel, plan, ErrorModel::of(options_.profile), input, options_.pool);

  for (const ane::Block& block : layout.blocks()) {
    BlockJudgement j;
    j.block = block.name;
    j.channels = block.channels.size();
    j.tokens = block.width.size();
    const auto n = static_cast<std::size_t>(j.channels * j.tokens);
    const auto found = expected.find(block.name);
    if (found == expected.end())
      throw std::logic_error("the reference of " + c.kernel + " has no block '" + block.name + "'");
    const std::span<const double> reference(found->second.data(), n);
    std::vector<float> device(n);
    ane::read_block(layout, block.name, *ready.request->output(), device);
    std::vector<Shadow> shadows = block_shadows(layout, block, evaluator->output(0));

    const std::vector<Shadow>& program_shadows = exact.at(block.name);
    j.program = compare_program(program_shadows, reference, j.tokens);
    for (std::size_t i = 0; i < n; ++i) {
      const double constants = program_shadows[i].bound;  // what constants of unknown origin may have been
      shadows[i].bound += constants;
      shadows[i].variance += static_cast<float>(constants * constants / 3);
    }
    j.device = compare_device(device, reference, shadows, j.tokens);
    compare_spread(device, reference, shadows, j);
    j.reference_error = reference_error({in_float.at(block.name).data(), n}, reference, shadows);
    j.metrics = compute_metrics(device, reference);
    for (const Shadow& shadow : shadows) {
      j.exact_elements += shadow.bound < kSingleNumberBound && !shadow.straddles() ? 1 : 0;
      j.straddling_elements += shadow.straddles() ? 1 : 0;
    }
    conclude(j);
    if (worse(j.status, result.status)) {
      result.status = j.status;
      result.reason = "block " + j.block + ": " + j.reason;
    }
    if (options_.keep_shadows) j.shadows = std::move(shadows);
    result.blocks.push_back(std::move(j));
  }
  result.attributions =
      attribute_errors({c.shape, reference_options(c.variant), layout, data.weights, data.activations,
                        options_.references.find(c.kernel).in_double, expected, plan, kernel.program.exact_constants,
                        input, *ready.request->output(), options_.pool},
                       result.blocks);
  if (c.data != DataKind::exact)
    result.statistics = case_statistics(data, layout, input, plan, options_.profile, options_.pool);
  if (result.status == Status::ok) result.reason = mostly_clipped(result.statistics);
  if (!result.reason.empty() && result.status == Status::ok) result.status = Status::degraded;
  if (result.status == Status::degraded) result.reason += cure(options_.profile, result.statistics);
  if (result.output_hash != second && worse(Status::unstable, result.status)) {
    result.status = Status::unstable;
    result.reason = "two evaluations of the same input gave different bits";
  }
}

}  // namespace aneval::validate
