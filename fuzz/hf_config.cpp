// config.json of Hugging Face models: a shape that is accepted is one that model files can hold as well.
#include "validate/weights/hf_config.h"

#include "fuzz/support.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::text_of(data, size), ".json");
  fuzz::accepted([&] {
    const ModelShape shape = validate::read_hf_config(file.path(), "model").shape;
    fuzz::must_accept("the shape of a config is a model file's", [&] {
      fuzz::require(parse_model_shape(model_shape_json(shape), "printed.json") == shape,
                    "a printed shape reads back to an equal one");
    });
  });
  return 0;
}
