// Models out of safetensors files, as --weights and --resume take them: own and Hugging Face's names, dumps and
// checkpoints with a model in their metadata. A model that is accepted has all its tensors, in its own shape.
#include "validate/weights.h"
#include "fuzz/support.h"
#include "train/checkpoint.h"
#include "validate/load_weights.h"

namespace {

using namespace aneval;

ModelShape tiny() {
  return {.name = "tiny",
          .dim = 4,
          .hidden = 6,
          .heads = 2,
          .kv_heads = 1,
          .head_dim = 2,
          .seq = 4,
          .layers = 1,
          .vocab = 8};
}

void check_model(const reference::Model& model) {
  check_shape(model.shape, "an accepted model");
  fuzz::require(static_cast<std::int64_t>(model.layers.size()) == model.shape.layers, "a model has all its layers");
  for (const auto& layer : model.layers)
    for (const auto& [name, shape] : validate::layer_weight_shapes(model.shape)) {
      const Tensor& tensor = layer.at(name);
      fuzz::require(
          tensor.shape == shape && static_cast<std::int64_t>(tensor.data.size()) == Tensor::element_count(shape),
          "a layer's weight has the shape of its model");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::text_of(data, size), ".safetensors");
  fuzz::accepted([&] { check_model(validate::load_weights(file.path()).model); });
  fuzz::accepted([&] { check_model(validate::load_weights(file.path(), tiny()).model); });
  fuzz::accepted([&] {
    const train::Checkpoint checkpoint = train::read_checkpoint(file.path());
    fuzz::require(static_cast<std::int64_t>(checkpoint.ids.size()) == checkpoint.state.shape.vocab,
                  "a checkpoint has an id for every row");
  });
  return 0;
}
