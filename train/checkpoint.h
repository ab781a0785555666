// A training run on disk: one safetensors file with everything that its next step depends on, whoever computes its
// layers.
//
// Weights have the names of tensors_of() (so `--weights` reads a checkpoint as well), moments the same behind
// `adam.first.` and `adam.second.`; `vocabulary_ids` are the ids of the compacted vocabulary. Version, step, updates,
// model, settings and a checksum of all that are the file's metadata.
#pragma once

#include <filesystem>
#include <string>

#include "train/trainer.h"

namespace aneval::train {

inline constexpr int kCheckpointVersion = 1;

struct Checkpoint {
  TrainState state;
  TokenIds ids;          // of the compacted vocabulary
  std::string settings;  // what must be the same for the run to go on as it would have
};

/// `ids` are those of the compacted vocabulary, `vocab` the entries that there were before. Complete or not at all: a
/// process that is killed, or a full disk, leaves the previous file as it was. Errors: as write_file. (An fp32 number
/// holds every id below 2^24.)
void write_checkpoint(const std::filesystem::path& file, const TrainState& state, const TokenIds& ids,
                      std::int64_t vocab, const std::string& settings);

/// Errors name the file: as read_safetensors, no checkpoint, another version, a tensor that is missing, left over or of
/// another shape than the model's, a checksum that does not hold.
Checkpoint read_checkpoint(const std::filesystem::path& file);

/// Throws an input_error when the checkpoint is of another model, vocabulary or run; says what differs.
void check_continues(const Checkpoint& checkpoint, const ModelShape& shape, const TokenIds& ids,
                     const std::string& settings, const std::filesystem::path& file);

}  // namespace aneval::train
