#include "validate/self_test/self_test.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "common/error.h"
#include "validate/emulated_device.h"
#include "validate/self_test/defective_device.h"

namespace aneval::validate {
namespace {

/// What flagged a case, and how clearly.
void read_verdict(const CaseResult& result, Detection& detection) {
  detection.status = result.status;
  detection.reason = result.reason;
  detection.flagged = is_flagged(result.status);
  if (!detection.flagged) return;
  for (const BlockJudgement& block : result.blocks) {
    if (!is_flagged(block.status) || (!detection.block.empty() && !(block.excess > detection.excess))) continue;
    detection.block = block.block;
    detection.gate = gate_name(block.gate);
    detection.excess = block.excess;
  }
  if (result.status == Status::nonfinite)
    detection.gate = "nan";
  else if (result.status == Status::unstable)
    detection.gate = "unstable";
  else if (result.status == Status::run_error)
    detection.gate = "error";
  else if (result.blocks.empty())
    detection.gate = "poison";
}

/// All defects on one case.
class CaseTrial {
 public:
  CaseTrial(const SelfTestPlan& plan, const SelfTestOptions& options, const Case& c)
      : options_(options),
        c_(c),
        device_(make_device(plan.profile)),
        profile_(emulator::find_profile(plan.profile)),
        check_(options_for(*device_)),
        healthy_(prepare_healthy(check_, c)) {}

  bool applies(const Defect& defect) const { return defect.applies(healthy_.site); }

  Detection on_device(const Defect& defect) const {
    Detection detection = start(defect);
    detection.detectable = detection.visibility.visible();
    const auto device = make_defective_device(*device_, profile_, defect, healthy_.site);
    read_verdict(options_.judge(options_for(*device), c_, *healthy_.data), detection);
    if (detection.missed() && !defect.always_visible) {
      const Visibility expected = visibility(healthy_, defect, profile_, true);
      if (!expected.visible()) {
        detection.visibility = expected;
        detection.dropped = true;
        detection.detectable = false;
      }
    }
    return detection;
  }

  /// The device is healthy, the program is wrong and the checker is given it.
  Detection in_program(const Defect& defect) const {
    Detection detection = start(defect);
    detection.detectable = detection.visibility.change > kProgramNoise;
    ane::KernelSpec spec = healthy_.site.spec;
    spec.program = [this, &defect](const ane::KernelConfig&, const ane::PackedLayout&) {
      return defect.program(healthy_.site);
    };
    CheckOptions wrong = check_;
    wrong.registry = {};
    wrong.registry.add(spec);
    read_verdict(options_.judge(wrong, c_, *healthy_.data), detection);
    if (detection.flagged && detection.status != Status::wrong_result) detection.flagged = false;
    return detection;
  }

 private:
  Detection start(const Defect& defect) const {
    Detection detection;
    detection.defect = defect.name;
    detection.mechanism = defect.mechanism;
    detection.c = c_;
    detection.visibility = visibility(healthy_, defect, profile_);
    return detection;
  }

  const SelfTestOptions& options_;
  const Case& c_;
  std::unique_ptr<ane::Device> device_;
  emulator::Profile profile_;
  CheckOptions check_;
  HealthyCase healthy_;
};

struct HealthyOutcome {
  double bound = 0, deviation = 0, spread = 0;
  bool flagged = false;
  std::string reason;
};

HealthyOutcome run_healthy(const HealthyRun& run, const SelfTestOptions& options) {
  const auto device = make_device(run.profile);
  const CheckOptions check = options_for(*device);
  const auto layout = check.registry.find(run.c.kernel).layout(kernel_config(run.c));
  const CaseResult result = options.judge(check, run.c, make_case_data(run.c, layout));
  HealthyOutcome outcome;
  outcome.flagged = is_flagged(result.status);
  outcome.reason = result.reason;
  for (const BlockJudgement& block : result.blocks) {
    outcome.bound = std::max(outcome.bound, block.device.worst.ratio);
    outcome.deviation = std::max(outcome.deviation, block.spread.deviation_ratio());
    outcome.spread = std::max(outcome.spread, block.spread.spread_ratio());
  }
  return outcome;
}

HealthyResult gather(const std::vector<HealthyRun>& runs, const std::vector<HealthyOutcome>& outcomes) {
  HealthyResult result;
  result.runs = static_cast<std::int64_t>(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const HealthyOutcome& outcome = outcomes[i];
    const std::string text = case_text(runs[i].c);
    if (outcome.flagged) result.alarms.push_back({runs[i].profile, text, outcome.reason});
    const auto largest = [&](double value, double& so_far, std::string& where) {
      if (!(value > so_far)) return;
      so_far = value;
      where = "profile " + runs[i].profile + " " + text;
    };
    largest(outcome.bound, result.bound_ratio, result.bound_case);
    largest(outcome.deviation, result.deviation_ratio, result.deviation_case);
    largest(outcome.spread, result.spread_ratio, result.spread_case);
  }
  return result;
}

}  // namespace

CaseResult judge_with_checker(const CheckOptions& options, const Case& c, const CaseData& data) {
  return KernelChecker(options).run(c, data);
}

bool is_flagged(Status status) { return status != Status::ok && status != Status::degraded; }

SelfTestResult run_self_test(const SelfTestPlan& plan, const SelfTestOptions& options) {
  SelfTestResult result;
  result.profile = plan.profile;
  const auto cases = static_cast<std::int64_t>(plan.defective.size());
  const auto healthy = static_cast<std::int64_t>(plan.healthy.size());
  struct Found {
    std::vector<Detection> device, program;
  };
  std::vector<Found> found(plan.defective.size());
  std::vector<HealthyOutcome> outcomes(plan.healthy.size());
  std::atomic<std::int64_t> done{0};
  parallel_for(options.pool, cases + healthy, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (i < cases) {
        const DefectRun& run = plan.defective[static_cast<std::size_t>(i)];
        const CaseTrial trial(plan, options, run.c);
        Found& here = found[static_cast<std::size_t>(i)];
        for (const Defect* defect : run.defects) {
          if (!trial.applies(*defect)) continue;
          here.device.push_back(trial.on_device(*defect));
          if (defect->program) here.program.push_back(trial.in_program(*defect));
        }
      } else {
        const auto at = static_cast<std::size_t>(i - cases);
        outcomes[at] = run_healthy(plan.healthy[at], options);
      }
      if (options.progress) options.progress(++done, cases + healthy);
    }
  });
  for (Found& here : found) {
    result.device.insert(result.device.end(), here.device.begin(), here.device.end());
    result.program.insert(result.program.end(), here.program.begin(), here.program.end());
  }
  result.healthy = gather(plan.healthy, outcomes);
  const auto host = run_host_defects(plan, options, result.healthy.alarms);
  result.device.insert(result.device.end(), host.begin(), host.end());
  result.healthy.runs += static_cast<std::int64_t>(plan.layers.size());
  result.seed = seed_findings(result.device, options);
  return result;
}

std::int64_t SelfTestResult::detectable() const {
  std::int64_t count = 0;
  for (const auto* all : {&device, &program})
    count += std::count_if(all->begin(), all->end(), [](const Detection& d) { return d.detectable; });
  return count;
}

std::int64_t SelfTestResult::found() const {
  std::int64_t count = 0;
  for (const auto* all : {&device, &program})
    count += std::count_if(all->begin(), all->end(), [](const Detection& d) { return d.detectable && d.flagged; });
  return count;
}

std::int64_t SelfTestResult::inside_the_noise() const {
  return std::count_if(device.begin(), device.end(), [](const Detection& d) { return !d.detectable; });
}

bool SelfTestResult::passed() const {
  return detectable() > 0 && found() == detectable() && healthy.runs > 0 && healthy.alarms.empty() &&
         std::all_of(seed.begin(), seed.end(), [](const SeedFinding& finding) { return finding.found; });
}

}  // namespace aneval::validate
