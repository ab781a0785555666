#include "validate/self_test/visibility.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ane/mil/text.h"
#include "common/error.h"
#include "validate/self_test/faulty_arithmetic.h"

namespace aneval::validate {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The output surface of a program, in whatever arithmetic.
template <class A>
std::vector<Shadow> evaluate(const mil::BuiltProgram& program, A arithmetic, std::span<const ane::half_t> input,
                             bool slice_gain) {
  const auto plan = std::make_shared<const emulator::Plan>(
      emulator::make_plan(mil::parse(program.text, "<defect>"), program.weights, slice_gain));
  emulator::Evaluator<A> evaluator(plan, std::move(arithmetic), nullptr);
  const auto to = evaluator.input(0);
  for (std::size_t i = 0; i < to.size(); ++i) to[i].value = static_cast<double>(ane::to_float(input[i]));
  evaluator.run();
  const auto output = evaluator.output(0);
  return {output.begin(), output.end()};
}

/// Where a device is expected: its bias counts.
void to_centres(std::vector<Shadow>& shadows) {
  for (Shadow& shadow : shadows) shadow.value = shadow.centre();
}

/// What a change of a known element must be at least, in units of its last place, to give another number for sure. The
/// value lies within half a unit of the one number that is possible, and two units from there another one is; what is
/// done to the stored number itself shows from one unit on.
double sure_units(const Defect& defect) { return defect.output ? 1 : 2; }

struct Change {
  std::vector<Shadow> from, to;
};

Change change_of(const HealthyCase& healthy, const Defect& defect, const ErrorModel& model) {
  const bool gain = model.profile && model.profile->slice_gain;
  const auto run = [&](const mil::BuiltProgram& program, std::span<const ane::half_t> input) {
    auto shadows = evaluate(program, ShadowArithmetic(model, program.exact_constants), input, gain);
    to_centres(shadows);
    return shadows;
  };
  if (defect.mechanism == Mechanism::arithmetic) {
    const auto faulty = [&](bool committed) {
      const ShadowArithmetic healthy_arithmetic(model, healthy.program.exact_constants);
      auto shadows =
          evaluate(healthy.program, FaultyShadowArithmetic(healthy_arithmetic, {}, defect.arithmetic, committed),
                   healthy.input, gain);
      to_centres(shadows);
      return shadows;
    };
    return {faulty(false), faulty(true)};
  }
  std::vector<Shadow> from = model.profile ? run(healthy.program, healthy.input) : healthy.exact;
  if (defect.program) return {std::move(from), run(defect.program(healthy.site), healthy.input)};
  if (defect.input) {
    std::vector<ane::half_t> input = healthy.input;
    defect.input(healthy.site, input);
    return {std::move(from), run(healthy.program, input)};
  }
  std::vector<double> output(from.size());
  std::transform(from.begin(), from.end(), output.begin(), [](const Shadow& shadow) { return shadow.value; });
  if (defect.output) defect.output(healthy.site, 0, output);
  std::vector<Shadow> to = from;
  for (std::size_t i = 0; i < to.size(); ++i) to[i].value = output[i];
  return {std::move(from), std::move(to)};
}

}  // namespace

HealthyCase prepare_healthy(const CheckOptions& options, const Case& c) {
  CheckOptions own = options;
  own.keep_shadows = true;
  HealthyCase healthy{DefectSite::of(options.registry.find(c.kernel), kernel_config(c)), {}, {}, {}, {}, {}};
  healthy.data = std::make_shared<const CaseData>(make_case_data(c, healthy.site.layout));
  healthy.site.config.weights = &healthy.data->weights;
  healthy.site.config.activations = &healthy.data->activations;
  KernelChecker checker(own);
  CaseResult result = checker.run(c, *healthy.data);
  if (result.blocks.empty())
    throw Error(ExitCode::check_failed, "case '" + case_text(c) + "'",
                "a healthy device gave nothing: " + result.reason, "run the case with `aneval validate --case`");
  healthy.blocks = std::move(result.blocks);
  KernelChecker::Ready& ready = checker.ready(c, *healthy.data);
  const ane::ReadLock input(*ready.request->input());
  healthy.input.assign(input.halves().begin(), input.halves().end());
  healthy.program = std::move(ready.kernel.program);
  healthy.exact = evaluate(healthy.program, ShadowArithmetic(ErrorModel::exact(), healthy.program.exact_constants),
                           healthy.input, false);
  return healthy;
}

Visibility visibility(const HealthyCase& healthy, const Defect& defect, const emulator::Profile& profile,
                      bool expected_device) {
  if (defect.always_visible) return {healthy.blocks.front().block, kInfinity, kInfinity, kInfinity, kInfinity};
  const Change change = change_of(healthy, defect, expected_device ? ErrorModel::of(profile) : ErrorModel::exact());
  Visibility most;
  for (const BlockJudgement& judged : healthy.blocks) {
    const ane::Block& block = healthy.site.layout.block(judged.block);
    const double k = deviation_limit(judged.spread.elements), r = spread_limit(judged.spread.independent);
    Visibility here{judged.block};
    double squares = 0, largest = 0, moved = 0;
    for (std::int64_t c = 0; c < judged.channels; ++c) {
      for (std::int64_t t = 0; t < judged.tokens; ++t) {
        const std::size_t place = healthy.site.layout.output_place(block, c, t);
        const Shadow& shadow = judged.shadows[static_cast<std::size_t>(c * judged.tokens + t)];
        const double value = change.from[place].value, delta = std::abs(change.to[place].value - value);
        largest = std::max(largest, std::abs(value));
        moved = std::max(moved, delta);
        const double sigma = shadow.sigma();
        if (shadow.straddles() || !std::isfinite(sigma)) continue;
        double z = delta / sigma;
        if (sigma == 0) z = delta >= sure_units(defect) * ane::half_ulp(value) ? kInfinity : 0;
        here.deviation = std::max(here.deviation, z);
        if (sigma > 0) squares += z * z;
      }
    }
    if (judged.spread.elements > 0) here.spread = std::sqrt(squares / static_cast<double>(judged.spread.elements));
    here.ratio = std::max(here.deviation / (2 * k), here.spread / (3 * r));
    here.change = largest > 0 ? moved / largest : moved > 0 ? kInfinity : 0;
    const double change_so_far = std::max(most.change, here.change);
    if (here.ratio > most.ratio || most.block.empty()) most = here;
    most.change = change_so_far;
  }
  return most;
}

}  // namespace aneval::validate
