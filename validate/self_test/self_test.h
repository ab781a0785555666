// Who checks the checker: every defect of the catalogue is committed on every case, and each that can be seen there
// (visibility.h) has to be flagged; healthy runs have to pass, whatever profile, kernel and data. A judge that always
// passes, or one that never does, turns the self-test red.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/record.h"
#include "validate/layer_check.h"
#include "validate/self_test/visibility.h"

namespace aneval::validate {

/// What is tested: KernelChecker, or something in its place.
using Judge = std::function<CaseResult(const CheckOptions& options, const Case& c, const CaseData& data)>;
CaseResult judge_with_checker(const CheckOptions& options, const Case& c, const CaseData& data);
/// The same of layers: check_layer, or something in its place.
using LayerJudge = std::function<LayerResult(const CheckOptions& options, const Case& c, const NamedTensors& tensors,
                                             const ane::CpuOps& ops)>;

/// The defects that are committed on a case, where they apply.
struct DefectRun {
  Case c;
  std::vector<const Defect*> defects;
};

struct HealthyRun {
  std::string profile;
  Case c;
};

/// What a self-test runs through.
struct SelfTestPlan {
  std::string profile;  // of the devices that commit defects
  std::vector<DefectRun> defective;
  std::vector<HealthyRun> healthy;
  std::vector<Case> layers;  // that the defects of the host are committed on

  /// Small shapes and a few cases of Qwen3-0.6B; `full`: more of both. Healthy runs: all profiles.
  static SelfTestPlan make(const std::string& profile, bool full, std::uint64_t seed);
  /// Only what `filter` fits (case.h: matches).
  void keep(const std::string& filter);
};

struct SelfTestOptions {
  Judge judge = judge_with_checker;
  LayerJudge layer_judge = check_layer;
  ThreadPool* pool = nullptr;
  /// Called with what has been done and what there is to do.
  std::function<void(std::int64_t done, std::int64_t planned)> progress = {};
};

/// One defect in one case.
struct Detection {
  std::string defect;
  Mechanism mechanism = Mechanism::program;
  Case c;
  Visibility visibility;
  bool detectable = false;
  /// Visible in exact arithmetic, but not in what the profile's device is expected to give: products that the
  /// accumulator drops are gone with the defect as without.
  bool dropped = false;
  bool flagged = false;
  std::string gate;  // what flagged it: a gate's name, or poison, nan, unstable
  std::string block;
  double excess = 0;  // how many times the gate's limit was reached; infinite where nothing may differ
  Status status = Status::ok;
  std::string reason;
  bool missed() const { return detectable && !flagged; }
};

struct FalseAlarm {
  std::string profile, case_text, reason;
};

struct HealthyResult {
  std::int64_t runs = 0;
  std::vector<FalseAlarm> alarms;
  double bound_ratio = 0, deviation_ratio = 0, spread_ratio = 0;  // the largest met
  std::string bound_case, deviation_case, spread_case;            // profile and case where
};

/// A defect of the seed project, and what became of it.
struct SeedFinding {
  std::string name, line;
  bool found = false;
};

struct SelfTestResult {
  std::string profile;
  std::vector<Detection> device;   // the checker knows the healthy program
  std::vector<Detection> program;  // the checker was given the wrong one
  HealthyResult healthy;
  std::vector<SeedFinding> seed;

  std::int64_t detectable() const, found() const, inside_the_noise() const;
  /// Nothing missed, no false alarm, and there was something to find and to pass.
  bool passed() const;
};

SelfTestResult run_self_test(const SelfTestPlan& plan, const SelfTestOptions& options);

/// The detection table, the seed project's defects, misses, false alarms and the closing line.
std::string self_test_text(const SelfTestResult& result);

/// One row per number; phase self_test.
std::vector<Record> self_test_rows(const RunContext& run, const SelfTestResult& result);

/// Whether a judge called it wrong. Degraded is no failure.
bool is_flagged(Status status);

/// Defects of the host, and healthy layers, whose false alarms are added.
std::vector<Detection> run_host_defects(const SelfTestPlan& plan, const SelfTestOptions& options,
                                        std::vector<FalseAlarm>& alarms);
/// The seed project's three. The first two from what was detected, if they were committed; the third by a run of its
/// own, on h16.
std::vector<SeedFinding> seed_findings(const std::vector<Detection>& detections, const SelfTestOptions& options);

}  // namespace aneval::validate
