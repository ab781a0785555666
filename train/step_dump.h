// One step of a training in a file that another framework can recompute it from: weights before the step, its tokens,
// its loss and its gradients. docs/interop.md lists what is in it; reference/step_oracle.py recomputes it with PyTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "common/safetensors.h"
#include "train/tokens.h"
#include "train/trainer.h"

namespace aneval::train {

struct DumpOptions {
  std::set<std::int64_t> steps;  // none: nothing is dumped
  std::filesystem::path folder;
  bool hf_names = false;  // Hugging Face's names and pairing of lanes, else those of checkpoints
  FileMetadata about;     // who computes the layers: backend, profile, variant

  std::filesystem::path file(std::int64_t step) const;
};

/// A step whose gradients are known and whose update is still to come. Refers to the run.
struct DumpedStep {
  const TrainState& state;
  const Parameters& gradients;  // averaged over the sequences, times the loss scale
  const StepResult& result;
  const TrainSettings& settings;
  const SequenceSampler& data;
  const TokenIds& ids;     // token of each row of the embedding
  std::int64_t vocab = 0;  // tokens that there are
};

/// Writes options.file(step) atomically: the weights by name, `grad.` + name, and
///   tokens.inputs, tokens.targets  I64 [accum, S]  token ids
///   rows.inputs, rows.targets      I64 [accum, S]  the rows of embedding and classifier that stand for them
///   vocabulary_ids                 I64 [V]         token of each row; the softmax runs over these
///   loss                           F64 [1]         mean over all targets, in nats per token
/// Gradients are d loss / d weight, without the loss scale (divided in double, rounded once to fp32). Errors: as
/// write_file.
void write_step_dump(const DumpOptions& options, const DumpedStep& step);

}  // namespace aneval::train
