// Model files in JSON (--model FILE.json): a shape that is accepted prints to a text that reads back to an equal shape.
#include "ane/model_shape.h"
#include "fuzz/support.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::accepted([&] {
    const ModelShape shape = parse_model_shape(fuzz::text_of(data, size), "fuzz.json");
    fuzz::must_accept("a printed shape reads back", [&] {
      fuzz::require(parse_model_shape(model_shape_json(shape), "printed.json") == shape,
                    "a printed shape reads back to an equal one");
    });
  });
  return 0;
}
