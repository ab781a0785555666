// What has been judged before it is timed: a kernel with its tensors staged and the hash that its output must have.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/record.h"
#include "validate/kernel_check.h"

namespace aneval::bench {

struct ValidatedKernel {
  validate::KernelChecker::Ready* ready = nullptr;  // tensors lie on its input surface
  std::shared_ptr<const validate::CaseData> data;
  std::string output_hash;
};

/// Judges cases on first use and remembers. Cases that an earlier `aneval validate` of the same build, backend and
/// profile judged are not judged again: the hashes of its rows are taken.
class ValidatedCases {
 public:
  ValidatedCases(validate::CheckOptions options, const RunContext& run, const std::vector<Record>& earlier = {});

  const validate::CheckOptions& options() const { return options_; }

  /// Throws Error (check_failed) when the kernel's output was judged wrong.
  const ValidatedKernel& kernel(const validate::Case& c);
  /// The hash of a layer's results (validate::layer_hash).
  std::string layer(const validate::Case& c, const NamedTensors& tensors);

 private:
  struct Earlier {
    std::string program_hash, output_hash;
  };
  std::string judged(const validate::Case& c, const validate::CaseData& data, const std::string& program_hash);

  validate::CheckOptions options_;
  validate::KernelChecker checker_;
  std::map<std::string, Earlier> earlier_;
  std::map<std::string, ValidatedKernel> kernels_;
  std::map<std::string, std::string> layers_;
};

/// The error of a timed run whose output is not what was judged.
Error hash_differs(const std::string& what, const std::string& validated, const std::string& got);

}  // namespace aneval::bench
