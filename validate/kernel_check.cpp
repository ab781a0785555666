#include "validate/kernel_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/evaluator.h"
#include "ane/kernels/attention.h"
#include "ane/mil/text.h"
#include "ane/staging.h"
#include "common/error.h"
#include "common/stopwatch.h"
#include "validate/shadow/shadow.h"
#include "validate/staged_inputs.h"

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

reference::Matrices<double> in_double(const reference::Matrices<float>& inputs) {
  reference::Matrices<double> wide;
  for (const auto& [name, matrix] : inputs) wide[name] = matrix.cast<double>();
  return wide;
}

/// Runs the program's shadows on what lies on the input surface.
std::unique_ptr<ShadowEvaluator> run_shadows(const ane::CompiledKernel& kernel,
                                             const std::shared_ptr<const emulator::Plan>& plan, const ErrorModel& model,
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

/// Of every block, by name.
std::map<std::string, std::vector<Shadow>> all_shadows(const ane::PackedLayout& layout,
                                                       std::span<const Shadow> output) {
  std::map<std::string, std::vector<Shadow>> shadows;
  for (const ane::Block& block : layout.blocks()) shadows[block.name] = block_shadows(layout, block, output);
  return shadows;
}

/// `exact` are the program's shadows without any error, `shadows` those of the chip's arithmetic; the latter are
/// widened by what constants of unknown origin may have been.
BlockJudgement judge_block(const ane::Block& block, std::span<const float> device, std::span<const double> reference,
                           std::span<const float> reference_in_float, const std::vector<Shadow>& exact,
                           std::vector<Shadow>& shadows) {
  BlockJudgement j;
  j.block = block.name;
  j.channels = block.channels.size();
  j.tokens = block.width.size();
  j.program = compare_program(exact, reference, j.tokens);
  for (std::size_t i = 0; i < shadows.size(); ++i) {
    const double constants = exact[i].bound;
    shadows[i].bound += constants;
    shadows[i].variance += static_cast<float>(constants * constants / 3);
  }
  j.device = compare_device(device, reference, shadows, j.tokens);
  compare_spread(device, reference, shadows, j);
  j.reference_error = reference_error(reference_in_float, reference, shadows);
  j.metrics = compute_metrics(device, reference);
  for (const Shadow& shadow : shadows) {
    j.exact_elements += shadow.bound < kSingleNumberBound && !shadow.straddles() ? 1 : 0;
    j.straddling_elements += shadow.straddles() ? 1 : 0;
  }
  conclude(j);
  return j;
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
  reference::Matrices<float> inputs = staged_inputs(kernel, input);
  check_staged_weights(layout, data, inputs);
  take_natural_weights(layout, data, inputs);
  if (const std::string beyond = beyond_fp16(layout, inputs); !beyond.empty()) {
    result.status = Status::nonfinite;
    result.reason = beyond;
    return;
  }

  const reference::KernelReference& reference = options_.references.find(c.kernel);
  const reference::Options as = reference_options(c.variant);
  const reference::Matrices<double> expected = reference.in_double(c.shape, as, in_double(inputs));
  const reference::Matrices<float> in_float = reference.in_float(c.shape, as, inputs);

  result.output_hash = evaluate(*options_.device, *ready.request, generation_++);
  const std::string second = evaluate(*options_.device, *ready.request, generation_++);

  // The text that the device got is what is judged, not the graph that it was printed from.
  const mil::Program program = mil::parse(kernel.program.text, kernel.name);
  const auto plan = std::make_shared<const emulator::Plan>(
      emulator::make_plan(program, kernel.program.weights, options_.profile.slice_gain));
  emulator::require_rules(*plan, options_.profile);
  // One set of shadows after the other: they are most of a case's memory.
  const auto shadows_of = [&](const ErrorModel& model) {
    return all_shadows(layout, run_shadows(kernel, plan, model, input, options_.pool)->output(0));
  };
  const std::map<std::string, std::vector<Shadow>> exact = shadows_of(ErrorModel::exact());
  std::map<std::string, std::vector<Shadow>> on_chip = shadows_of(ErrorModel::of(options_.profile));

  for (const ane::Block& block : layout.blocks()) {
    const auto found = expected.find(block.name);
    if (found == expected.end())
      throw std::logic_error("the reference of " + c.kernel + " has no block '" + block.name + "'");
    const auto n = static_cast<std::size_t>(block.channels.size() * block.width.size());
    std::vector<float> device(n);
    ane::read_block(layout, block.name, *ready.request->output(), device);
    std::vector<Shadow>& shadows = on_chip.at(block.name);
    BlockJudgement j = judge_block(block, device, {found->second.data(), n}, {in_float.at(block.name).data(), n},
                                   exact.at(block.name), shadows);
    if (worse(j.status, result.status)) {
      result.status = j.status;
      result.reason = "block " + j.block + ": " + j.reason;
    }
    if (options_.keep_shadows) j.shadows = std::move(shadows);
    result.blocks.push_back(std::move(j));
  }
  result.attributions =
      attribute_errors({c.shape, as, layout, data.weights, data.activations, reference.in_double, expected, plan,
                        kernel.program.exact_constants, input, *ready.request->output(), options_.pool},
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
