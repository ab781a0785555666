// The judge against nothing but the reference that it asks: what staging, checks, two evaluations, both sets of error
// shadows, statistics and verdicts of one case cost beyond it.
#include <fmt/format.h>

#include <memory>

#include "bench/ratios.h"
#include "validate/emulated_device.h"
#include "validate/staged_inputs.h"

namespace aneval::bench {
namespace {

/// A case at the model's shape, judged on one thread by the profile that the device has.
class Judged {
 public:
  Judged(const std::string& profile, const std::string& kernel, const ModelShape& shape)
      : device_(validate::make_device(profile)), checker_(validate::options_for(*device_)) {
    case_.kernel = kernel;
    case_.shape = shape;
    const validate::CheckOptions options = validate::options_for(*device_);
    data_ = validate::make_case_data(case_, options.registry.find(kernel).layout(validate::kernel_config(case_)));
    reference_ = options.references.find(kernel).in_double;
    judge();  // compiles, and leaves the tensors on the surface
    const auto& ready = checker_.ready(case_, data_);
    for (const auto& [name, matrix] : validate::staged_inputs(ready.kernel, *ready.request->input()))
      inputs_[name] = matrix.cast<double>();
  }

  void judge() {
    const validate::CaseResult result = checker_.run(case_, data_);
    if (result.status != Status::ok && result.status != Status::degraded)
      throw Error(ExitCode::check_failed, validate::case_text(case_), result.reason, "see aneval validate");
  }
  void reference() const { (void)reference_(case_.shape, {}, inputs_); }

 private:
  std::unique_ptr<ane::Device> device_;
  validate::KernelChecker checker_;
  validate::Case case_;
  validate::CaseData data_;
  reference::KernelFunction<double> reference_;
  reference::Matrices<double> inputs_;
};

Subject against_reference(const std::string& profile, const std::string& kernel, const ModelShape& shape) {
  const auto judged = std::make_shared<Judged>(profile, kernel, shape);
  Subject subject;
  subject.run = [judged] { judged->judge(); };
  subject.yardstick = [judged] { judged->reference(); };
  return subject;
}

}  // namespace

std::vector<Benchmark> judge_ratios(const SuiteOptions& options) {
  if (options.extent != validate::Extent::full) return {};  // 21 pairs of each are two minutes
  struct Row {
    const char *kernel, *profile;
    std::int64_t seq;
  };
  std::vector<Benchmark> benchmarks;
  // Products alone on both accumulators, and attention, whose shadows take seconds at 256 tokens.
  for (const Row& row : {Row{"woFwd", "h13", 256}, Row{"woFwd", "h16", 256}, Row{"sdpaFwd", "h16", 64}}) {
    ModelShape shape = load_model_shape("Qwen3-0.6B");
    shape.seq = row.seq;
    benchmarks.push_back(ratio_benchmark(fmt::format("judge/{}/{}/seq={}", row.kernel, row.profile, row.seq),
                                         beside("the reference in double", Yardstick::Ratio::time),
                                         [=] { return against_reference(row.profile, row.kernel, shape); }));
  }
  return benchmarks;
}

}  // namespace aneval::bench
