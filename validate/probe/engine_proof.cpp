#include "validate/probe/engine_proof.h"

#include <stdexcept>

#include "common/names.h"

namespace aneval::validate {
namespace {

const Question& question(emulator::Rule rule, std::string_view text) {
  for (const Question& candidate : rule_probe(rule).questions)
    if (candidate.text == text) return candidate;
  throw std::logic_error("engine proof: no such question: " + std::string(text));
}

}  // namespace

void EngineProof::require() {
  const std::string subject = "proof that the engine computes";
  if (!answer_) {
    const std::int64_t before = device_.counters().compile_attempts;
    const Answers answers = ask(device_, {question(emulator::Rule::overflow, kOverflowQuestion),
                                          question(emulator::Rule::matmul_rounding, kTieQuestion)});
    compiles_ += device_.counters().compile_attempts - before;
    if (!answers.failures.empty())
      throw ane::DeviceError(answers.status, subject, join(answers.failures, "; "),
                             "`aneval probe --only numerics` asks each question by itself");
    answer_ = {answers.bits.at(0).front(), answers.bits.at(1).front()};
  }
  if (!answer_->engine())
    throw ane::DeviceError(Status::not_on_engine, subject,
                           "this is no engine's arithmetic, in a matmul " + fingerprint_text(*answer_),
                           "see `aneval probe --only numerics`, or take --backend emulator");
}

}  // namespace aneval::validate
