// Runs one kernel case on a device and judges it: stage, check the staged surface, program check, evaluate twice from
// differently poisoned outputs, device check, metrics.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ane/compiled_kernel.h"
#include "reference/kernels.h"
#include "validate/attribution.h"
#include "validate/case_data.h"
#include "validate/case_statistics.h"
#include "validate/judge.h"

namespace aneval::validate {

struct CheckOptions {
  ane::Device* device = nullptr;  // required
  emulator::Profile profile;      // what the device's arithmetic is judged as; required
  ane::KernelRegistry registry = ane::KernelRegistry::builtin();
  reference::KernelTable references = reference::KernelTable::builtin();
  ane::ProgramOptions programs;
  ThreadPool* pool = nullptr;
  bool keep_shadows = false;  // in the judgement of every block

  /// A kernel from outside the tree with its reference, under the name of its specification. Errors: the name exists.
  void add(ane::KernelSpec kernel, reference::KernelFunction<double> in_double,
           reference::KernelFunction<float> in_float);
};

struct CaseResult {
  Case c;
  std::string variant;  // canonical text, or "external"
  std::string program_hash, output_hash;
  Status status = Status::ok;
  std::string reason;
  std::vector<BlockJudgement> blocks;
  std::vector<Attribution> attributions;   // of the blocks whose program is right
  std::vector<CaseStatistics> statistics;  // none for exact data: its integers are chosen, not met
  std::int64_t milliseconds = 0;
};

/// Keeps compiled kernels, so that cases which differ in data only do not compile again.
class KernelChecker {
 public:
  explicit KernelChecker(CheckOptions options) : options_(std::move(options)) {}

  /// Device failures and wrong outputs become the status of the result; wrong cases (impossible shapes, unknown
  /// kernels) throw.
  CaseResult run(const Case& c);
  /// The same on given tensors.
  CaseResult run(const Case& c, const CaseData& data);

  /// A kernel of a case, compiled once, with surfaces of its own. After run() the case's tensors lie on them.
  struct Ready {
    ane::CompiledKernel kernel;
    std::shared_ptr<ane::Request> request;
    std::string weights_hash;  // of those in the program; empty when there are none
  };
  /// With static weights a kernel holds those of `data`: other ones take its place.
  Ready& ready(const Case& c, const CaseData& data);

 private:
  void judge(const Case& c, const CaseData& data, Ready& ready, CaseResult& result);

  CheckOptions options_;
  std::map<std::string, Ready> ready_;  // by kernel, shape and variant
  std::int64_t generation_ = 0;
};

/// The kernel instance of a case.
ane::KernelConfig kernel_config(const Case& c);

/// What the reference computes for a variant. cyclic_fwd is judged as grouped: it is the defect to be found.
reference::Options reference_options(const ane::Variant& variant);

}  // namespace aneval::validate
