#include "bench/validated.h"

#include "ane/staging.h"
#include "validate/layer_check.h"

namespace aneval::bench {
namespace {

bool acceptable(Status status) { return status == Status::ok || status == Status::degraded; }

Error judged_wrong(const std::string& case_text, const std::string& reason) {
  return {ExitCode::check_failed, "case '" + case_text + "'", "was judged wrong: " + reason,
          "what computes something else is not worth timing: see `aneval validate --case`"};
}

}  // namespace

Error hash_differs(const std::string& what, const std::string& validated, const std::string& got) {
  return {ExitCode::check_failed, what, "its hash is " + got + ", the validated one is " + validated,
          "a run that was timed gave something else: look for a race, or for a device that is not deterministic"};
}

ValidatedCases::ValidatedCases(validate::CheckOptions options, const RunContext& run,
                               const std::vector<Record>& earlier)
    : options_(options), checker_(std::move(options)) {
  for (const Record& row : earlier) {
    const RunContext& then = row.run;
    if (!acceptable(row.status) || then.commit != run.commit || then.build != run.build ||
        then.backend != run.backend || then.profile != run.profile || then.chip != run.chip)
      continue;
    if (row.metric == "program_hash") earlier_[row.case_text].program_hash = row.text;
    if (row.metric == "output_hash") earlier_[row.case_text].output_hash = row.text;
  }
}

std::string ValidatedCases::judged(const validate::Case& c, const validate::CaseData& data,
                                   const std::string& program_hash) {
  const std::string text = validate::case_text(c);
  if (const auto found = earlier_.find(text); found != earlier_.end() && found->second.program_hash == program_hash)
    return found->second.output_hash;
  const validate::CaseResult result = checker_.run(c, data);
  if (!acceptable(result.status)) throw judged_wrong(text, result.reason);
  return result.output_hash;
}

const ValidatedKernel& ValidatedCases::kernel(const validate::Case& c) {
  const std::string text = validate::case_text(c);
  if (const auto found = kernels_.find(text); found != kernels_.end()) return found->second;
  ValidatedKernel made;
  const auto data = std::make_shared<validate::CaseData>(
      validate::make_case_data(c, options_.registry.find(c.kernel).layout(validate::kernel_config(c))));
  made.data = data;
  made.ready = &checker_.ready(c, *data);
  const ane::CompiledKernel& kernel = made.ready->kernel;
  made.output_hash = judged(c, *data, kernel.executable->program_hash());
  ane::Surface& input = *made.ready->request->input();
  ane::stage_weights(kernel.layout, data->weights, input, options_.pool);
  for (const auto& [slot, tensor] : data->activations) ane::write_slot(kernel.layout, slot, tensor.data, input);
  return kernels_.emplace(text, std::move(made)).first->second;
}

std::string ValidatedCases::layer(const validate::Case& c, const NamedTensors& tensors) {
  const std::string text = validate::case_text(c);
  if (const auto found = layers_.find(text); found != layers_.end()) return found->second;
  std::string hash;
  // A layer's row names no program hash: with programs of the user it is judged anew.
  if (const auto found = earlier_.find(text); found != earlier_.end() && options_.programs.programs.empty()) {
    hash = found->second.output_hash;
  } else {
    const validate::LayerResult result = validate::check_layer(options_, c, tensors);
    if (!acceptable(result.status)) throw judged_wrong(text, result.reason);
    hash = result.output_hash;
  }
  return layers_.emplace(text, std::move(hash)).first->second;
}

}  // namespace aneval::bench
