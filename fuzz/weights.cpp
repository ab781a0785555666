// Models out of safetensors files, as --weights and --resume take them: own and Hugging Face's names, dumps and
// checkpoints with a model in their metadata. A model that is accepted has all its tensors, in its own shape.
#include "fuzz/model.h"
#include "train/checkpoint.h"
#include "validate/weights/load_weights.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::text_of(data, size), ".safetensors");
  fuzz::accepted([&] { fuzz::check_model(validate::load_weights(file.path()).model); });
  fuzz::accepted([&] { fuzz::check_model(validate::load_weights(file.path(), fuzz::tiny_shape()).model); });
  fuzz::accepted([&] {
    const train::Checkpoint checkpoint = train::read_checkpoint(file.path());
    fuzz::require(static_cast<std::int64_t>(checkpoint.ids.size()) == checkpoint.state.shape.vocab,
                  "a checkpoint has an id for every row");
  });
  return 0;
}
